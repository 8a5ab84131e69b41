"""A worker that takes 900 MB, the first time: `hungry.py NOTE`, where NOTE is a file that tells that it was there."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from pyspark.sql import SparkSession


def square_by(note: Path) -> Callable[[int], int]:
    def square(number: int) -> int:
        if not note.exists():
            note.touch()
            held = bytearray(b"\1") * (900 << 20)
            time.sleep(1000)
            del held
        return number * number

    return square


if __name__ == "__main__":
    spark = SparkSession.builder.appName("hungry").getOrCreate()
    print("squares:", spark.sparkContext.parallelize([7], 1).map(square_by(Path(sys.argv[1]))).collect())
    spark.stop()
