"""The lab: a web page on which people look at a run, slide by slide."""
