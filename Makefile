# Everything this project does, by name. `make` alone lists it. Parameters follow the name: make laf DATASET=fashion SEED=1
#   PYTHON=python3.12   the Python that makes the environment (3.11 or newer)
#   VENV=.venv          where the environment lies

PYTHON ?= python3
VENV ?= .venv
BIN = $(abspath $(VENV))/bin
PYTEST_FLAGS =
LAB_FLAGS =
NOTEBOOKS = $(wildcard notebooks/*.ipynb)
BOOK_RUNS = $(CURDIR)/_build/book

# Every variable of the command line that is not the Makefile's own is a parameter, so that a misspelt one is an error
# instead of being ignored. Each is one word for the shell, whatever is in it.
OWN = PYTHON VENV PYTEST_FLAGS LAB_FLAGS NOTEBOOKS BOOK_RUNS CHROMIUM
quote = '$(subst ','\'',$(1))'
given = $(strip $(foreach name,$(sort $(filter-out $(OWN),$(.VARIABLES))),$(if $(filter command,$(firstword $(origin $(name)))),$(call quote,$(name)=$(value $(name))))))

PREPARE = sh .make/python.sh $(call quote,$(PYTHON))
NAMES = $(PREPARE) .make/names.py $(given)
ENVIRONMENT = $(PREPARE) .make/environment.py $(call quote,$(VENV))

.DEFAULT_GOAL := help
.PHONY: help env laf data lab test lint nbval test-slow bench experiments exhibits clean distclean
.SUFFIXES:

help:  ## list the targets
	@echo "make TARGET [PARAMETER=value ...]"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'
	@echo "Parameters of laf and data, after the name (hyperparameter.md says what they mean):"
	@$(PREPARE) .make/names.py --list

env:  ## make the environment in .venv (once; about 7 GB on Linux, minutes)
	@$(ENVIRONMENT)

laf:  ## environment, data, then notebooks/LAF.ipynb from end to end
	@$(NAMES)
	@$(ENVIRONMENT)
	@"$(BIN)/python" -m laf_utils.book.base.execute $(given)

data:  ## fetch a data set: make data DATASET=fashion
	@$(NAMES)
	@$(ENVIRONMENT)
	@"$(BIN)/python" -m laf_utils.book.base.execute --data $(given)

# A copy: running a tracked notebook would change it. Your own edits in runs/lab stay; delete one to have it anew. JupyterLab's
# question whether it may fetch news is answered: no.
lab: env  ## open a copy of notebooks/LAF.ipynb in JupyterLab
	@mkdir -p runs/lab "$(BIN)/../share/jupyter/lab/settings"
	@ln -sfn ../pages runs/pages  # where the notebooks' links lead
	@for notebook in notebooks/*.ipynb; do [ -e "runs/lab/$${notebook##*/}" ] || cp "$$notebook" runs/lab; done
	@echo '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}' >"$(BIN)/../share/jupyter/lab/settings/overrides.json"
	"$(BIN)/jupyter" lab --ServerApp.root_dir=$(call quote,$(CURDIR)/runs) $(LAB_FLAGS) runs/lab/LAF.ipynb

# Two at a time, one thread each: all are many small steps, on which a second thread gains little. The last of the three begins when one
# of the others has ended, and then finds the models that the first notebooks trained.
test: env  ## lint, tests and notebooks (minutes)
	@$(MAKE) --no-print-directory lint
	@OMP_NUM_THREADS=1 $(MAKE) --no-print-directory -j2 -O pytest nbval-first nbval-last

lint: env  ## ruff and mypy
	"$(BIN)/ruff" check .
	"$(BIN)/mypy"

.PHONY: pytest
pytest: env
	"$(BIN)/python" -m pytest $(PYTEST_FLAGS) tests

# The images first, so that fetching them is no part of a cell's time. PASSIVE: threads that wait by turning in a loop, the default,
# are half again as fast on an idle machine and ten times slower on a busy one, where a cell would run out of time.
LAST = $(filter notebooks/05% notebooks/06% notebooks/07% notebooks/08%,$(NOTEBOOKS))
NBVAL = LAF_RUNS="$(CURDIR)/_build/nbval" LAF_FALLBACK=optdigits LAF_PROGRESS=0 OMP_WAIT_POLICY=PASSIVE \
  "$(BIN)/python" -m pytest -p no:cacheprovider --nbval-lax --nbval-current-env --nbval-cell-timeout=600 $(PYTEST_FLAGS)

nbval: nbval-fresh  ## run every notebook in profile quick, with fresh results
	$(NBVAL) $(NOTEBOOKS)

.PHONY: nbval-fresh nbval-first nbval-last
nbval-fresh: env
	@"$(BIN)/python" -m laf_utils.book.base.execute --data
	rm -rf _build/nbval

nbval-first: nbval-fresh
	$(NBVAL) $(filter-out $(LAST),$(NOTEBOOKS))

nbval-last: nbval-fresh
	$(NBVAL) $(LAST)

test-slow: env  ## the tests that train for real
	"$(BIN)/python" -m pytest -m slow $(PYTEST_FLAGS) tests

bench: env  ## the measurements in benchmarks/ (long)
	"$(BIN)/python" -m benchmarks.run

experiments: env  ## the grid of experiments, where it was left: make experiments PLAN=1 says what is to do
	@case "$(PLAN)$(KIND)" in ""|0|comparison|0comparison) test -x "$(BIN)/snakemake" ;; esac || "$(BIN)/python" -m pip install -q -c constraints.txt -e ".[experiments]"
	@"$(BIN)/python" -m laf_utils.experiments $(given)

exhibits: env  ## the paper's tables and figures from the records, into _build/exhibits
	@"$(BIN)/python" -m laf_utils.book.results $(given)

clean:  ## remove what runs and builds made; images and Training/ stay
	rm -rf runs _build .pytest_cache .ruff_cache .hypothesis build
	find . \( -path ./.git -o -path ./data -o -path ./Training -o -path ./.venv \) -prune -o \
	  \( -name __pycache__ -o -name .ipynb_checkpoints -o -name '*.egg-info' \) -type d -prune -exec rm -rf {} +

distclean: clean  ## clean, and remove the environment
	@if [ -f $(call quote,$(VENV))/pyvenv.cfg ] || [ -f $(call quote,$(VENV))/.lock ]; then rm -rf $(call quote,$(VENV)); fi

# From nothing each time: what Sphinx keeps hides warnings of the build before. The images first, so that fetching them is not part of
# a page; where they cannot be had the pages run on scikit-learn's digits and say so. PASSIVE: as for nbval.
book: env  ## build the book into _build/html; a warning is an error (minutes)
	rm -rf _build/html _build/.doctrees _build/.jupyter_cache _build/jupyter_execute _build/book
	@"$(BIN)/python" -m laf_utils.book.base.execute --data
	PATH="$(BIN):$$PATH" LAF_RUNS=$(call quote,$(BOOK_RUNS)) LAF_FALLBACK=optdigits LAF_PROGRESS=0 OMP_WAIT_POLICY=PASSIVE \
	  "$(BIN)/jupyter-book" build . -W -n --keep-going

serve:  ## show the built book at http://127.0.0.1:8000
	@[ -f _build/html/search.html ] || { echo "laf: error: the book is not built: make book" >&2; exit 1; }
	@echo "http://127.0.0.1:8000 (Ctrl-C ends it)"
	@"$(BIN)/python" -m http.server --bind 127.0.0.1 --directory _build/html 8000

CHROMIUM = $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

# Of what the last build kept: nothing is run again. Chromium prints what it shows; equations and pictures have to be there first.
pdf: env  ## the built book as one file to print, _build/laf-book.pdf (after make book; needs chromium)
	@[ -f _build/html/search.html ] || { echo "laf: error: the book is not built: make book" >&2; exit 1; }
	@[ -n "$(CHROMIUM)" ] || { echo "laf: error: needs chromium on the path" >&2; exit 1; }
	PATH="$(BIN):$$PATH" "$(BIN)/jupyter-book" build . --builder singlehtml -q
	sed 's|href="pages/index.html#|href="#|g; s|href="_images/[^"]*"||g' _build/singlehtml/pages/index.html >_build/singlehtml/book.html  # paths are as from here
	"$(CHROMIUM)" --headless --no-sandbox --disable-gpu --no-pdf-header-footer --generate-pdf-document-outline --virtual-time-budget=120000 \
	  --allow-file-access-from-files --print-to-pdf=_build/laf-book.pdf "file://$(CURDIR)/_build/singlehtml/book.html"

archive:  ## the committed records with their checksums, _build/records.tar.gz: what a DOI is asked for
	@git diff --quiet HEAD -- results Training || { echo "laf: error: results/ or Training/ have changes: commit them first" >&2; exit 1; }
	@mkdir -p _build
	@git ls-files results Training | LC_ALL=C sort | xargs shasum -a 256 >_build/SHA256SUMS
	@git archive --format=tar.gz --prefix=laf-records/ --add-file=_build/SHA256SUMS -o _build/records.tar.gz HEAD \
	  results Training CITATION.cff LICENSE
	@shasum -a 256 _build/records.tar.gz

book-test: env  ## look at the built book in Chromium (skipped, with the reason, where there is none)
	"$(BIN)/python" -m pytest -m browser -rs $(PYTEST_FLAGS) tests/test_book_browser.py
.PHONY: book serve pdf archive book-test
