"""Tile the same slides into one output after the other, in one Spark session; see `chaos`.

python -m tests.preprocessing.chaos_job SLIDES OUTS FIRST END
"""

import sys

from cluster.session import spark_session
from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.recipe_file import load_recipe
from tests.conftest import ROOT
from tests.preprocessing.chaos import BEGUN


def main(slides: str, outs: str, first: str, end: str) -> None:
    recipe = load_recipe(str(ROOT / "conf" / "demo.yaml"), ["tiling.block=256"])
    entries = inventory(slides, recipe.tiling, recipe.seed)
    with spark_session("chaos", "local[2,20]") as spark:
        print(BEGUN, flush=True)
        for number in range(int(first), int(end)):
            run_tiling(spark, recipe, entries, f"{outs}/{number:07d}", wave=2)
            print(number, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
