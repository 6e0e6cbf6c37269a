# Two commands matter: `make run` and `make test`. `make help` lists the rest.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
CLIENT := pylon/client/browser
CLIENT_SOURCES := $(shell find $(CLIENT)/src examples/chat/src -type f 2>/dev/null) $(CLIENT)/package.json
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help run test check lint fix types contracts unit client client-test generate screens snapshots bench wheel deb bundle formula installers clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

run: $(VENV)/.installed $(CLIENT)/dist/client.js ## Set up and open the dashboard on the chat example
	@if [ -t 0 ] && [ -t 1 ]; then exec $(BIN)/pylon examples/chat; \
	else exec $(BIN)/pylon dev --no-tui examples/chat; fi

test: $(VENV)/.installed-dev $(CLIENT)/dist/client.js ## Set up and run every check and every test
	@sh installers/chromium.sh >/dev/null
	@sh installers/test-tools.sh
	@$(MAKE) -j2 --no-print-directory lint types contracts client-test
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m "not alone and not pair"
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m pair
	@$(BIN)/python -m pytest -m alone

check: $(VENV)/.installed-dev lint types contracts ## Format, lint, types, contracts and the fast tests
	@$(BIN)/python -m pytest -q -x tests/tidy tests/unit

lint: $(VENV)/.installed-dev ## Format check and lint
	@$(BIN)/ruff format --check --quiet pylon tests benchmarks installers || { echo "run: make fix"; exit 1; }
	@$(BIN)/ruff check --quiet pylon tests benchmarks installers
	@echo "format and lint: ok"

fix: $(VENV)/.installed-dev ## Format, and mend what the linter can
	@$(BIN)/ruff check --quiet --fix-only pylon tests benchmarks installers
	@$(BIN)/ruff format --quiet pylon tests benchmarks installers

types: $(VENV)/.installed-dev ## The strict type checker
	@$(BIN)/mypy

contracts: $(VENV)/.installed-dev ## Who may import whom
	@$(BIN)/lint-imports

client: $(CLIENT)/dist/client.js ## Build the browser client and the chat page

$(CLIENT)/dist/client.js: $(VENV)/.installed $(CLIENT_SOURCES)
	@sh installers/client.sh

client-test: $(CLIENT)/dist/client.js ## Types and tests of the browser client, in Node
	@PATH="$$(sh installers/node.sh):$$PATH" && export PATH && cd $(CLIENT) && npm run --silent typecheck && npm test --silent

generate: $(VENV)/.installed-dev ## Write the generated files anew
	@$(BIN)/python -m pylon.devtools.codegen.wire

screens: $(VENV)/.installed-dev $(CLIENT)/dist/client.js ## Draw the pictures of README and docs, those of the tour by walking through it
	@sh installers/chromium.sh >/dev/null
	@$(BIN)/python -m pylon.tui.screenshot docs/dashboard.svg
	@$(BIN)/python -m tests.tour

snapshots: $(VENV)/.installed-dev ## Write the grids anew that the screens are held against; look at each
	@PYLON_SNAPSHOTS=renew $(BIN)/python -m pytest -q tests/screens/test_snapshots.py

bench: $(VENV)/.installed-bench $(CLIENT)/dist/client.js ## Measure, beside PocketBase in the same run (about 8 minutes)
	@$(BIN)/python -m benchmarks
	@$(BIN)/python -m benchmarks.browser

wheel: $(VENV)/.installed-dev $(CLIENT)/dist/client.js ## Build the wheel into dist/
	@$(BIN)/python -m build --wheel --outdir dist .

deb: $(VENV)/.installed-dev $(CLIENT)/dist/client.js ## Build the package for Debian and Ubuntu into dist/
	@$(BIN)/python installers/deb.py

bundle: $(VENV)/.installed-dev $(CLIENT)/dist/client.js ## Build the folder with its own Python into dist/ (Linux)
	@$(BIN)/python installers/bundle.py

formula: $(VENV)/.installed-dev $(CLIENT)/dist/client.js ## Write the formula for Homebrew into dist/
	@$(BIN)/python installers/formula.py

installers: wheel deb bundle formula ## Build all that people install

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Pylon needs Python 3.11 or newer, and $(PYTHON) is not; name another: make run PYTHON=python3.12"; exit 1; }
	@$(PYTHON) installers/environment.py $(VENV)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(PYTHON) installers/environment.py $(VENV) dev
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	@$(PYTHON) installers/environment.py $(VENV) bench
	@touch $@

clean: ## Remove what was built (the environment stays)
	rm -rf dist build $(CLIENT)/dist $(CLIENT)/node_modules examples/chat/web/chat.js .mypy_cache .ruff_cache .pytest_cache
