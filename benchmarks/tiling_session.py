"""Our tiling job, one request after the other on one Spark session: see `sessions`.

    python -m benchmarks.tiling_session local[2]

A request is a line of JSON: `slides`, `out`, `recipe` (paths) and, if need be, `set` (overrides of the recipe).
"""

import json
import sys
import time

from benchmarks.sessions import ANSWER
from cluster.session import spark_session
from preprocessing.inventory import inventory
from preprocessing.job import run_tiling
from preprocessing.recipe_file import load_recipe


def main(master: str) -> None:
    """Answer requests until the input ends."""
    with spark_session("benchmark", master) as spark:
        for line in sys.stdin:
            request = json.loads(line)
            started = time.perf_counter()
            recipe = load_recipe(request["recipe"], request.get("set", ()))
            entries = inventory(request["slides"], recipe.tiling, recipe.seed)
            summary = run_tiling(spark, recipe, entries, request["out"])
            seconds = time.perf_counter() - started
            if summary.failed:
                raise SystemExit(f"{summary.failed} slides failed: {summary.faults}")
            print(ANSWER + json.dumps({"seconds": seconds, "tiles": summary.patches}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
