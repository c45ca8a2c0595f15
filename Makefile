# make demo: install, train a text model and a tune model, write demo/.    make test: lint, types, tests.
PYTHON ?= python3
BIN := .venv/bin
SEQGEN := $(BIN)/seqgen
MINUTES ?= 2

.PHONY: demo test test-all bench clean

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt -e .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/pip install --quiet -c constraints.txt -e '.[test]'
	touch $@

demo: .venv/installed
	mkdir -p demo
	$(SEQGEN) train pydoc -o models/demo-text --overwrite --minutes $(MINUTES)
	$(SEQGEN) train fiddle -o models/demo-tunes --overwrite --minutes $(MINUTES)
	$(SEQGEN) sample models/demo-text --length 2000 --temperature 0.7 --seed 2 -o demo/text.txt
	$(SEQGEN) sample models/demo-tunes --seed 1 -o demo/tune.abc
	$(SEQGEN) sample models/demo-tunes --seed 1 -o demo/tune.mid
	$(SEQGEN) sample models/demo-tunes --seed 1 -o demo/tune.musicxml
	@echo; head -c 600 demo/text.txt; echo; echo; cat demo/tune.abc
	@echo; echo "Open demo/tune.musicxml in a score editor, play demo/tune.mid."

test: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses auto --dist loadfile

test-all: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -m '' --numprocesses auto --dist loadfile

bench: .venv/installed-test
	for script in benchmarks/*/bench_*.py; do \
	  PYTHONPATH=. $(BIN)/python $$script || echo "$$script: see the README beside it" >&2; done

clean:
	rm -rf .venv demo .pytest_cache .mypy_cache .ruff_cache
