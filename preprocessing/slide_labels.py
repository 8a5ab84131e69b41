"""What the label that a manifest gives a slide means to a recipe: normal or tumor, or the class of all its patches."""

from dataclasses import replace

from cluster.errors import UsageError
from preprocessing.manifest import NORMAL_WORDS, TUMOR_WORDS
from preprocessing.slide_entry import SlideEntry
from preprocessing.tiling_settings import Labels


def with_meaning(entry: SlideEntry, labels: Labels, source: str) -> SlideEntry:
    """Read the word that a manifest has for a slide.

    Args:
        entry: of the list of slides.
        labels: of the recipe.
        source: the manifest, for people.

    Returns:
        Under `source: slide` the slide with its label, without what stands beside it, which then does not count, and
        with its label as stratum where it has none; else the slide as it is.

    Raises:
        UsageError: a word that the recipe does not know.
    """
    if labels.source != "slide":
        if entry.word is not None and entry.word.lower() not in NORMAL_WORDS | TUMOR_WORDS:
            raise UsageError(
                f"manifest {source}: slide {entry.slide_id} has label '{entry.word}'; use normal or tumor, or name the "
                "labels of slides in tiling.labels.classes, with tiling.labels.source slide"
            )
        return entry
    label = None if entry.word is None else _label(entry, labels, source)
    stratum = str(label) if entry.stratum is None and label is not None else entry.stratum
    return replace(entry, label=label, stratum=stratum, annotation=None, mask=None, is_normal=False, is_tumor=False)


def _label(entry: SlideEntry, labels: Labels, source: str) -> int:
    label_of = {word.lower(): label for label, words in enumerate(labels.classes.values()) for word in words}
    word = (entry.word or "").lower()
    if word not in label_of:
        raise UsageError(
            f"manifest {source}: slide {entry.slide_id} has label '{entry.word}'; tiling.labels.classes knows "
            f"{', '.join(label_of) or 'no words'}"
        )
    return label_of[word]
