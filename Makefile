# make demo: install into .venv and restore two photographs.   make test: install what tests need and run them.
PYTHON ?= python3
VENV ?= .venv
PIP = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint clean

demo: $(VENV)/.installed
	$(VENV)/bin/python infer.py

test: $(VENV)/.tests-installed
	OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

lint: $(VENV)/.tests-installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c "import sys; sys.exit('Python 3.10 or newer is needed, this is %s' % sys.version.split()[0] if sys.version_info < (3, 10) else 0)"
	$(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV); torch is large, this takes a few minutes"
	$(PIP) -e .
	touch $@

$(VENV)/.tests-installed: $(VENV)/.installed
	$(PIP) -e '.[test]'
	touch $@

clean:
	rm -rf $(VENV) results runs
