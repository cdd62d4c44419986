# Two commands do everything on a fresh machine: `make bundle` and `make test`.
# What is built, from what, stands in dodo.py; the checks stand in noxfile.py.
PYTHON ?= python3
export PYTHONDONTWRITEBYTECODE =

.PHONY: help bundle test environment

help:
	@echo "make bundle   make .venv and build the signed offline kit into artifacts/lnm/"
	@echo "make test     the same, then every test of the project"

environment:
	@$(PYTHON) -m scripts.environment build

bundle: environment
	@.venv/bin/doit bundle

test:
	@$(PYTHON) -m scripts.environment test
	@sh ci/apt.sh
	@.venv/bin/doit bundle
	@.venv/bin/python -m pytest
	@.venv/bin/doit bundle
