# `make demo` and `make test` set up everything that they need, on a Debian machine, as root.
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.run
READY := $(VENV)/.ready
LAB := .deployer/hello
# Practice fleets of three hosts that the live tests are spread over: they wait more than they compute.
FLEETS := 3
CHAOS := .deployer/chaos.txt

.PHONY: demo root test check live chaos bench lock clean
demo:
	@sh tools/debian.sh
	@$(MAKE) --no-print-directory --jobs=2 $(RUN) root
	@DEPLOY=$(BIN)/deploy sh examples/demo.sh $(LAB)

test: $(READY) check
	$(BIN)/pytest -n auto --dist worksteal --durations=20
	$(MAKE) live

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

live: $(READY)
	$(BIN)/pytest tests/live -m live -vv -n $(FLEETS) --dist loadfile --no-loadscope-reorder --durations=20

# The long form of the campaign, some hours; docs/reliability.md says what it tries.
chaos: $(READY)
	@mkdir -p .deployer && rm -f $(CHAOS)
	CHAOS=long CHAOS_REPORT=$(CHAOS) $(BIN)/pytest $(wildcard tests/live/test_[6-9]_*.py) -m live -vv -n $(FLEETS) --dist worksteal
	$(BIN)/python tests/live/tallies.py $(CHAOS)

bench: $(READY)
	@DEPLOY=$(BIN)/deploy PYTHON=$(BIN)/python sh benchmarks/run.sh

# What the deployer runs on; and what tests, linters and types need beside it.
$(RUN): requirements.lock pyproject.toml
	@sh tools/debian.sh
	@sh tools/setup.sh $(VENV)
	@touch $@

$(READY): $(RUN) requirements-dev.lock
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

# The hosts' Debian takes Debian's own Python and nothing else, so it can be made beside the environment.
root:
	@PYTHONPATH=. python3 tools/debian_root.py

LOCK := pip-compile -q --generate-hashes --allow-unsafe --strip-extras --no-header --no-emit-options \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host
lock: $(READY)
	$(BIN)/$(LOCK) --build-deps-for editable -o requirements.lock pyproject.toml
	$(BIN)/$(LOCK) -o requirements-dev.lock requirements-dev.in

clean:
	rm -rf $(VENV) .deployer
