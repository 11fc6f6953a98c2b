# `make` alone lists what can be made. Everything is installed into .venv; nothing else on the machine is touched.

VENV := .venv
PY   := $(VENV)/bin/python -P
OUT  ?= out
# Processes that share the tests: make test WORKERS=4. Each takes about 2 GB.
WORKERS ?= 2
WEB  := bindings/web

# The newest tools with wheels for every pinned version are Python 3.11's; 3.12 lacks one engine, tflite-runtime.
# Another interpreter: make PYTHON=/path/to/python3.11
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
	  "$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && echo $$p && break; done)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow test-browsers lint format golden web web-browser bench arm64 wheel clean distclean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

install: $(VENV)/installed ## make .venv and install the pinned versions into it (about 2.4 GB, once)

demo: install ## export the models, prove every export on faces, write out/
	$(PY) -m pocketface demo --out $(OUT)

test: lint ## all checks: style, types, tests
	$(PY) -m pytest -m "not slow" -n $(WORKERS) --dist loadfile

test-slow: install ## the tests that take minutes
	$(PY) -m pytest -m slow

test-browsers: install ## the page of `bench serve` in the Chromium and Firefox that are installed
	$(PY) -m pytest -m slow tests/bench/serve

lint: install ## style and types only
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy -p pocketface

format: install ## put the sources into the house's format
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

golden: install ## write bindings/golden anew: what runtimes in other languages are held to
	$(PY) -m pocketface.evaluate.golden bindings/golden/vectors

web: $(WEB)/node_modules/.package-lock.json ## check, build and test the TypeScript runtime in Node
	cd $(WEB) && npm run -s check && npm run -s build && npm run -s size && npm run -s test:node

web-browser: install web $(OUT)/web/answers.json ## the same in Chromium, models and the demo page included
	cd $(WEB) && npm run -s test && MODELS="$(abspath $(OUT))/web" npm run -s test:models

bench: demo ## measure folding, pixels, memory and exporting on this machine
	$(PY) -m pocketface bench self $(OUT) --out $(OUT)/bench

arm64: install ## do the files in out/ give the same bytes on an emulated phone? needs apt and a network, once
	$(PY) -m pocketface bench arm64 $(wildcard $(OUT)/*.onnx $(OUT)/*.tflite) --out $(OUT)/arm64

wheel: install ## build the wheel and the sdist into dist/
	rm -rf build dist pocketface.egg-info
	$(PY) -m build --no-isolation

clean: ## remove what was made, but for .venv
	rm -rf $(WEB)/dist $(WEB)/dist-test $(WEB)/dist-demo
	rm -rf $(OUT) build dist pocketface.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -path ./$(VENV) -prune -o -type d -name __pycache__ -exec rm -rf {} +

distclean: clean ## remove .venv and node_modules as well
	rm -rf $(VENV) $(WEB)/node_modules

# npm ci takes exactly what the lock names. No package's own scripts are run: none is needed.
$(WEB)/node_modules/.package-lock.json: $(WEB)/package-lock.json
	@node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null && command -v npm >/dev/null || \
	  { echo 'make web needs node 20 or newer, and npm; nothing else here needs them' >&2; exit 1; }
	cd $(WEB) && npm ci --ignore-scripts
	@touch $@

$(OUT)/web/answers.json: $(WEB)/test/models/answers.py
	$(PY) -m pocketface export mos_xs --format onnx --format tflite --precision float32 --out $(OUT)/web
	$(PY) -m pocketface export facelivtv2_xs_ri --format onnx --format tflite --precision float32 --out $(OUT)/web
	$(PY) $(WEB)/test/models/answers.py $(OUT)/web

# The root of this checkout is the package, so Python must see it under the name pocketface: .venv/view/pocketface is
# a link to the root, and a .pth file puts .venv/view on the path. (setuptools' editable install would put the folder
# around a checkout named pocketface on the path, with everything else in it, and type checkers cannot follow it.)
# Both are relative, so that neither spaces nor a move of the checkout matter.
$(VENV)/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or 3.12 is needed and was not found. Install it, or name it: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@echo "==> installing into $(VENV) with $(PYTHON): about 2.4 GB, a minute or two, only once"
	@"$(PYTHON)" -m venv $(VENV) >/dev/null || { "$(PYTHON)" -m venv --clear --without-pip $(VENV) && \
	  "$(PYTHON)" -m pip --python $(VENV)/bin/python install pip; }  # Debian splits ensurepip off
	$(PY) -m pip install --disable-pip-version-check -r constraints.txt
	@mkdir -p $(VENV)/view
	@ln -sfn ../.. $(VENV)/view/pocketface
	@echo ../../../view > "$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/pocketface.pth"
	@printf '#!/bin/sh\nexec "$$(dirname "$$0")/python" -P -m pocketface "$$@"\n' > $(VENV)/bin/pocketface
	@chmod +x $(VENV)/bin/pocketface
	@touch $@
	@echo "==> installed; . $(VENV)/bin/activate puts the command pocketface on your path"
