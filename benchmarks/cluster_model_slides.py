"""The slides of CAMELYON16 and TUPAC16 as far as they are published, and what is assumed where nothing is.

CAMELYON16, tissue: pixels of tissue of 82 of its slides (normal_001 to 028, tumor_001 to 027, test_006 to 033 without
031), by Otsu on hue and saturation of a thumbnail of 1/16. They are the common denominators of the ratios that DIDSR's
DeepLearningCamelyon_II publishes for each slide (data/results/RF_parameters/PF_parameter_Method_I,
`ratio_cancer_tissue50` and `60` of the sheets with threshold 5). Assumed: the others of each kind are like these;
160 normal, 111 tumor and 129 test slides; every slide is as large as the one whose size is found most often, 97,792 x
221,184 px, so that glass is rather too much than too little.

TUPAC16, sizes: smallest, mean and largest of the 500 training slides, as CODAIT's deep-histopath tutorial lists them
(slide_stats: 369,356,640, 7,670,709,629 and 35,621,634,048 px). Assumed: sizes between them follow the power of the
rank that has this mean. Tissue: the same project keeps 4.7 million samples of 256 px at 20x of these slides, which is
32 % of their area; assumed the same on every slide.
"""

import math
from typing import Final

from benchmarks.cluster_model_jobs import Slide

_CAMELYON16_SIZE: Final = (97_792, 221_184)
_TISSUE_MPX: Final = {
    # million level-0 pixels of tissue, a slide each
    "normal": (
        368,
        380,
        920,
        93,
        115,
        226,
        613,
        112,
        1290,
        133,
        2091,
        596,
        225,
        368,
        905,
        77,
        42,
        594,
        51,
        118,
        89,
        890,
        241,
        1233,
        390,
        345,
        47,
        755,
    ),
    "tumor": (
        1456,
        376,
        1265,
        2239,
        635,
        2657,
        2055,
        2258,
        2020,
        428,
        1041,
        1067,
        958,
        1697,
        4945,
        831,
        1555,
        1705,
        441,
        1449,
        2808,
        1288,
        699,
        2651,
        593,
        3206,
        2013,
    ),
    "test": (
        1579,
        810,
        1615,
        1038,
        2625,
        1114,
        1319,
        121,
        2019,
        641,
        2171,
        375,
        293,
        3324,
        208,
        3564,
        1691,
        1636,
        681,
        81,
        1087,
        1198,
        1858,
        627,
        1042,
        2333,
        4345,
    ),
}
_CAMELYON16_SLIDES: Final = {"normal": 160, "tumor": 111, "test": 129}
TEST_SLIDES: Final = _CAMELYON16_SLIDES["test"]
"""They come last."""

_POSITIVE_SHARE: Final = 0.05
"""Assumed: the share of a tumor slide's tissue that is annotated."""

_TUPAC16_SLIDES: Final = 500
_TUPAC16_PX: Final = (369_356_640, 7_670_709_629, 35_621_634_048)
_TUPAC16_SAMPLES: Final = 4_700_000
_SAMPLE_PX: Final = 256


def camelyon16(downsample: int, stride: int, normals: int | None = None) -> list[Slide]:
    """The 400 slides.

    Args:
        downsample: level-0 pixels per scale-0 pixel.
        stride: of the windows, scale-0 pixels.
        normals: patches of a slide without tumor; tumor slides give their positives and as many normals. None takes
            every window of tissue.
    """
    width, height = (side // downsample for side in _CAMELYON16_SIZE)
    slides = []
    for kind, count in _CAMELYON16_SLIDES.items():
        known = _TISSUE_MPX[kind]
        for number in range(count):
            tissue = known[number % len(known)] * 1e6 / downsample**2
            positives = round(tissue * _POSITIVE_SHARE / stride**2)
            patches = normals if normals is None or kind != "tumor" else 2 * positives
            slides.append(Slide(width, height, tissue / (width * height), patches))
    return slides


def tupac16() -> list[Slide]:
    """The 500 training slides at half the resolution of level 0 (20x), mixed so that size and rank have no order."""
    least, mean, most = _TUPAC16_PX
    power = (most - least) / (mean - least) - 1
    ranks = [(number + 0.5) / _TUPAC16_SLIDES for number in range(_TUPAC16_SLIDES)]
    share = _TUPAC16_SAMPLES * _SAMPLE_PX**2 / (mean / 4 * _TUPAC16_SLIDES)
    step = 199  # has no divisor in common with 500
    mixed = [ranks[number * step % _TUPAC16_SLIDES] for number in range(_TUPAC16_SLIDES)]
    sides = [round(math.sqrt((least + (most - least) * rank**power) / 4)) for rank in mixed]
    return [Slide(side, side, share) for side in sides]
