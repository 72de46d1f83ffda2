# Each target makes .venv, or brings it up to date, by itself. ARGS are passed on: make test ARGS="-k corpus -x"

SHELL := bash
PY := .venv/bin/python
MADE := .venv/made
ARGS ?=
# Or each process would compile all that it imports once more.
unexport PYTHONDONTWRITEBYTECODE
# As many workers as there are cores; one that has no more tests takes over half of those that another one has left.
PYTEST := $(PY) -m pytest -n auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help notebooks html test test-old-cpu test-browser test-ray pictures lab lint bench evidence clean

# .venv/made is written last, and holds the directory that it was written for. Where it is missing, the
# environment is half made; where the clone has moved or Python has gone, the environment is of no use.
$(shell [ "$$(cat $(MADE) 2>/dev/null)" = "$$(pwd -P)" ] && $(PY) -c "" 2>/dev/null || rm -f $(MADE))

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

notebooks: $(MADE)  ## run notebooks 01 to 05 and write their .ipynb (one of them: ARGS=02; the appendices, too: ARGS=all)
	@$(PY) notebooks/build.py $(ARGS)

html: $(MADE)  ## write the notebooks, as they were last run, as pages into build/html (elsewhere: ARGS="--output DIR")
	@$(PY) notebooks/pages.py $(ARGS)

test: $(MADE)  ## run the tests (without the notebooks: ARGS='-m "not notebook"')
	@$(PYTEST) $(ARGS)

# Left out is what shows nothing more of a processor: runs that are killed, in several processes, or on bad files.
test-old-cpu: $(MADE)  ## run the tests that compute, as on a processor with AVX2 and without bfloat16
	@ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 $(PYTEST) tests/model tests/encoding tests/analysis tests/integrations \
	  tests/interchange/test_elmo.py tests/training/test_{evaluation,optimization,streams,trainer}.py \
	  -k "not (killed or unlucky or processes or each_process or hub)" $(ARGS)

test-browser: $(MADE)  ## run the notebooks in JupyterLab in a browser, and try them (keep pictures: ARGS="--screenshots DIR")
	@$(PY) -m pytest -n auto --dist loadscope tests/browser $(ARGS)

pictures: $(MADE)  ## take the pictures of widgets in use that the notebooks show (one notebook: ARGS=03)
	@$(PY) tests/browser/pictures.py $(ARGS)

test-ray: .venv/ray  ## run the tests of encoding on Ray, on a small cluster on this machine
	@$(PY) -m pytest tests/cluster $(ARGS)

# A notebook that another editor has saved alone is named first; all of them open all the same.
lab: $(MADE)  ## open the notebooks in JupyterLab
	@$(PY) notebooks/pairs.py || true
	@cd notebooks && ../$(PY) -m jupyterlab $(ARGS)

lint: $(MADE)  ## check style, formatting and types (mend what can be: ARGS=--fix)
	@$(PY) -m ruff check $(ARGS) .
	@$(PY) -m ruff format $(if $(filter --fix,$(ARGS)),,--check) .
	@$(PY) -m mypy

bench: $(MADE)  ## run the benchmarks of speed and memory
	@shopt -s nullglob; GLOBIGNORE=tests/benchmarks/bench_evidence.py; scripts=(tests/benchmarks/bench_*.py); \
	(( $${#scripts[@]} )) || { echo "There is no benchmark in tests/benchmarks." >&2; exit 1; }; \
	for script in "$${scripts[@]}"; do echo "== $$script"; $(PY) "$$script" $(ARGS) || exit; done

evidence: $(MADE)  ## measure what a model's layers know, beside rivals (see tests/benchmarks/bench_evidence.py)
	@$(PY) tests/benchmarks/bench_evidence.py $(ARGS)

clean:  ## remove .venv and all caches; data/ is left as it is
	@rm -rf .venv .pytest_cache .ruff_cache .mypy_cache .hypothesis build dist *.egg-info notebooks/.ipynb_checkpoints
	@find elmo_helpers notebooks tests -name __pycache__ -prune -exec rm -rf {} +

.venv/ray: $(MADE) requirements-ray.txt
	@$(PY) -m pip install --disable-pip-version-check --quiet -r requirements-ray.txt && touch $@

# Of what pip prints, the lines about requirements.txt itself and about large downloads are shown, and all errors. It
# would compile every module of every package; Python compiles those that are imported.
$(MADE): requirements.txt pyproject.toml
	@set -o pipefail; \
	if [ ! -e $(MADE) ]; then \
	  rm -rf .venv; \
	  for python in python3.11 python3 false; do "$$python" -c "" 2>/dev/null && break; done; \
	  "$$python" -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null || { \
	    found=$$(python3 --version 2>/dev/null || echo "no python3"); \
	    echo "Python 3.11 or newer is needed and there is $$found: install it and run make again." >&2; exit 1; }; \
	  echo "Making .venv with $$("$$python" --version); this takes minutes the first time"; \
	  "$$python" -m venv .venv || { echo "Python has no venv module: on Debian, apt install python3-venv" >&2; exit 1; }; \
	else \
	  echo "Bringing .venv up to date"; \
	fi; \
	$(PY) -m pip install --disable-pip-version-check --progress-bar off --no-compile -r requirements.txt | awk ' \
	  /^Collecting .*\(from -r requirements/ {print "  " $$2} \
	  /^ *Downloading .*([0-9][0-9][0-9]\.[0-9] MB|GB)/ {print "    " $$0} \
	  /^Installing collected/ {print "  installing"} \
	  {fflush()}' && \
	pwd -P > $(MADE) && echo ".venv is ready"
