# Everything runs in .venv, which `make setup` creates; nothing else needs to be installed but python3 and make.
# `make test TORCH=2.11` tests with another torch than constraints.txt has, in .venv-torch-2.11.
PYTHON ?= python3
VENV := .venv$(if $(TORCH),-torch-$(TORCH))
BIN := $(VENV)/bin
FIT := $(BIN)/python -m lightning_modules.fit

.PHONY: help setup demo test test-slow test-faults test-gpu test-slurm test-docker lint format docs clean

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.ready  ## Create the environment in .venv

.venv/.ready: pyproject.toml setup.py constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# torchaudio 2.11.1 asks for torch 2.11 but does not load before 2.13; 2.11.0 goes with all up to 2.14.
.venv-torch-%/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(@D)
	grep -vE '^(torch|torchaudio|torchvision|triton|cuda-.*|nvidia-.*)==' constraints.txt > $(@D)/constraints.txt
	$(@D)/bin/pip install --quiet --constraint $(@D)/constraints.txt 'torch==$*.*' torchaudio==2.11.0 --editable '.[dev]'
	touch $@

demo: setup  ## Train AASIST on a small synthetic corpus, to a result table (minutes on two CPU cores)
	$(FIT) --config configs/ssd_aasist.yaml --config configs/overlays/demo.yaml

test: setup  ## Run the fast test suite, a file a core
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not slow' --numprocesses auto --maxprocesses 4 --dist loadfile

test-slow: setup  ## Run the tests that take minutes
	$(BIN)/python -m pytest -m slow --timeout 3600

test-faults: setup  ## Kill, stop, fill and damage what a run needs (minutes; small disks need root)
	$(BIN)/python -m pytest tests/faults --timeout 3600

test-gpu: setup  ## Compare scores of a GPU with those of the CPU, and measure steps (six minutes)
	$(BIN)/python .ci/gpu.py

test-slurm: setup  ## Run jobs on a SLURM cluster of two nodes on this machine (apt-get install slurm-wlm munge)
	$(BIN)/python tests/slurm/cluster.py $(BIN)/python -m pytest tests/slurm

test-docker:  ## Build the container image and train in it (as root; apt-get install buildah debootstrap)
	docker/test_image.sh

lint: setup  ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/shellcheck --external-sources slurm/*.sh slurm/*.sbatch docker/*.sh

format: setup  ## Apply the format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup  ## Write the reference of all public names to build/docs
	PYTHONPATH=. $(BIN)/python .ci/reference.py

clean:  ## Remove the environment; data and runs stay
	rm -rf .venv .venv-torch-* build *.egg-info
