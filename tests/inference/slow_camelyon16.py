"""CAMELYON16's evaluation spelled out from its published description: plain loops, no project code, no SciPy.

Sizes are handed in as pixels; masks are lists of rows of 0 and 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Mask = Sequence[Sequence[int]]
Detection = tuple[float, float, float]  # x, y in level-0 pixels, score

RATES = (1 / 4, 1 / 2, 1, 2, 4, 8)


@dataclass
class SlowSlide:
    """The three lists that the published program keeps of a slide."""

    false_positives: list[float]
    true_positives: list[float]  # of every region, 0 where missed or isolated
    lesions: int  # that count


def slow_regions(tumor: Mask, reach: float) -> list[list[int]]:
    """Every pixel against every tumor pixel, then flood fills."""
    height, width = len(tumor), len(tumor[0])
    places = [(row, column) for row in range(height) for column in range(width) if tumor[row][column]]
    solid = [
        [any(math.hypot(row - r, column - c) < reach for r, c in places) for column in range(width)]
        for row in range(height)
    ]
    outside = [[False] * width for _ in range(height)]
    for row in range(height):
        for column in range(width):
            if row in (0, height - 1) or column in (0, width - 1):
                _flood(solid, outside, row, column, wanted=False, corners=False)
    solid = [[not outside[row][column] for column in range(width)] for row in range(height)]
    labels = [[0] * width for _ in range(height)]
    count = 0
    for row in range(height):
        for column in range(width):
            if solid[row][column] and not labels[row][column]:
                count += 1
                region = [[False] * width for _ in range(height)]
                _flood(solid, region, row, column, wanted=True, corners=True)
                for r in range(height):
                    for c in range(width):
                        if region[r][c]:
                            labels[r][c] = count
    return labels


def _flood(
    solid: list[list[bool]], reached: list[list[bool]], row: int, column: int, wanted: bool, corners: bool
) -> None:
    stack = [(row, column)]
    while stack:
        r, c = stack.pop()
        if not (0 <= r < len(solid) and 0 <= c < len(solid[0])) or reached[r][c] or solid[r][c] is not wanted:
            continue
        reached[r][c] = True
        stack += [(r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)]
        if corners:
            stack += [(r - 1, c - 1), (r - 1, c + 1), (r + 1, c - 1), (r + 1, c + 1)]


def slow_major_axis(labels: Mask, label: int) -> float:
    """Of the ellipse with the second moments of the region: 4 times the root of the larger eigenvalue, pixels."""
    places = [(r, c) for r, line in enumerate(labels) for c, value in enumerate(line) if value == label]
    middle_r = sum(r for r, _ in places) / len(places)
    middle_c = sum(c for _, c in places) / len(places)
    rr = sum((r - middle_r) ** 2 for r, _ in places) / len(places)
    cc = sum((c - middle_c) ** 2 for _, c in places) / len(places)
    rc = sum((r - middle_r) * (c - middle_c) for r, c in places) / len(places)
    trace, determinant = rr + cc, rr * cc - rc * rc
    return 4 * math.sqrt(max((trace + math.sqrt(max(trace * trace - 4 * determinant, 0))) / 2, 0))


def slow_slide(
    tumor: Mask, detections: Sequence[Detection], downsample: int, reach: float, smallest: float
) -> SlowSlide:
    """What the detections of a slide are worth; `reach` and `smallest` in mask pixels."""
    if not any(map(any, tumor)):  # a normal slide
        return SlowSlide([score for _, _, score in detections], [], 0)
    labels = slow_regions(tumor, reach)
    count = max(map(max, labels))
    isolated = [label for label in range(1, count + 1) if slow_major_axis(labels, label) < smallest]
    best = [0.0] * count
    false = []
    for x, y, score in detections:
        label = labels[int(y / downsample)][int(x / downsample)]
        if label == 0:
            false.append(score)
        elif label not in isolated and score > best[label - 1]:
            best[label - 1] = score
    return SlowSlide(false, best, count - len(isolated))


def slow_curve(slides: Sequence[SlowSlide]) -> list[tuple[float, float]]:
    """Points of false positives per slide and sensitivity, from all thresholds to (0, 0)."""
    false = [score for slide in slides for score in slide.false_positives]
    true = [score for slide in slides for score in slide.true_positives]
    lesions = sum(slide.lesions for slide in slides)
    points = []
    for threshold in sorted(set(false + true))[1:]:
        kept = sum(score >= threshold for score in false)
        hits = sum(score >= threshold for score in true)
        points.append((kept / len(slides), hits / lesions))
    return [*points, (0.0, 0.0)]


def slow_sensitivity(points: Sequence[tuple[float, float]], rate: float) -> float:
    """On the line between neighbors; of points with one rate the highest; the last one beyond the end."""
    below = [point for point in points if point[0] <= rate]
    above = [point for point in points if point[0] > rate]
    left = max(below)
    if not above:
        return left[1]
    right = min(above)
    return left[1] + (right[1] - left[1]) * (rate - left[0]) / (right[0] - left[0])


def slow_froc(slides: Sequence[SlowSlide]) -> float:
    points = slow_curve(slides)
    return sum(slow_sensitivity(points, rate) for rate in RATES) / len(RATES)
