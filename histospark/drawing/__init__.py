"""Drawn slides: H&E-like tissue with known lesions, so that the whole way runs without any data.

`shapes` decides where things lie, `nuclei`, `tissue` and `marks` paint densities of dye, `stain` turns
dye into color, `files` writes what a scanner and an annotator would leave, `slides` puts them in order.
"""

from histospark.drawing.slides import DrawnSlide, draw_demo_slides, draw_slide

__all__ = ["DrawnSlide", "draw_demo_slides", "draw_slide"]
