# Needs Python ≥ 3.11 with pip and venv, and make. Everything else is put into .venv; nothing is compiled.
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
UV_VERSION := $(shell sed -n 's/^ *"uv==\([^"]*\)".*/\1/p' pyproject.toml)
VENDOR := src/golub/web/static/vendor/htmx.min.js src/golub/vendor/common_passwords.txt
STRACE := $(shell command -v strace)
LOOK ?= build/day
CHROMIUM := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

export UV_PROJECT_ENVIRONMENT := $(CURDIR)/.venv
export UV_PYTHON_DOWNLOADS := never
# uv brings its own certificates; behind a company's proxy only the machine's are right, as for pip.
export UV_SYSTEM_CERTS ?= $(if $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem),1,0)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport VIRTUAL_ENV PYTHONHOME
# Containers often forbid it, and then each process that a test starts compiles everything anew: 10 s instead of 4.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo install serve test check fmt docs screenshots chaos day scan bench bench-full bench-peers chromium strace clean force

help: ## this page
	@echo 'Golub: every Avito message, kept and put before your team.'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.run ## start Golub with a simulated Avito and its buyers; needs no account
	@$(BIN)/golub demo

install: .venv/.run ## put Golub into .venv, for real use

serve: .venv/.run ## start Golub itself
	@$(BIN)/golub serve

test: .venv/.dev chromium strace ## run the whole suite, on SQLite and on a real PostgreSQL
	@$(BIN)/python -m pytest -n 3 --dist worksteal -m 'not story'
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m story

check: .venv/.dev ## lint, types, import directions, house rules
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/pyright
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/test_house_rules.py

fmt: .venv/.dev ## format the code, and mend what the linter can
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

docs: .venv/.dev ## write the pages that are made from the code
	@$(BIN)/python -m docs.generate

screenshots: .venv/.dev chromium ## take the README's pictures again, from a running demo
	@$(BIN)/python docs/screenshots.py

chaos: .venv/.dev chromium strace ## try to break each promise of docs/promises.md, at full counts; hours. One: P=P2
	@$(BIN)/python -m tests.chaos $(P) $(if $(SHORT),--short) $(if $(AGAIN),--again)

scan: .venv/.dev ## bandit and semgrep, in environments of their own; ends with 1 at what docs/security-review.md does not explain
	@$(BIN)/python scans/run.py

day: .venv/.dev chromium ## a day in the inbox by keyboard, two operators in one chat, at full counts; pictures go to LOOK=build/day
	@mkdir -p '$(LOOK)'
	@GOLUB_LOOK='$(LOOK)' $(BIN)/python -m pytest -q --full -o faulthandler_timeout=0 tests/browser/day.py tests/browser/test_two_operators.py
	@echo 'Now look at the pictures in $(LOOK)'

bench: .venv/.dev chromium ## measure Golub against its goals; minutes. Some: ONLY='ack idle'. What is finished once more: AGAIN=1
	@$(BIN)/python -m benchmarks $(ONLY) $(if $(AGAIN),--again)

bench-full: .venv/.dev chromium ## the same at full size; hours
	@$(BIN)/python -m benchmarks $(ONLY) --full $(if $(AGAIN),--again)

bench-peers: .venv/.dev ## the same webhook at what people use instead, which is installed for it
	@$(BIN)/python -m benchmarks peers $(if $(AGAIN),--again)

clean: ## remove .venv and what the build made; your data stays
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist $(dir $(VENDOR))

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Golub needs Python 3.11 or newer, and $(PYTHON) is %d.%d: make PYTHON=python3.12" % sys.version_info[:2])'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet 'uv==$(UV_VERSION)'

# --inexact leaves what `make test` has installed; --reinstall-package runs the build hook, which copies htmx.
.venv/.run: $(UV) pyproject.toml uv.lock hatch_build.py $(if $(filter-out $(wildcard $(VENDOR)),$(VENDOR)),force)
	@$(UV) sync --quiet --locked --inexact --reinstall-package golub
	@touch $@

.venv/.dev: $(UV) pyproject.toml uv.lock hatch_build.py $(if $(filter-out $(wildcard $(VENDOR)),$(VENDOR)),force)
	@$(UV) sync --quiet --locked --extra dev --reinstall-package golub
	@touch $@ .venv/.run

# The browser tests skip, and say so, where there is no Chromium and it may not be installed.
chromium:
ifeq ($(CHROMIUM),)
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo 'Installing Chromium for the browser tests (apt-get install chromium)'; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core fonts-noto-color-emoji >/dev/null \
	    || echo 'Chromium could not be installed: its tests will be skipped'; \
	else echo 'No Chromium here, and only root can install it: its tests will be skipped'; fi
endif

# It makes a disk fail; the stories of that skip, and say so, where it cannot be had.
strace:
ifeq ($(STRACE),)
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo 'Installing strace for the stories of failing disks (apt-get install strace)'; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  apt-get update -qq && apt-get install -qq -y --no-install-recommends strace >/dev/null \
	    || echo 'strace could not be installed: its stories will be skipped'; \
	else echo 'No strace here, and only root can install it: its stories will be skipped'; fi
endif
