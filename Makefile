# make demo        train on the sample photographs, colour the test ones, compare
# make test        all tests, with coverage, on all cores
# make check       lint, format, types
# make benchmark   our maths beside other ways to do the same
# make demo-page   a page that colours in the browser, at http://127.0.0.1:8000; needs npm
# Each builds .venv first where it is missing. PYTHON=python3.12 picks another interpreter.

PYTHON ?= python3
BIN := .venv/bin
RUN := outputs/demo

.PHONY: demo test check benchmark demo-page

$(BIN)/.installed: pyproject.toml setup.py colorize/_compiled.c colorize/_passes.h
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(BIN)/.installed
	$(BIN)/python train.py experiment=demo hydra.run.dir=$(RUN)
	$(BIN)/python -m scripts.strips 'weights=[$(RUN)/model.safetensors,unet]' out=$(RUN)/strips

test: $(BIN)/.installed
	$(BIN)/python -m pytest --numprocesses=auto --dist=loadfile --cov=colorize --cov-report=term --cov-fail-under=90

check: $(BIN)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: $(BIN)/.installed
	$(BIN)/python -m scripts.benchmark

demo/node_modules: demo/package.json
	npm install --prefix demo --ignore-scripts --no-package-lock --no-audit --no-fund --loglevel=error
	touch $@

demo-page: $(BIN)/.installed demo/node_modules
	$(BIN)/python -m scripts.demo_page
