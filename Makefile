# The commands of this checkout. Each builds the environment it needs; none needs anything set beforehand.
#
#   make demo    build the environment, start the lab, run the whole loop, say what came out
#   make test    every check that CI runs; STAGES="unit lint" runs only those (tools/run_stages --list)

VENV ?= .venv
STAGES ?=
PYTHON = $(VENV)/bin/python
export VENV

.DEFAULT_GOAL := help
.PHONY: help venv demo lab-up lab-down lint test full bench docs lock packages clean

help:
	@echo "make venv      the environment, from the tested lock of your Python (3.11 to 3.13)"
	@echo "make demo      the whole loop against a lab on this machine, on captures shipped here"
	@echo "make lab-up    start the lab and leave it running      make lab-down  stop it"
	@echo "make test      every check that CI runs                make lint      only the linters"
	@echo "make full      the same with the long suites           make bench     measurements"
	@echo "make docs      write the generated parts of README and docs anew"
	@echo "make lock      resolve the requirements anew           make clean     remove what was made here"

venv:
	@tools/make_venv $(VENV)

demo: venv
	@$(PYTHON) -m tests.lab demo

lab-up: venv
	@$(PYTHON) -m tests.lab up

lab-down: venv
	@$(PYTHON) -m tests.lab down

lint:
	@tools/run_stages lint

test:
	@tools/run_stages $(STAGES)

full:
	@SEGWRIGHT_FULL=1 tools/run_stages $(STAGES)

bench: venv
	@$(PYTHON) tools/bench.py

docs: venv
	@$(PYTHON) tools/generate_docs.py

lock: venv
	@tools/lock

packages:
	@tools/packages

clean:
	@if [ -x $(PYTHON) ] && [ -f tests/lab/__main__.py ]; then $(PYTHON) -m tests.lab down || true; fi
	rm -rf .venv .venv-3.11 .lab .microseg tests/output .mypy_cache .pytest_cache .ruff_cache .ansible .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
