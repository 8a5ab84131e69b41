"""Run by spark-submit on a cluster with GPUs: infers, then asks a task what it sees. Arguments: model, slide, out."""

import json
import os
import sys
from pathlib import Path

from cluster.session import spark_session
from inference.engines.task_gpu import gpus_of_task
from inference.job import run_inference
from preprocessing.inventory import inventory
from training.card import load_card

model, slide, out = sys.argv[1:]
recipe = load_card(Path(model)).recipe
with spark_session("gpu test") as spark:
    summary = run_inference(spark, recipe, inventory(slide, recipe.tiling, recipe.seed), Path(model), out)
    look = lambda _: (gpus_of_task(), os.environ.get("CUDA_VISIBLE_DEVICES"))  # noqa: E731 - travels to the worker
    seen = spark.sparkContext.parallelize([0], 1).map(look).collect()
print(json.dumps({"done": summary.done, "seen": seen}))
