"""Splits against a slow reference and by their promises: shares, stability, whole patients."""

import hashlib
import math
import random
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from cluster.errors import UsageError
from preprocessing.slide_entry import SlideEntry
from preprocessing.splits import apportion, assign_splits
from preprocessing.tiling_settings import Splits

SHARES = [(0.2, 0.0), (0.15, 0.25), (0.0, 0.1), (0.5, 0.5), (1.0, 0.0), (0.0, 0.0), (0.333, 0.333), (0.7, 0.3)]


def slides(count: int, per_patient: int = 1) -> list[SlideEntry]:
    return [SlideEntry(f"s{i}", f"/s{i}.tif", patient_id=f"P{i // per_patient}") for i in range(count)]


def of_strata(**sizes: int) -> list[SlideEntry]:
    names = [name for name, size in sizes.items() for _ in range(size)]
    return [SlideEntry(f"s{i}", f"/s{i}", patient_id=f"P{i}", stratum=name) for i, name in enumerate(names)]


def split_of(entries: list[SlideEntry], splits: Splits, seed: int = 1) -> dict[str, str]:
    return {entry.slide_id: entry.split for entry in assign_splits(entries, splits, seed)}


def hash_of(patient: str, seed: int) -> int:
    """As documented: 8 bytes of BLAKE2b, without the last bit."""
    text = f"split\x1f{seed}\x1f{patient}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") // 2


@pytest.mark.parametrize(("validation", "test"), SHARES)
def test_draw_by_thresholds_equals_the_formula(validation: float, test: float) -> None:
    splits = Splits(validation_fraction=validation, test_fraction=test)
    for seed in (1, 2):
        for name, split in split_of(slides(300), splits, seed).items():
            place = hash_of(name.replace("s", "P"), seed) / 2**63
            expected = "validation" if place < validation else "test" if place < validation + test else "train"
            assert split == expected


def test_shares_hold_over_many_seeds() -> None:
    splits = Splits(validation_fraction=0.2, test_fraction=0.3)
    counts = Counter(split for seed in range(60) for split in split_of(slides(200), splits, seed).values())
    drawn = 60 * 200
    for split, share in (("validation", 0.2), ("test", 0.3), ("train", 0.5)):
        assert abs(counts[split] / drawn - share) < 4 * math.sqrt(share * (1 - share) / drawn)


def test_new_slides_and_a_new_share_of_test_move_no_validation_patient() -> None:
    alone = split_of(slides(200, 2), Splits(validation_fraction=0.25))
    more = split_of(slides(900, 2), Splits(validation_fraction=0.25))
    assert {name: more[name] for name in alone} == alone
    with_test = split_of(slides(200, 2), Splits(validation_fraction=0.25, test_fraction=0.5))
    assert [n for n, s in with_test.items() if s == "validation"] == [n for n, s in alone.items() if s == "validation"]


@pytest.mark.parametrize("stratified", [False, True])
def test_order_and_process_do_not_matter(stratified: bool) -> None:
    splits = Splits(validation_fraction=0.3, test_fraction=0.2, stratified=stratified)
    entries = slides(120, 3) + [replace(e, slide_id=f"t{e.slide_id}", stratum="b") for e in slides(30)]
    expected = split_of(entries, splits)
    for seed in range(5):
        shuffled = random.Random(seed).sample(entries, len(entries))
        assert split_of(shuffled, splits) == expected
    code = (
        "from preprocessing.splits import assign_splits\nfrom tests.preprocessing.test_splits import *\n"
        "entries = slides(120, 3) + [replace(e, slide_id=f't{e.slide_id}', stratum='b') for e in slides(30)]\n"
        f"print(split_of(entries, Splits(validation_fraction=0.3, test_fraction=0.2, stratified={stratified})))"
    )
    said = subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": "5"}, capture_output=True, check=True)
    assert said.stdout.decode().strip() == str(expected)


@pytest.mark.parametrize("stratified", [False, True])
def test_slides_of_a_patient_go_together(stratified: bool) -> None:
    found = split_of(slides(600, 3), Splits(validation_fraction=0.3, test_fraction=0.3, stratified=stratified))
    assert set(found.values()) == {"train", "validation", "test"}
    for first in range(0, 600, 3):
        assert len({found[f"s{first + k}"] for k in range(3)}) == 1


# Stratified


def seats(total: int, weights: list[int]) -> list[int]:
    """Largest remainders, one thing after the other, in whole numbers."""
    whole = sum(weights)
    dealt = [total * weight // whole if whole else 0 for weight in weights]
    rests = [total * weight % whole if whole else 0 for weight in weights]
    while whole and sum(dealt) < total:
        best = rests.index(max(rests))
        dealt[best] += 1
        rests[best] = -1
    return dealt


def stratified_by_hand(entries: list[SlideEntry], validation: int, test: int, seed: int) -> dict[str, str]:
    """One slide a patient, shares in thousandths."""
    names = sorted({str(entry.stratum) for entry in entries})
    members = {
        name: sorted((e for e in entries if e.stratum == name), key=lambda e: hash_of(e.patient_id, seed))
        for name in names
    }
    found = {entry.slide_id: "train" for entry in entries}
    _, *totals = seats(len(entries), [1000 - validation - test, validation, test])
    for split, total in zip(("validation", "test"), totals, strict=True):
        shares = seats(total, [len(members[name]) for name in names])
        for name, share in zip(names, shares, strict=True):
            taken, members[name] = members[name][:share], members[name][share:]
            found |= {entry.slide_id: split for entry in taken}
    return found


@pytest.mark.parametrize(("validation", "test"), SHARES)
def test_stratified_draw_equals_a_slow_reference(validation: float, test: float) -> None:
    splits = Splits(validation_fraction=validation, test_fraction=test, stratified=True)
    rng = random.Random(4)
    for seed in range(12):
        entries = of_strata(**{f"g{i}": rng.randint(1, 30) for i in range(rng.randint(1, 7))})
        expected = stratified_by_hand(entries, round(1000 * validation), round(1000 * test), seed)
        assert split_of(entries, splits, seed) == expected


@pytest.mark.parametrize("seed", range(20))
def test_stratified_shares_are_exact_overall_and_close_in_every_stratum(seed: int) -> None:
    rng = random.Random(seed)
    sizes = {f"g{i}": rng.choice([1, 2, 3, 5, 20, 77]) for i in range(rng.randint(1, 12))}
    entries = of_strata(**sizes)
    found = split_of(entries, Splits(validation_fraction=0.2, test_fraction=0.15, stratified=True), seed)
    for split, share in (("validation", 0.2), ("test", 0.15), ("train", 0.65)):
        assert abs(sum(s == split for s in found.values()) - share * len(entries)) < 1
        for name, size in sizes.items():
            inside = sum(found[entry.slide_id] == split for entry in entries if entry.stratum == name)
            assert abs(inside - share * size) <= 2


def test_strata_are_what_is_known_and_a_patient_counts_by_its_gravest_slide() -> None:
    """100 patients each; a share of 10 % must come out of every stratum, to the patient."""
    kinds: list[dict[str, object]] = [
        {"annotation": "/a.xml"}, {"mask": "/m.tif"}, {"is_tumor": True}, {"is_normal": True, "annotation": "/a"}, {}
    ]  # fmt: skip
    groups = {"tumor": (0, 1, 2), "normal": (3,), "unlabeled": (4,)}
    entries = []
    for kind, known in enumerate(kinds):
        for i in range(100):
            patient = f"{kind}-{i}"
            entries.append(SlideEntry(f"{patient}a", f"/{patient}a", patient_id=patient, **known))  # type: ignore[arg-type]
            entries.append(SlideEntry(f"{patient}b", f"/{patient}b", patient_id=patient, is_normal=True))
    found = split_of(entries, Splits(validation_fraction=0.1, stratified=True))
    for members in groups.values():
        validating = [n for n, s in found.items() if s == "validation" and int(n[0]) in members and n.endswith("a")]
        assert len(validating) == 10 * len(members)


def test_of_two_named_strata_the_last_counts_numbers_by_value() -> None:
    named = {"P1": ("9", "10"), "P2": ("a", "b"), "P3": (None, "1")}
    entries = [
        SlideEntry(f"{patient}{i}", f"/{patient}{i}", patient_id=patient, stratum=stratum, is_tumor=True)
        for patient, strata in named.items()
        for i, stratum in enumerate(strata)
    ]
    alone = [SlideEntry(name, f"/{name}", patient_id=name, stratum=s) for s in ("10", "b", "1") for name in (f"x{s}",)]
    found = split_of(entries + alone, Splits(validation_fraction=0.5, stratified=True))
    for patient, partner in (("P1", "x10"), ("P2", "xb"), ("P3", "x1")):
        assert {found[f"{patient}0"], found[partner]} == {"train", "validation"}  # two patients, one of each


@pytest.mark.parametrize("total", [0, 1, 7, 100])
def test_apportion_deals_all_and_rounds_each(total: int) -> None:
    weights = [3, 0, 50, 47]
    dealt = apportion(total, weights)
    assert sum(dealt) == total
    assert all(abs(n - total * w / 100) < 1 for n, w in zip(dealt, weights, strict=True))
    assert apportion(total, [0, 0]) == [0, 0]


# Given


def test_manifest_goes_before_pattern_and_pattern_before_draw() -> None:
    entries = [
        SlideEntry("test_1", "/1", patient_id="P1", split="train"),
        SlideEntry("test_2", "/2", patient_id="P2"),
        SlideEntry("val_3", "/3", patient_id="P3"),
        SlideEntry("other", "/4", patient_id="P4"),
    ]
    splits = Splits(test=("test_*",), validation=("val_*", "test_*"), validation_fraction=0.0, test_fraction=0.0)
    assert list(split_of(entries, splits).values()) == ["train", "test", "validation", "train"]


@pytest.mark.parametrize("stratified", [False, True])
def test_slides_of_a_patient_follow_the_one_whose_split_is_given(stratified: bool) -> None:
    entries = slides(200, 2)
    half = [replace(e, split="test") if int(e.slide_id[1:]) % 2 else e for e in entries]
    splits = Splits(validation_fraction=0.5, stratified=stratified)
    assert set(split_of(half, splits).values()) == {"test"}
    assert set(split_of(entries, splits).values()) == {"train", "validation"}
    by_pattern = Splits(validation_fraction=0.5, test=("s[1357]",), stratified=stratified)
    assert {name for name, split in split_of(entries, by_pattern).items() if split == "test"} == {
        f"s{i}" for i in range(8)
    }


def test_patient_in_two_splits_is_refused_by_name() -> None:
    given = [
        SlideEntry("a", "/a", patient_id="P7", split="train"),
        SlideEntry("b", "/b", patient_id="P7", split="test"),
    ]
    with pytest.raises(UsageError, match=re.escape("patient P7 is in two splits: a in train, b in test")):
        assign_splits(given, Splits(), 1)
    by_pattern = [given[0], SlideEntry("test_b", "/b", patient_id="P7")]
    with pytest.raises(UsageError, match=re.escape("patient P7 is in two splits: a in train, test_b in test")):
        assign_splits(by_pattern, Splits(test=("test_*",)), 1)
