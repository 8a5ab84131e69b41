"""One wave of mammograms on Spark: each is read, its breast cut out, brought to size, and written with its mask."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from cluster.stage_names import stage
from cluster.storage import Store
from cluster.words import counted
from cluster.worker import make_tasks_quick
from preprocessing.errors import AnnotationError, SlideReadError
from preprocessing.isolation import isolated
from preprocessing.ledger import Outcome, failed_by
from preprocessing.mammograms.breast import breast_mask
from preprocessing.mammograms.cbis_ddsm import Mammogram, Region
from preprocessing.mammograms.fitting import Fit
from preprocessing.mammograms.gray_image import read_gray, write_gray
from preprocessing.publish import SlideTable
from preprocessing.slide_entry import SlideEntry

IMAGE: Final = "image.png"
MASK: Final = "mask.png"
_SAME_ASPECT: Final = 0.02  # some masks were stored at another size than their mammogram, of the same shape


def prepare_wave(
    spark: SparkSession,
    entries: Sequence[SlideEntry],
    mammograms: Mapping[str, Mammogram],
    box: tuple[int, int],
    table: SlideTable,
) -> list[Outcome]:
    """Make a wave of mammograms ready and publish the good ones.

    Args:
        spark: the session.
        entries: those of the wave.
        mammograms: by slide_id.
        box: height and width, see `Fit`.
        table: gets a folder with `IMAGE` and `MASK` for each.

    Returns:
        One outcome each. Memory of a worker: about 16 bytes a pixel of one mammogram.
    """
    tasks = [(entry, mammograms[entry.slide_id]) for entry in entries]
    work = partial(_prepared, box=box, staging=table.staging)
    with stage(spark, f"prepare {counted(len(tasks), 'mammogram')}"):
        outcomes = spark.sparkContext.parallelize(tasks, len(tasks)).map(work).collect()
    for outcome in outcomes:
        if outcome.status == "done":
            table.publish(f"slide_id={outcome.entry.slide_id}", outcome.entry.slide_id)
    return outcomes


def _prepared(task: tuple[SlideEntry, Mammogram], box: tuple[int, int], staging: str) -> Outcome:
    make_tasks_quick()
    entry, mammogram = task
    started = time.monotonic()
    try:
        with isolated(entry.slide_id, "mammogram", staging):
            files = {name: write_gray(values) for name, values in prepared(mammogram, box).items()}
        for name, data in files.items():
            Store(staging).write_bytes(data, f"slide_id={entry.slide_id}", name)
    except Exception as error:  # whatever one image does, the others go on; the ledger gets the cause
        return failed_by(entry, error)
    return Outcome(
        entry,
        "done",
        candidates=len(mammogram.regions),
        patches=1,
        positives=int(mammogram.malignant),
        seconds=time.monotonic() - started,
        written_bytes=sum(len(data) for data in files.values()),
    )


def prepared(mammogram: Mammogram, box: tuple[int, int]) -> dict[str, NDArray[np.uint16] | NDArray[np.uint8]]:
    """A mammogram at its size, black outside of the breast, and the labels of its regions.

    Where regions overlap, the later label of `cbis_ddsm.LABELS` counts: mass before calcification, malignant before
    benign.

    Args:
        mammogram: what to read.
        box: height and width, see `Fit`.

    Returns:
        `IMAGE`: (side, side) uint16; `MASK`: (side, side) uint8.

    Raises:
        SlideOpenError, SlideReadError: the image or a mask cannot be read, or shows no breast.
        AnnotationError: a region has no mask of the image's shape, or an empty one.
    """
    image = read_gray(mammogram.path)
    breast = breast_mask(image)
    if not breast.any():
        raise SlideReadError(f"{mammogram.path} shows no breast: it is black")
    fit = Fit.within(image.shape[1], image.shape[0], box)
    labels = np.zeros((fit.side, fit.side), np.uint8)
    for region in sorted(mammogram.regions, key=lambda region: region.label):
        labels[fit.region(_mask_of(region, mammogram, image.shape))] = region.label
    return {IMAGE: fit.image(np.where(breast, image, np.uint16(0))), MASK: labels}


def _mask_of(region: Region, mammogram: Mammogram, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The file of a region that has the shape of its mammogram: the same size, or the same aspect and two values."""
    found = [read_gray(file) for file in region.files]
    fitting = [values for values in found if values.shape == shape] or [
        values for values in found if _same_aspect(values.shape, shape) and len(np.unique(values)) == 2
    ]
    if len(fitting) != 1:
        sizes = ", ".join(f"{values.shape[1]}x{values.shape[0]}" for values in found)
        raise AnnotationError(
            f"{mammogram.slide_id} is {shape[1]}x{shape[0]} px, and {len(fitting)} files of a region have its shape "
            f"({sizes}): fetch the folder of {region.files[0] if region.files else 'its mask'} anew"
        )
    mask = fitting[0] > 32767
    if not mask.any():
        raise AnnotationError(f"{mammogram.slide_id}: the mask in the folder of {region.files[0]} is empty")
    return mask


def _same_aspect(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return abs(one[0] * other[1] / (one[1] * other[0]) - 1) < _SAME_ASPECT
