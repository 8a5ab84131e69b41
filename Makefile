# `make help` lists the targets. Everything runs in .venv, built from the lock file.
PYTHON ?= $(shell command -v python3.11 || echo python3)
LOCK ?= requirements.lock
BIN := .venv/bin
STAMP := .venv/.installed-$(notdir $(LOCK))

.PHONY: help install demo test lint bench lock

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

install: $(STAMP)  ## build .venv from the lock (a GPU machine: make install LOCK=requirements-gpu.lock)

$(STAMP): $(LOCK) setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(STAMP)

demo: install  ## the whole way on drawn slides: tile, train, infer (under 4 minutes on 2 cores)
	$(BIN)/histospark demo --out demo-out

lint: install  ## style (ruff) and types (mypy strict)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint  ## lint and the complete test suite, the demo included
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=15  # three processes on 2 cores, since most tests wait as much as they compute

bench: install  ## ratios against peers and limits, measured in pairs
	for part in tiling_speed copy_speed camelyon16_speed memory scale core_speed \
	    stream_speed step_time stream_memory infer_speed heatmap_memory lab_speed rerun cluster_model; do \
	  $(BIN)/python -m benchmarks.$$part || exit 1; done

lock: install  ## resolve the lock files anew from setup.py
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --python-version 3.11 --generate-hashes --quiet setup.py constraints.txt \
	  --extra spark --extra train --extra infer --extra collections --extra hdfs --extra s3 --extra onnx --extra lab --extra mlflow --extra dev --extra cpu -o requirements.lock
	$(BIN)/uv pip compile --python-version 3.11 --generate-hashes --quiet setup.py constraints.txt \
	  --extra spark --extra train --extra infer --extra collections --extra hdfs --extra s3 --extra onnx --extra lab --extra mlflow --extra dev --extra gpu -o requirements-gpu.lock
