"""The command `histospark`: the command line, and the demo on slides it draws itself."""
