# `make demo` and `make test` set up everything that they need, on a Debian machine, as root.
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LAB := .deployer/hello

.PHONY: demo test check live chaos bench clean
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

# The long form of the campaign, up to three hours; docs/reliability.md says what it tries.
chaos: $(READY)
	@mkdir -p .deployer
	CHAOS=long CHAOS_REPORT=.deployer/chaos.txt $(BIN)/pytest $(wildcard tests/live/test_[6-9]_*.py) -m live -v

bench: $(READY)
	@DEPLOY=$(BIN)/deploy PYTHON=$(BIN)/python sh benchmarks/run.sh

$(READY): requirements.lock pyproject.toml
	@sh tools/setup.sh $(VENV)
	@touch $@

clean:
	rm -rf $(VENV) .deployer
