# `make rank` and `make test` do everything on a machine that has Python 3.11 or newer, make and git.

PYTHON ?= python3
PORT ?= 5000
BIN := .venv/bin
STAMP := .venv/installed

# Waiting threads must not spin: on a busy machine two spinning ones take ten times as long. Telemetry of all tools is off.
export OMP_WAIT_POLICY = passive
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DO_NOT_TRACK = true
# Packages are compiled when they are first imported, not when they are installed; empty means that byte code is written.
export PYTHONDONTWRITEBYTECODE =
# A file of tests stays on one worker, so that its fixtures are made once; files keep their order, so that slow ones are not last.
BY_FILE := --dist loadfile --no-loadscope-reorder
export DVC_NO_ANALYTICS = 1
export PREFECT_SERVER_ANALYTICS_ENABLED = false
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION = false

.PHONY: clone rank test unit test-servers test-clusters lint versions golden evaluate ui picture zoo

rank: clone $(STAMP)      ## rank the embedded zoo on the embedded data
	dvc repro
	itm show

clone:
	@git rev-parse --git-dir > /dev/null || \
	  { echo "$(CURDIR) is no git clone, and DVC needs one: run 'git init', or clone the repository" >&2; exit 2; }

test: lint                ## check style, types and structure, and run all tests but those of the two targets below
	pytest -n 3 $(BY_FILE) -m "not (servers or clusters)"

unit: $(STAMP)            ## run the tests that need no server, no other process and no DVC, in two minutes
	pytest -n 2 $(BY_FILE) -m "not (integration or slow)"

test-servers: $(STAMP)    ## run the tests with servers, killed processes, DVC projects and whole commands, and those of the wheel
	pytest -n 3 $(BY_FILE) -m "servers and not clusters"

test-clusters: $(STAMP)   ## run the tests with work pools, Dask, PostgreSQL, most interruptions and a million rows
	pytest -n 2 $(BY_FILE) -m clusters

lint: $(STAMP)            ## check style, types and structure
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	python -m benchmarks.structure --check

versions: $(STAMP)        ## write versions.yaml after a version in the code was raised
	python -m benchmarks.versions

golden: $(STAMP)          ## write the golden values again; refuses what changed while its version did not
	python -m tests.golden

evaluate: $(STAMP)        ## print how well each score predicts the accuracies of fine-tuned models that are committed
	dvc repro evaluate
	cat data/evaluation/table.md

ui: $(STAMP)              ## compare rankings in the browser; PORT=5001 uses another port
	python -m tasks.track.ui --port $(PORT)

picture: $(STAMP)         ## take the pictures of the README and of MLflow with an installed Chromium
	chromium --headless --no-sandbox --hide-scrollbars --window-size=1300,1560 --screenshot=docs/ranking.png \
	  file://$(CURDIR)/data/reports/index.html
	python -m benchmarks.mlflow_pages

zoo: $(STAMP)             ## train the embedded zoo again (an hour); PICTURES=FILE names the training images of the mini pool
	python -m benchmarks.pretraining.drawn
	python -m benchmarks.pretraining.main $(if $(PICTURES),--pictures $(PICTURES))

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
	  torch==2.13.0 -e '.[dev]'  # a variable, because the option does not reach the build
	$(BIN)/python -c 'import dvc.cli, flows.rank, tasks.track'  # broken packages are found here
	touch $@
