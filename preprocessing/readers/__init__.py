"""Ways to read a slide: one file each; `opening` is the only place that picks one."""
