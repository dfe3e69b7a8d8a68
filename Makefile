# make lab    open the course in JupyterLab         make test    check everything
# make help   lists the rest

PYTHON ?= python3
VENV := .venv
TORCH ?=
ARGS ?=

PY := $(VENV)/bin/python

# The notebooks' kernels run in notebooks/, so the path must be absolute. With this folder first on it, every Python
# process that the tests start refuses connections to anything but this machine.
OFFLINE := PYTHONPATH="$(CURDIR)/tools/offline"

.DEFAULT_GOAL := help
.PHONY: help lab test notebooks lint clean

help:
	@echo "make lab             open the course in JupyterLab (the first time it builds an environment in $(VENV))"
	@echo "make lab TORCH=cpu   the same with the much smaller CPU-only torch, while the environment is first built"
	@echo "make lab ARGS=...    the same with further options of jupyter lab, e.g. ARGS=--no-browser"
	@echo "make test            lint, unit tests, every notebook and the browser tests, with the network cut off"
	@echo "make notebooks       execute the notebooks whose code, or the package under them, has changed"
	@echo "make lint            check style and layout only"
	@echo "make clean           remove the environment and what building and testing left behind"
	@echo "PYTHON=python3.12 after any of these chooses the Python that the environment is built with."

lab: $(VENV)/.lab
	@$(PY) tools/lab.py $(ARGS)

test: $(VENV)/.test
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(OFFLINE) $(PY) -m pytest tests --ignore=tests/browser
	$(OFFLINE) $(PY) -m pytest --nbval-lax notebooks
	$(OFFLINE) $(PY) -m pytest tests/browser --reruns 2

notebooks: $(VENV)/.test
	$(OFFLINE) $(PY) tools/notebooks.py $(ARGS)

lint: $(VENV)/.test
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

clean:
	rm -rf $(VENV) build dist .cache .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name .ipynb_checkpoints -type d -prune -exec rm -rf {} +

# An environment that somebody else has made is used as it is.
$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	    echo "cnnviz needs Python 3.10 or newer, and '$(PYTHON)' is not one: try make PYTHON=python3.12 lab."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "This Python has no venv: install it first (on Debian and Ubuntu: apt install python3-venv)."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# A stamp is a copy of the pyproject.toml that was installed, so that a fresh date alone (a branch switched there and
# back) installs nothing and asks nothing of the network.
$(VENV)/.lab: pyproject.toml | $(PY)
	@if cmp -s pyproject.toml $@; then touch $@; else $(call install,lab,$@); fi

$(VENV)/.test: pyproject.toml $(VENV)/.lab
	@if cmp -s pyproject.toml $@; then touch $@; else $(call install,lab$(comma)test,$@); fi

comma := ,
TORCH_cpu := --index-url https://download.pytorch.org/whl/cpu torch torchvision
define install
set -e; echo "Installing the course's packages into $(VENV); the first time takes minutes and gigabytes."; \
$(if $(TORCH),$(PY) -m pip install --disable-pip-version-check $(TORCH_$(TORCH));) \
$(PY) -m pip install --disable-pip-version-check --editable ".[$(1)]"; \
cp pyproject.toml $(2)
endef

ifneq ($(TORCH),)
ifeq ($(TORCH_$(TORCH)),)
$(error TORCH can be "cpu" or be left out, not "$(TORCH)")
endif
endif
