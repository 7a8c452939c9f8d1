# Thin: what there is to do stands in noxfile.py and scripts/. Everything made here goes to .venv and build.

VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin

.PHONY: help test faults demo bench checks docs format clean

help:
	@echo "make test     the static checks and, at the same time, all tests that this machine can run"
	@echo "make faults   kills, fills, damages and poisons builds and installations, and counts what survives (half an hour)"
	@echo "make demo     builds the example, installs it without a network, starts it and asks it for a page"
	@echo "make bench    compares us with our peers, and writes benchmarks/results.json (an hour; BENCH=--quick: minutes)"
	@echo "make checks   the static checks alone"
	@echo "make docs     makes the manual in build/docs"
	@echo "make format   lets ruff put the sources in order"
	@echo "make clean    removes .venv and build"

# At the same time: the checks, which need one processor, are done first, so that the tests' summary is left on the screen.
test: $(VENV)/ready
	@mkdir -p build; \
	{ code=0; $(MAKE) --no-print-directory checks >build/checks.log 2>&1 </dev/null || code=$$?; cat build/checks.log; exit $$code; } & \
	checks=$$!; trap 'kill $$checks' INT TERM; tests=0; \
	PATH="$(BIN):$$PATH" python -m pytest $(PYTEST) || tests=$$?; \
	wait $$checks || { echo "The static checks failed, see build/checks.log" >&2; exit 1; }; \
	exit $$tests

checks: $(VENV)/ready
	@PATH="$(BIN):$$PATH" nox --no-venv --no-install --tags checks

docs: $(VENV)/ready
	@PATH="$(BIN):$$PATH" nox --no-venv --no-install --session docs

faults: $(VENV)/ready
	@PATH="$(BIN):$$PATH" nox --no-venv --no-install --session faults

demo:
	@python=$$(scripts/find-python) && "$$python" scripts/demo.py

bench: $(VENV)/ready
	@$(BIN)/python -m benchmarks $(BENCH)

format: $(VENV)/ready
	@$(BIN)/ruff check --fix-only . && $(BIN)/ruff format .

$(VENV)/ready: pyproject.toml
	@python=$$(scripts/find-python) && echo "Setting up $(VENV) with $$python" && "$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install -qq --editable . --group test --group check --group docs "nox>=2025.5"
	@touch $@

clean:
	rm -rf $(VENV) build
