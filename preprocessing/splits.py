"""Which split a slide is in: given by the manifest, else by a pattern, else drawn; a patient is never divided.

Pure functions over the list of slides. Chance comes from stable hashes of patients alone, so that order, process and
machine do not matter.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from fractions import Fraction

from cluster.errors import UsageError
from preprocessing.hashing import stable_hash
from preprocessing.slide_entry import SlideEntry
from preprocessing.tiling_settings import Splits

TUMOR, UNLABELED, NORMAL = "tumor", "unlabeled", "normal"


def assign_splits(entries: Sequence[SlideEntry], splits: Splits, seed: int) -> list[SlideEntry]:
    """Put every slide into a split.

    A slide's split is given where the manifest names it, else where a pattern fits (`test` goes before `validation`).
    The other slides of its patient follow. The remaining patients are drawn.

    Args:
        entries: with `patient_id`, and with `split` where the manifest gives it, else empty.
        splits: patterns and shares.
        seed: of the draw.

    Returns:
        The entries in the same order with their split. Time and memory grow with the number of slides alone.

    Raises:
        UsageError: two slides of one patient are given different splits.
    """
    given = _given(entries, splits)
    open_patients = sorted({entry.patient_id for entry in entries} - given.keys())
    if splits.stratified:
        drawn = draw_stratified(strata_of(entries, open_patients), splits, seed)
    else:
        drawn = {patient: draw(patient, splits, seed) for patient in open_patients}
    split_of = given | drawn
    return [replace(entry, split=split_of[entry.patient_id]) for entry in entries]


def draw(patient_id: str, splits: Splits, seed: int) -> str:
    """The split of one patient by its hash: nobody else's presence can change it."""
    drawn = stable_hash("split", seed, patient_id) / 2**63
    if drawn < splits.validation_fraction:
        return "validation"
    return "test" if drawn < splits.validation_fraction + splits.test_fraction else "train"


def draw_stratified(strata: Mapping[str, Iterable[str]], splits: Splits, seed: int) -> dict[str, str]:
    """Draw patients so that the shares hold exactly, overall and, to a patient or two, in every stratum.

    How many patients a split gets in all, and how these are dealt to the strata, is rounded by largest remainders
    (Hamilton's method of apportionment): first validation over all patients, then test over those that are left. In
    its stratum the patients with the lowest hash validate, the next test, the others train.

    Args:
        strata: the patients of each stratum.
        splits: shares.
        seed: of the draw.

    Returns:
        The split of every patient.
    """
    ordered = {
        name: sorted(patients, key=lambda patient: (stable_hash("split", seed, patient), patient))
        for name, patients in sorted(strata.items())
    }
    sizes = [len(patients) for patients in ordered.values()]
    validation, test = (Fraction(str(share)) for share in (splits.validation_fraction, splits.test_fraction))
    # A tie goes to train. The shares may exceed 1 by the rounding of decimals, never by more.
    _, validating, testing = apportion(sum(sizes), [max(1 - validation - test, Fraction(0)), validation, test])
    validating_in = apportion(validating, sizes)
    left = [size - taken for size, taken in zip(sizes, validating_in, strict=True)]
    testing_in = apportion(testing, left)
    split_of = {}
    for patients, first, second in zip(ordered.values(), validating_in, testing_in, strict=True):
        for place, patient in enumerate(patients):
            split_of[patient] = "validation" if place < first else "test" if place < first + second else "train"
    return split_of


def apportion(total: int, weights: Sequence[int | Fraction]) -> list[int]:
    """Deal a number of things by weight, each rounded down or up, together exactly `total`: largest remainders.

    Args:
        total: how many things.
        weights: not negative; a tie goes to the earlier one.

    Returns:
        One number per weight, never more than the weight itself while `total` is not more than all weights together.
    """
    whole = sum(weights)
    if total == 0 or whole == 0:
        return [0] * len(weights)
    exact = [Fraction(total) * weight / whole for weight in weights]
    dealt = [int(share) for share in exact]
    by_remainder = sorted(range(len(weights)), key=lambda place: dealt[place] - exact[place])
    for place in by_remainder[: total - sum(dealt)]:
        dealt[place] += 1
    return dealt


def strata_of(entries: Iterable[SlideEntry], patients: Iterable[str]) -> dict[str, list[str]]:
    """The patients of each stratum.

    A patient with slides of several strata counts as the gravest: tumor before unlabeled before normal. Strata that a
    manifest names go before these, and the last of them in order, numbers by value, is the gravest.

    Args:
        entries: all slides.
        patients: those that are wanted.
    """
    wanted = set(patients)
    gravest: dict[str, tuple[int, float, str]] = {}
    for entry in entries:
        if entry.patient_id in wanted:
            gravity = _gravity(entry)
            gravest[entry.patient_id] = max(gravity, gravest.get(entry.patient_id, gravity))
    strata = defaultdict(list)
    for patient, (_, _, name) in gravest.items():
        strata[name].append(patient)
    return dict(strata)


def _gravity(entry: SlideEntry) -> tuple[int, float, str]:
    if entry.stratum is not None:
        return 3, _number(entry.stratum), entry.stratum
    if entry.is_normal:
        return 0, 0.0, NORMAL
    if entry.is_tumor or entry.annotation or entry.mask:
        return 2, 0.0, TUMOR
    return 1, 0.0, UNLABELED


def _number(text: str) -> float:
    """The value of a numeric stratum; words sort before all numbers."""
    try:
        value = float(text)
    except ValueError:
        return -math.inf
    return value if math.isfinite(value) else -math.inf


def _given(entries: Iterable[SlideEntry], splits: Splits) -> dict[str, str]:
    """The split of each patient of whom the manifest or a pattern gives it."""
    first: dict[str, tuple[str, str]] = {}
    for entry in entries:
        split = entry.split or _by_pattern(entry.slide_id, splits)
        if split is None:
            continue
        slide, other = first.setdefault(entry.patient_id, (entry.slide_id, split))
        if other != split:
            raise UsageError(
                f"patient {entry.patient_id} is in two splits: {slide} in {other}, {entry.slide_id} in {split}; "
                "put both in one"
            )
    return {patient: split for patient, (_, split) in first.items()}


def _by_pattern(slide_id: str, splits: Splits) -> str | None:
    if matches(slide_id, splits.test):
        return "test"
    return "validation" if matches(slide_id, splits.validation) else None


def matches(slide_id: str, patterns: Iterable[str]) -> bool:
    """Whether a slide's name fits one of some patterns (shell style, capitals count)."""
    return any(fnmatchcase(slide_id, pattern) for pattern in patterns)
