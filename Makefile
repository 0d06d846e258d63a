# The development environment. Every target creates the environment it needs in .venv; nothing is installed globally.
.DEFAULT_GOAL := help
# The Python to make .venv with, 3.11 or newer: make demo PYTHON=python3.12
PYTHON ?=
BIN := .venv/bin
# Python never writes bytecode beside generated/: the lock hashes that tree.
export PYTHONDONTWRITEBYTECODE := 1

# Read by the shell from its environment: a name may have blanks, quotes and letters of any alphabet.
export SPEC
SPEC_OPTIONS = $(if $(JSON),--json) $(if $(API),--api '$(API)') $(if $(SPEC),-- "$$SPEC")

.PHONY: bench-ledger crash-test help simulate demo demo-v2 test test-fast check regenerate check-generated cassettes update-spec diff-spec upgrade-generator bench soak docs pictures clean

help:  ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/' | expand -t 20

# Not files to make: the script looks for itself whether anything is to be done.
.PHONY: .venv/.installed .venv/.demo
.venv/.installed:
	@PYTHON='$(PYTHON)' sh scripts/environment.sh dev

.venv/.demo:
	@PYTHON='$(PYTHON)' sh scripts/environment.sh demo

simulate: .venv/.demo  ## run the simulator until Ctrl-C, with its page and control API (ARGS=... as modica simulate --help says)
	@$(BIN)/modica simulate $(ARGS)

demo: .venv/.demo  ## send, broadcast, get and receive receipts (simulator; LIVE=1 DESTINATION=+64... for the real gateway)
	@$(BIN)/modica demo $(if $(filter 1,$(LIVE)),--live --destination '$(DESTINATION)')

demo-v2: .venv/.demo  ## the same on REST v2
	@$(BIN)/modica demo --v2 $(if $(filter 1,$(LIVE)),--live --destination '$(DESTINATION)')

test: .venv/.installed  ## run the tests, print coverage, fail under 99 % of lines and branches
	@# Not pytest --cov: pytest imports our plugin, and with it the package, before that begins to count.
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -n auto --maxprocesses 4 || { $(BIN)/python -m coverage erase; exit 1; }
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

test-fast: .venv/.installed  ## the tests that are quick, without coverage
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 -m 'not slow'

check: .venv/.installed check-generated  ## lint, types, import rules, spelling, and that generated/ is what the pipeline makes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry .
	$(BIN)/codespell

regenerate: .venv/.installed  ## published documents -> OpenAPI 3 -> overlays -> generated/
	@$(BIN)/python -m scripts.pipeline.regenerate

check-generated: .venv/.installed  ## fail if generated/ differs from what the pipeline makes, or was edited by hand
	@$(BIN)/python -m scripts.pipeline.regenerate --check

update-spec: .venv/.installed  ## take over a document the vendor changed, all or nothing (SPEC=file or URL; default: the vendor's)
	@$(BIN)/python -m scripts.pipeline.update_spec $(SPEC_OPTIONS)

diff-spec: .venv/.installed  ## the same report without touching anything; fails on a breaking change (SPEC=..., JSON=1, API=gateway-v1|sms-v2)
	@$(BIN)/python -m scripts.pipeline.update_spec --diff $(SPEC_OPTIONS)

upgrade-generator: .venv/.installed  ## show what the newest generator and formatter would change in generated/
	@$(BIN)/python -m scripts.pipeline.upgrade_generator

cassettes: .venv/.installed  ## record tests/cassettes again, against the simulator (or the real gateway, with credentials set)
	$(BIN)/python scripts/record_cassettes.py

soak: .venv/.installed  ## 100,000 sends through an unreliable gateway: none twice, none lost, memory flat (SENDS=...)
	@$(BIN)/python scripts/soak.py $(if $(SENDS),--sends $(SENDS))

crash-test: .venv/.installed  ## kill 1,000 processes that use the ledger, on each database: none sent twice, none unlisted (SIZE=...)
	@$(BIN)/python scripts/crash_test.py $(if $(SIZE),--kills $(SIZE))

bench-ledger: .venv/.installed  ## what the ledger costs and how fast it works, up to a million recipients (SIZE=... recipients)
	@$(BIN)/python scripts/bench_ledger.py $(if $(SIZE),--size $(SIZE))

bench: .venv/.installed  ## what the facade costs, as ratios to what it stands on (seven minutes; writes bench.json)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group bench
	@$(BIN)/python scripts/bench.py

docs: .venv/.installed  ## build the documentation into docs/_build/html, without the network; a warning is an error
	@$(BIN)/python -m sphinx -E -q -W --keep-going -d docs/_build/doctrees docs docs/_build/html
	@echo docs/_build/html/index.html

pictures: .venv/.installed  ## draw docs/pictures again: the map of the package, what becomes of a send, the recorded demo ...
	@$(BIN)/python -m scripts.pictures

clean:  ## remove the environment and every by-product
	rm -rf .venv .nox dist build docs/_build .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache bench.json
