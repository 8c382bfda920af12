# What a person types. Each target sets up what it needs; the second time is quick.
PYTHON ?= python3
ARGS ?=
CORPUS ?=
BIN = .venv/bin

.PHONY: demo test lint bench wheel lock audit sbom deb screenshots clean help chaos load fuzz xss conformance
help:           ## this list
	@sed -n 's/^\([a-z]*\):.*##/\1\t/p' Makefile | expand -t 14

demo: ready-run  ## the whole system on loopback, gateway to reader, three mails; ARGS=--check checks and stops
	@$(BIN)/python -m demo $(ARGS)

test: ready-test ## all tests; ARGS="-k name" for some
	$(BIN)/python -m pytest -n auto --dist worksteal -q $(ARGS)

lint: ready-test ## style, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: ready-test ## speed and memory as ratios, measured side by side; ARGS=--quick for a first look
	$(BIN)/python -m bench $(ARGS)

load: ready-test ## many at once, and a lot of it: mails a second, pages, growth; ARGS="--quick tree accounts"
	$(BIN)/python -m bench.load_all $(ARGS)

chaos: ready-test ## everything fails that can while mail comes in; ARGS="--seconds 60 --seed 7"
	@$(BIN)/python -m proof.chaos $(ARGS)

wheel: ready-test ## dist/*.whl
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	@ls dist/*.whl

lock: ready-run  ## requirements.lock from setup.cfg and constraints.txt, with the hash of every file; a few minutes
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet pip-tools
	build/lock/bin/python -m scripts.lock

audit:          ## known holes in any library of the lock, asked of its index by pip-audit: needs a network
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet pip-audit
	build/audit/bin/pip-audit --strict --disable-pip --require-hashes -r requirements.lock -r requirements-build.lock $(ARGS)

sbom: ready-run  ## dist/sbom.cdx.json: every library, its version, licence and hashes (CycloneDX)
	@$(BIN)/python -m scripts.sbom dist/sbom.cdx.json

deb: ready-run   ## dist/*.deb for this Debian; ARGS="--version 0.1.0+site1"
	@$(BIN)/python -m scripts.deb $(ARGS)

screenshots: ready-test ## the main pages as pictures, into screenshots/
	$(BIN)/python -m scripts.screenshots $(ARGS)

conformance: ready-test ## the milters against miltertest and every order of commands; ARGS="--depth 3"
	@$(BIN)/python -m proof.conformance $(ARGS)

fuzz: ready-test ## feed every entrance with what nobody expects; ARGS="--seconds 600 --target unwrap"
	$(BIN)/python -m proof.fuzz $(ARGS)

xss: ready-test  ## hostile mail in a browser, each layer of protection on and off; CORPUS=DIR for mails of your own
	$(BIN)/python -m proof.xss $(CORPUS) $(ARGS)

clean:          ## what was built, not .venv
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis screenshots

.PHONY: ready-run ready-test
ready-run:
	@PYTHON=$(PYTHON) scripts/set-up run
ready-test:
	@PYTHON=$(PYTHON) scripts/set-up test
