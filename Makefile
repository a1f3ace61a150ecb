# Every command of the project. `make help` lists them; each sets up what it needs.
.DEFAULT_GOAL := help
.PHONY: help setup repro job test test-long lint graph format docs ui bench corpus-large clean lock

# The virtual environment is made once for each content of the lock file.
READY := .venv/.ready-$(shell cat requirements.lock pyproject.toml | cksum | cut -d' ' -f1)
export PATH := $(CURDIR)/.venv/bin:$(PATH)

help: ## list these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(READY):
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11, 5))' \
		|| { echo "ftml needs Python 3.11.5 or newer; python3 is $$(python3 --version)" >&2; exit 1; }
	python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -r requirements.lock
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --editable .
	.venv/bin/ftml schema --output .venv/params.schema.json
	@rm -f .venv/.ready-* && touch $@

setup: $(READY) ## make the virtual environment from the lock file

repro: $(READY) ## prepare data, search, refit, test and report: what params.yaml says
	@ftml restore-lock && dvc repro

job: $(READY) ## run stages on the Ray cluster of RAY_ADDRESS: make job STAGES=experiment@digits
	@ftml job submit $(STAGES)

test: $(READY) ## run all tests; COVERAGE=1 also says which lines they do not reach
	@pytest -q -n 3 --dist loadgroup $(if $(COVERAGE),--cov --cov-report=term:skip-covered --cov-fail-under=90)

test-long: $(READY) ## run the tests that take minutes: servers moved and killed, nodes lost, a job, a browser, memory
	@pytest -q -m long

lint: $(READY) ## check format, style, types and the layers of the packages
	@ruff format --check . && ruff check . && mypy && lint-imports --no-cache

graph: $(READY) ## print the import graph of the packages of pipelines, in DOT format
	@import-linter drawgraph pipelines

format: $(READY) ## put the code in format
	@ruff format . && ruff check --fix .

docs: $(READY) ## build the documentation into site/; a warning is an error
	@sphinx-build --fail-on-warning --quiet --builder html docs site && echo "open site/index.html"

ui: $(READY) ## open the MLflow UI on the default store
	@test -f mlflow.db || { echo "there is no mlflow.db yet: \`dvc repro\` makes it, or \`ftml log\` from the results in experiments/" >&2; exit 1; }
	@mlflow ui --backend-store-uri sqlite:///mlflow.db --port $${PORT:-5000}

bench: $(READY) ## run the benchmarks (minutes)
	@for script in benchmarks/*.py; do echo "== $$script"; python $$script || exit 1; done

corpus-large: $(READY) ## assemble corpora/large.txt.gz, 19 million words of Debian packages
	@ftml corpus

lock: ## choose the newest allowed versions again and write requirements.lock
	rm -rf .venv/lock && python3 -m venv .venv/lock
	.venv/lock/bin/pip install --quiet 'torch==$(shell sed -n 's/^torch==//p' requirements.lock)' '.[dev]'
	.venv/lock/bin/pip freeze --exclude ftml | sed 's/+cpu$$//' > requirements.lock

clean: ## remove what was made, but no metrics, dvc.lock, virtual environment or MLflow store
	rm -rf claims data experiments .search dvc_plots site docs/families docs/generated
	find reports -mindepth 1 -maxdepth 1 ! -name metrics.json -exec rm -rf {} + 2>/dev/null || true
