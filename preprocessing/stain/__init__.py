"""Bringing slides to one stain: a file for each method; `profile` is the only place that picks one by name."""
