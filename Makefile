# Every command of the project. `make help` lists them; each sets up what it needs.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev repro job test test-long lint graph format docs ui bench corpus-large clean lock

# What runs studies is installed by the first of these, the tools of development by the
# second, each once for each content of the files that it reads.
READY := .venv/.ready-$(shell cat requirements.lock pyproject.toml | cksum | cut -d' ' -f1)
READY_DEV := .venv/.ready-dev-$(shell cat requirements*.lock pyproject.toml | cksum | cut -d' ' -f1)
export PATH := $(CURDIR)/.venv/bin:$(PATH)

help: ## list these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(READY):
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11, 5))' \
		|| { echo "ftml needs Python 3.11.5 or newer; python3 is $$(python3 --version)" >&2; exit 1; }
	@.venv/bin/python -m pip --version > /dev/null 2>&1 || python3 -m venv .venv
	@sh infra/install.sh requirements.lock
	@.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@.venv/bin/ftml schema --output .venv/params.schema.json
	@rm -f .venv/.ready-* && touch $@

$(READY_DEV): $(READY)
	@sh infra/install.sh requirements-dev.lock
	@rm -f .venv/.ready-dev-* && touch $@

setup: $(READY) ## make the virtual environment from requirements.lock: what runs studies

setup-dev: $(READY_DEV) ## add the tools of test, lint, format and docs from requirements-dev.lock

repro: $(READY) ## prepare data, search, refit, test and report: what params.yaml says
	@ftml restore-lock && dvc repro --all-pipelines

job: $(READY) ## run stages on the Ray cluster of RAY_ADDRESS: make job STAGES=experiment@digits
	@ftml job submit $(STAGES)

test: $(READY_DEV) ## run all tests and list the slowest; COVERAGE=1 also says which lines they do not reach
	@pytest -q -n 3 --dist loadgroup --durations=15 $(if $(COVERAGE),--cov --cov-report=term:skip-covered --cov-fail-under=90)

test-long: $(READY_DEV) ## run the tests that take minutes: servers moved and killed, nodes lost, a job, a browser, memory
	@pytest -q -m long

lint: $(READY_DEV) ## check format, style, types and the layers of the packages
	@ruff format --check . && ruff check . && mypy && lint-imports --no-cache

graph: $(READY_DEV) ## print the import graph of the packages of pipelines, in DOT format
	@import-linter drawgraph pipelines

format: $(READY_DEV) ## put the code in format
	@ruff format . && ruff check --fix .

docs: $(READY_DEV) ## build the documentation into site/; a warning is an error
	@sphinx-build --fail-on-warning --quiet --builder html docs site && echo "open site/index.html"

ui: $(READY) ## open the MLflow UI on the default store
	@test -f mlflow.db || { echo "there is no mlflow.db yet: \`dvc repro\` makes it, or \`ftml log\` from the results in experiments/" >&2; exit 1; }
	@mlflow ui --backend-store-uri sqlite:///mlflow.db --port $${PORT:-5000}

bench: $(READY) ## run the benchmarks (minutes)
	@for script in benchmarks/*.py; do echo "== $$script"; python $$script || exit 1; done

corpus-large: $(READY) ## assemble corpora/large.txt.gz, 19 million words of Debian packages
	@ftml corpus

lock: ## choose the newest allowed versions again and write both lock files
	rm -rf .venv/lock && python3 -m venv .venv/lock
	.venv/lock/bin/pip install --quiet 'torch==$(shell sed -n 's/^torch==//p' requirements.lock)' 'setuptools>=77' '.[pipeline]'
	.venv/lock/bin/pip freeze --all --exclude pip --exclude ftml | sed 's/^/^/; s/==.*/==/' > .venv/lock/user
	.venv/lock/bin/pip install --quiet '.[dev]'
	.venv/lock/bin/pip freeze --all --exclude pip --exclude ftml | sed 's/+cpu$$//' > .venv/lock/all
	grep -f .venv/lock/user .venv/lock/all > requirements.lock
	grep -v -f .venv/lock/user .venv/lock/all > requirements-dev.lock

clean: ## remove what was made, but no metrics, dvc.lock, virtual environment or MLflow store
	rm -rf claims data experiments .search dvc_plots site docs/families docs/generated
	find reports -mindepth 1 -maxdepth 1 ! -name metrics.json -exec rm -rf {} + 2>/dev/null || true
