# `make demo` and `make test` set up everything that they need, on a Debian machine, as root.
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LAB := .deployer/hello

.PHONY: demo test check live bench clean
demo: $(READY)
	@DEPLOY=$(BIN)/deploy sh examples/demo.sh $(LAB)

test: $(READY) check
	$(BIN)/pytest
	$(MAKE) live

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

live: $(READY)
	$(BIN)/pytest tests/live -m live -v

bench: $(READY)
	@DEPLOY=$(BIN)/deploy PYTHON=$(BIN)/python sh benchmarks/run.sh

$(READY): requirements.lock pyproject.toml
	@sh tools/setup.sh $(VENV)
	@touch $@

clean:
	rm -rf $(VENV) .deployer
