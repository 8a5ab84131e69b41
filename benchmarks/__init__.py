"""Commands that print ratios, measured in pairs in the same run, against named peers."""
