PYTHON ?= python

.DEFAULT_GOAL := help
.PHONY: help check test wheel matrix bench bundle clean

help:  ## print this help
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 16

check:  ## lint, format, types and import directions
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	lint-imports

test:  ## run the tests
	MUJOCO_GL=disable $(PYTHON) -m pytest

wheel:  ## build sdist and wheel, install each in isolation, smoke-test it
	.ci/wheel $(PYTHON)

matrix:  ## robot half's tests on every Python at hand, wheels for the Jetson's
	.ci/matrix $(PYTHON)

bench:  ## measure this machine
	rmedge-bench run

bundle:  ## train the bundle that ships, into build/
	$(PYTHON) -m rmedge.export g1-mirror --out build/

clean:  ## remove what the tools leave behind (build/ holds trained work: it stays)
	rm -rf dist *.egg-info .*_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
