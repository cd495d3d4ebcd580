# make demo           installs superpose into .venv and finds a formula in a real table
# make studio         opens the page of superpose studio in the browser
# make test           everything that a change must pass
# make sanitize       runs the compiled kernels under AddressSanitizer and UndefinedBehaviorSanitizer
# make check-install  installs the last commit in fresh environments, with a compiler and without
# make check-notebooks  opens the widget in JupyterLab and marimo, in Chromium
# make clean          removes what these made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
KERNELS := CMakeLists.txt $(wildcard csrc/*.cpp csrc/*.hpp)
PROJECT := pyproject.toml constraints.txt $(KERNELS)
DEMO_OUT := out/knots
NOTEBOOKS := build/check-notebooks

.PHONY: demo studio test check-types check-docs sanitize check-install check-notebooks clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	$(BIN)/superpose fit examples/data/knots.csv --target cusp_volume \
		--features meridian_re,meridian_im,longitude,volume,chern_simons --out $(DEMO_OUT)
	@formula=$$(cat $(DEMO_OUT)/formula.txt) && test -s $(DEMO_OUT)/report.html && \
		printf '\nformula: cusp_volume = %s\nreport:  %s\n' "$$formula" $(DEMO_OUT)/report.html

studio: $(VENV)/.installed-studio
	$(BIN)/superpose studio

# The documentation is built before the tests run, so that the last line is the tests' own count. The demo runs as the
# first page tells people to run it, and finds the formula that stands there.
test: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) --no-print-directory --jobs 2 check-types check-docs
	@rm -rf build/demo
	$(MAKE) --no-print-directory demo DEMO_OUT=build/demo
	@grep --quiet --line-regexp --fixed-strings "    cusp_volume = $$(cat build/demo/formula.txt)" README.md || \
		{ echo "README.md shows another formula than the demo finds" >&2; exit 1; }
	$(BIN)/python -m pytest --numprocesses 2

# Each keeps one core busy.
check-types:
	$(BIN)/mypy

check-docs:
	$(BIN)/python -m sphinx --builder html --fail-on-warning --nitpicky --quiet docs docs/_build/html

# Stamps, so that nothing is installed twice: the package with what it runs on, and with what
# tests it or serves its page. The install is editable: a change under src/ needs no new one, a change of the kernels does.
# The tools of the build stay in .venv, and so does what they compiled, in build: without that every
# install would compile everything.
$(VENV)/.installed: $(PROJECT) $(VENV)/.tools
	$(PIP) --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-studio: $(PROJECT) $(VENV)/.tools
	$(PIP) --no-build-isolation --editable '.[studio]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-test: $(PROJECT) $(VENV)/.tools
	$(PIP) --no-build-isolation --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.tools: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) cmake nanobind ninja scikit-build-core
	@touch $@

sanitize: $(VENV)/.tools
	$(BIN)/cmake -S . -B build/sanitize -DSUPERPOSE_TESTS=ON -DSUPERPOSE_SANITIZE=ON
	$(BIN)/cmake --build build/sanitize --parallel 2
	build/sanitize/superpose_kernels

check-install: | $(BIN)/python
	sh tests/check_install.sh $(BIN)/python build/check-install

# An environment on top of .venv, in which nothing that is there is installed again, but for the packages whose files for
# JupyterLab lie beside it.
check-notebooks: $(VENV)/.installed-test
	$(BIN)/python -m venv $(NOTEBOOKS)
	$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> "$$($(NOTEBOOKS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/below.pth"
	$(NOTEBOOKS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--ignore-installed --no-deps anywidget ipywidgets jupyterlab_widgets
	$(NOTEBOOKS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		jupyterlab==4.6.6 marimo==0.25.2
	SUPERPOSE_NOTEBOOKS=$(NOTEBOOKS)/bin $(BIN)/python -m pytest tests/studio/check_notebooks.py

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "superpose needs Python 3.11 or later; name one with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) build out docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis
