"""The infer job with the engine that `auto` takes, against the same job with Keras, `predict_on_batch` for each batch.

    python -m benchmarks.infer_speed [--rounds 3]

The model is that of `histospark demo` with two towers of Inception V3, at 80 px, trained for twelve epochs, not three,
once, and kept. It judges four drawn slides that it never saw, two of them with lesions, by overlapping windows (of
CAMELYON16's test slides 49 of 129 have some). Each run is a whole `histospark infer` on two cores, from its start to
its end: Java, the workers' libraries and the model are loaded, slides read, heatmaps drawn. What that takes however
little there is to judge is measured on a slide of a few windows, and taken off both sides.
"""

import os
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import click
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.options import common_options
from benchmarks.pairs import Run, Spread, in_turn, measured, ratio
from benchmarks.processes import cpu_seconds, run_whole
from benchmarks.report import Bar, say
from histospark.drawing import draw_slide
from inference.evaluate import evaluate_predictions
from preprocessing.inventory import inventory
from preprocessing.recipe_file import load_recipe
from training.card import load_card

ROOT: Final = Path(__file__).parent.parent
RECIPE: Final = ROOT / "conf" / "demo.yaml"
FASTER: Final = 2.0
LARGEST_DIFFERENCE: Final = 0.01
_STAGES: Final = "[{trainable_from: 0, epochs: 12, optimizer: {name: adam}, rate: {kind: one_cycle, peak: 0.002}}]"
_HISTOSPARK: Final = Path(sys.executable).with_name("histospark")
_CORES: Final = 2
_ENGINES: Final = ("auto", "keras")


@dataclass(frozen=True)
class Job:
    """`histospark infer` over some slides.

    Attributes:
        slides: folder of them.
        model: the `.keras` file.
        stride: of the windows, scale-0 pixels.
        work: folder for results, one for each engine.
    """

    slides: Path
    model: Path
    stride: int
    work: Path

    def out(self, engine: str) -> Path:
        """Where the results of an engine lie."""
        return self.work / f"{self.slides.name}_{engine}"

    def run(self, engine: str) -> Run:
        """Once, from an empty output folder."""
        out = self.out(engine)
        shutil.rmtree(out, ignore_errors=True)
        command: list[str | Path] = [_HISTOSPARK, "infer", "--conf", RECIPE, "--slides", self.slides, "--out", out]
        command += ["--model", self.model, "--master", f"local[{_CORES}]"]
        command += ["--set", f"inference.engine={engine}", "--set", f"inference.stride={self.stride}"]
        with _ProcessorTime() as cpu:
            finished = run_whole(command, _CORES, self.log(engine))
        return Run(finished.seconds, len(self.judged(engine)[1]), cpu.seconds)

    def log(self, engine: str) -> Path:
        """What the last run said."""
        return self.work / f"{self.out(engine).name}.log"

    def took(self, engine: str) -> str:
        """What the last run said of its engine, in one line."""
        lines = self.log(engine).read_text(errors="replace").splitlines()
        return next((line.partition("computing with ")[2] for line in lines if "computing with " in line), "unknown")

    def judged(self, engine: str) -> tuple[NDArray[np.str_], NDArray[np.float32]]:
        """Places and probabilities of the last run, in the order of slides, units and windows."""
        files = sorted((self.out(engine) / "predictions").rglob("*.parquet"))
        tables = [pq.ParquetFile(file).read(["x", "y", "probability"]) for file in files]
        names = np.repeat([file.parent.name for file in files], [len(table) for table in tables])
        xy = [np.concatenate([table[axis].to_numpy() for table in tables]).astype(str) for axis in ("x", "y")]
        places = np.char.add(np.char.add(names, np.char.add(" ", xy[0])), np.char.add(" ", xy[1]))
        return places, np.concatenate([table["probability"].to_numpy() for table in tables])

    def auc(self, engine: str) -> float:
        """Of the windows of the last run, by the annotations."""
        recipe = load_recipe(str(RECIPE))
        entries = inventory(str(self.slides), recipe.tiling, recipe.seed)
        return evaluate_predictions(str(self.out(engine)), entries, self.work / "evaluation")[0].auc


class _ProcessorTime:
    """Processor time of everything that this process starts while it is entered, looked at twice a second.

    Attributes:
        seconds: so far.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        before = cpu_seconds(os.getpid())
        while not self._over.wait(0.5):
            self.seconds = max(self.seconds, cpu_seconds(os.getpid()) - before)


def trained_model(cache: Path) -> Path:
    """The model; trained where it is missing, which takes ten minutes."""
    kept = cache / "infer_trained"
    if not (kept / "model" / "model.json").is_file():
        partial = cache / f".partial_{kept.name}"
        shutil.rmtree(partial, ignore_errors=True)
        click.echo("training the model of histospark demo for longer, once")
        command = [_HISTOSPARK, "demo", "--out", partial, "--set", f"training.stages={_STAGES}"]
        command += ["--set", "training.backbone=inception_v3"]
        run_whole(command, _CORES, cache / f"{kept.name}.log")
        partial.rename(kept)
    return kept / "model" / "model.keras"


def drawn_slides(cache: Path) -> tuple[Path, Path]:
    """A folder of slides that no model has seen, and a folder of a tiny one; drawn where they are missing."""
    slides, tiny = cache / "infer_four_slides", cache / "infer_tiny"
    with_lesions = {"tumor_1": 3, "tumor_2": 3, "normal_1": 0, "normal_2": 0}
    for folder, drawn, side in ((slides, with_lesions, 3072), (tiny, {"tiny": 0}, 512)):
        if not folder.is_dir():
            partial = cache / f".partial_{folder.name}"
            shutil.rmtree(partial, ignore_errors=True)
            for seed, (name, lesions) in enumerate(drawn.items(), start=71):
                draw_slide(partial, name, seed, side, lesions=lesions)
            partial.rename(folder)
    return slides, tiny


def agreement(job: Job) -> tuple[int, float, dict[str, float]]:
    """Windows, the largest difference of a probability between the engines, and the AUC of each."""
    (places, ours), (others, theirs) = (job.judged(engine) for engine in _ENGINES)
    if not np.array_equal(places, others):
        raise click.ClickException("the engines judged other windows: nothing can be compared")
    return len(ours), float(np.abs(ours - theirs).max()), {engine: job.auc(engine) for engine in _ENGINES}


def _run_of(job: Job, engine: str) -> Callable[[], Run]:
    return lambda: job.run(engine)


@click.command()
@common_options
@click.option("--rounds", default=3, show_default=True, help="Counted runs of every way.")
@click.option("--stride", default=10, show_default=True, help="Step of the windows, scale-0 pixels.")
def main(cache: Path, rounds: int, stride: int) -> None:
    """Print windows per second, the ratio, and how far the engines agree."""
    work = cache / "work" / "infer"
    work.mkdir(parents=True, exist_ok=True)
    model = trained_model(cache)
    slides, tiny = (Job(folder, model, stride, work) for folder in drawn_slides(cache))
    jobs = {"": slides, ", tiny": tiny}
    ways = {f"{engine}{what}": _run_of(job, engine) for what, job in jobs.items() for engine in _ENGINES}
    runs = in_turn(ways, rounds)
    count, difference, auc = agreement(slides)
    click.echo(
        f"{count} windows of four slides, model {load_card(model).model_id}; 2 cores; median (lowest to highest)"
    )
    for engine in _ENGINES:
        say(f"{engine} computes with", slides.took(engine))
        say(f"{engine}: windows/s of the whole job", measured(runs, engine).rate)
        say(f"{engine}: with the tiny job's time taken off", measured(runs, engine, f"{engine}, tiny").rate)
        say(f"{engine}: windows per CPU second, tiny job off", measured(runs, engine, f"{engine}, tiny").per_cpu_second)
        say(f"{engine}: the tiny job (s)", Spread.of([run.seconds for run in runs[f"{engine}, tiny"]]))
    say("auto / keras, whole job", ratio(*(measured(runs, engine) for engine in _ENGINES)))
    ours, theirs = (measured(runs, engine, f"{engine}, tiny") for engine in _ENGINES)
    Bar("auto / keras, the tiny job's time taken off", ratio(ours, theirs), FASTER).tell()
    say("auto / keras, per CPU second", Spread.of([b.cpu / a.cpu for a, b in zip(ours.runs, theirs.runs, strict=True)]))
    met = "met" if difference <= LARGEST_DIFFERENCE else "NOT MET"
    say("largest difference of a probability", f"{difference:.2g}, bar {LARGEST_DIFFERENCE:g}: {met}")
    met = "met" if len({f"{value:.3f}" for value in auc.values()}) == 1 else "NOT MET"
    say("AUC: auto, keras", f"{auc['auto']:.5f}, {auc['keras']:.5f}, bar equal to 3 digits: {met}")


if __name__ == "__main__":
    main()
