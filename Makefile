# `make rank` and `make test` do everything on a machine that has Python 3.11 or newer, make and git.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

# Waiting threads must not spin: two that do take ten times as long on a busy machine. Nothing here reports to anyone.
export OMP_WAIT_POLICY = passive
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DO_NOT_TRACK = true
# A package is compiled when it is first imported, not while it is installed; empty says that the result may be kept.
export PYTHONDONTWRITEBYTECODE =
# A file of tests stays on one worker, which makes its fixtures once; files come as they lie, the slow ones not last.
BY_FILE := --dist loadfile --no-loadscope-reorder
export DVC_NO_ANALYTICS = 1
export PREFECT_SERVER_ANALYTICS_ENABLED = false
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION = false

.PHONY: rank test test-servers evaluate picture ui zoo

rank: $(STAMP)            ## rank the embedded zoo on the embedded data
	dvc repro
	itm show

test: $(STAMP)            ## check style and types, run the tests
	ruff check .
	ruff format --check .
	mypy
	pytest -n 2 $(BY_FILE) -m "not servers"

test-servers: $(STAMP)    ## run the tests with Dask clusters, work pools and PostgreSQL, and those that kill their workers
	pytest -n 2 $(BY_FILE) -m servers

evaluate: $(STAMP)        ## print what every score is worth, from committed measurements of fine-tuned models
	dvc repro evaluate
	cat data/evaluation/table.md

ui: $(STAMP)              ## compare rankings in the browser
	mlflow server --backend-store-uri sqlite:///data/mlflow.db --host 127.0.0.1 --port 5000

picture: $(STAMP)         ## take the picture of the README, with a Chromium that is installed
	chromium --headless --no-sandbox --hide-scrollbars --window-size=1300,1560 --screenshot=docs/ranking.png \
	  file://$(CURDIR)/data/reports/index.html

zoo: $(STAMP)             ## train the embedded zoo again (an hour); PICTURES=FILE for what the mini pool is trained on
	python -m benchmarks.pretraining.drawn
	python -m benchmarks.pretraining.main $(if $(PICTURES),--pictures $(PICTURES))

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
	  torch==2.13.0 -e '.[dev]'  # as a variable, since the option does not reach what builds this package
	$(BIN)/python -c 'import dvc.cli, flows.rank, tasks.track'  # what does not load is found here, and byte code is made once
	touch $@
