"""Scores of made-up slides, for the tests of what is reported about a split."""

from collections.abc import Mapping, Sequence

import numpy as np

from training.slide_level import ScoredPatches

Pairs = Sequence[tuple[int, float]]


def scored(slides: Mapping[str, Pairs]) -> ScoredPatches:
    """Label and probability of each patch, by slide."""
    names = [name for name, pairs in slides.items() for _ in pairs]
    labels = [label for pairs in slides.values() for label, _ in pairs]
    probabilities = [probability for pairs in slides.values() for _, probability in pairs]
    return ScoredPatches(np.array(names, np.str_), np.array(labels, np.int32), np.array(probabilities, np.float32))


def random_slides(slides: int, patches: int, seed: int, quality: float = 1.5) -> ScoredPatches:
    """Slides that differ in stain, so to say: each shifts the scores of all its patches.

    Every second slide holds positive patches. Scores are rounded, so that there are ties.
    """
    rng = np.random.default_rng(seed)
    made = {}
    for number in range(slides):
        share = 0.4 if number % 2 == 0 else 0.0
        labels = (rng.random(rng.integers(patches // 2, 2 * patches)) < share).astype(int)
        labels[0] = int(share > 0)
        latent = rng.normal(0, 0.7) + quality * (labels - 0.5) + rng.normal(0, 1, len(labels))
        values = (1 / (1 + np.exp(-latent))).round(2)
        made[f"slide_{number:03d}"] = list(zip(labels.tolist(), values.tolist(), strict=True))
    return scored(made)
