"""Published data sets in their own layout: for each a module that tells what lies where, as a manifest of slides."""
