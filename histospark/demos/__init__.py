"""What `histospark demo` runs: for each recipe, its whole way on data that is drawn in its published layout."""
