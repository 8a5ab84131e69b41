"""What can be wrong with the stain of one slide."""

from preprocessing.errors import SlideError


class StainError(SlideError):
    """The stain of a slide cannot be estimated from its thumbnail."""
