# The verbs of the project; each sets up what it needs first, which is quick when that is done.
.DEFAULT_GOAL := help
.PHONY: help setup setup-oci setup-charts setup-dev up down test test-unit test-on-trixie coverage check format docs bench lock

PYTEST_FLAGS ?=

help: ## show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: ## install what is missing: packages, PgBouncer, Python environment
	@scripts/setup

setup-oci: ## the same, with what engine oci needs
	@scripts/setup --oci

setup-charts: ## the same, with what `simulate --chart` needs
	@scripts/setup --charts

setup-dev: ## the same, with what tests and checks need
	@scripts/setup --dev

up: setup ## bring up the whole example fleet on this machine
	@bin/pgherd up

down: setup ## stop it, keeping all data
	@bin/pgherd down

test: setup-dev ## run every test, the quick ones first
	@scripts/test $(PYTEST_FLAGS)

test-unit: setup-dev ## run the tests that start no server
	@scripts/test --quick $(PYTEST_FLAGS)

test-on-trixie: ## check and test in a clean Debian 13, with its PostgreSQL 17; needs root
	@scripts/test-on trixie $(PYTEST_FLAGS)

coverage: setup-dev ## run the same, and show which lines they did not run
	@scripts/test --coverage $(PYTEST_FLAGS)

check: setup-dev ## check format, lint, types, layers and generated docs
	@scripts/check

format: setup-dev ## format the code and repair what lint can repair
	@scripts/check --repair

docs: setup-dev ## write the generated docs anew
	@scripts/docs

bench: setup-dev ## measure what the README's numbers are made with
	@scripts/bench

lock: ## write the lock files of requirements/ anew
	@scripts/lock
