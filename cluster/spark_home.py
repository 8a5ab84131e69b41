"""Which Spark submits: the cluster's own where there is one, else the one that pip installed."""

import os
import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from cluster.errors import UsageError
from cluster.java import ensure_java


@dataclass(frozen=True)
class SparkSubmit:
    """A program `spark-submit`.

    Attributes:
        program: its path.
        home: of its Spark; None where only the program is known.
        is_pips: of pip's pyspark, which knows no cluster.
    """

    program: Path
    home: Path | None
    is_pips: bool = False

    def environment(self) -> dict[str, str]:
        """Variables of this process for it, without those that would choose another Python or Spark."""
        if self.is_pips or not ("JAVA_HOME" in os.environ or shutil.which("java")):
            ensure_java()  # a cluster's Spark may be content with an older Java
        chosen = ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON", "SPARK_HOME")
        kept = {name: value for name, value in os.environ.items() if name not in chosen}
        return kept if self.home is None else {**kept, "SPARK_HOME": str(self.home)}


def find_spark_submit(home: str | None) -> SparkSubmit:
    """The program that submits: of a Spark named, of `SPARK_HOME`, on the `PATH`, or of pip's pyspark.

    Args:
        home: folder of a Spark; None looks for one.

    Raises:
        UsageError: there is none where it should be, or none at all.
    """
    named, by = (home, "--spark-home") if home else (os.environ.get("SPARK_HOME"), "SPARK_HOME")
    if named:
        program = Path(named).absolute() / "bin" / "spark-submit"
        if not program.is_file():
            raise UsageError(f"{by} is {named}, which has no bin/spark-submit: name the folder of a Spark, or none")
        return SparkSubmit(program, program.parent.parent)
    on_path = shutil.which("spark-submit")
    if on_path and Path(on_path).parent != Path(sys.executable).parent:  # that is pip's, too
        return SparkSubmit(Path(on_path), None)
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise UsageError("no Spark was found to submit with: set SPARK_HOME, or pip install histospark[spark]")
    bundled = Path(spec.origin).parent
    return SparkSubmit(bundled / "bin" / "spark-submit", bundled, is_pips=True)
