"""What can be wrong with one slide. Each ends as a row of the ledger; the other slides go on."""


class SlideError(Exception):
    """A slide that cannot be used: one line with cause and remedy."""


class SlideOpenError(SlideError):
    """The file is missing, or OpenSlide does not know its format."""


class SlideReadError(SlideError):
    """The file opens, but its pixels cannot be read."""


class MissingLevelError(SlideError):
    """The recipe asks for a pyramid level that the slide lacks."""


class MissingMppError(SlideError):
    """The recipe wants a resolution, and nothing says the slide's."""


class ScaleTooFineError(SlideError):
    """The recipe wants a finer resolution than the slide has."""


class SlideTooLargeError(SlideError):
    """The slide claims a size that no scanner makes, or that the recipe cuts into too many units."""


class WindowLargerThanSlideError(SlideError):
    """No window of the recipe fits the slide."""


class AnnotationError(SlideError):
    """The annotation cannot be read or does not belong to the slide."""


class WorkerLostError(SlideError):
    """The Spark task of this slide died, and with it the whole wave: a native crash, or out of memory."""


class LostPatchesError(SlideError):
    """Fewer patches were written than chosen."""
