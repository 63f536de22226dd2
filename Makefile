# Every target sets up what it needs by itself: a virtual environment in .venv from the hashed lock
# file, and GraphiQL and the console from web/.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup serve test check docs reference release bench bench-peers bench-fanout bench-faults bench-scale-out soak bench-memory bench-overhead bench-console lint types layers schema-check migrations-check schema fuzz lock clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## Install everything into .venv and build GraphiQL and the console
	@web/build $(BIN)/python

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tocsin needs Python 3.11 or later")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

serve: setup ## Serve on http://127.0.0.1:8000 (ARGS="--port 8001")
	@exec $(BIN)/tocsin serve $(ARGS)

# The tests start hundreds of processes, each of which would otherwise compile the modules of `app`.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 3 --dist worksteal

test: setup ## Run the tests that every change needs, on SQLite and on PostgreSQL
	$(PYTEST) --tier=test

check: setup lint types layers schema-check docs ## Everything that CI checks: lint, types, the documentation, all tests
	$(PYTEST)

docs: setup ## Build the documentation into dist/docs, and check its links (open index.html)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --config-file docs/site/mkdocs.yml

reference: setup ## Write the pages of docs/reference from the code
	$(BIN)/python -m docs.site.generate_reference

bench: setup ## Measure what a report costs, alone, at once and in lists, and what rules add
	$(BIN)/python -m benchmarks.reports

bench-peers: setup ## Measure Tocsin beside its peers (ARGS="--events 20000"), and write the page
	$(BIN)/python -m benchmarks.peers $(ARGS)

bench-fanout: setup ## Measure what 1,000 subscribers get, beside plain Strawberry and Node
	$(BIN)/python -m benchmarks.fanout $(if $(INTO),--into $(INTO))
	$(BIN)/python -m benchmarks.fanout_summaries $(if $(INTO),--into $(INTO))
	$(BIN)/python -m benchmarks.fanout_servers $(if $(INTO),--into $(INTO))

bench-faults: setup ## Break servers, sockets and the database, and count what is lost
	$(BIN)/python -m benchmarks.faults $(if $(INTO),--into $(INTO))

bench-scale-out: setup ## Measure 1 to 6 servers on one PostgreSQL database (INTO=docs/scale-out.md)
	$(BIN)/python -m benchmarks.scale_out $(if $(INTO),--into $(INTO)) $(ARGS)

soak: setup ## Hold transactions of other programs open for 10 minutes (ARGS="--seconds 60"), use alert keys, kill servers of channels, copy 200,000 events, and apply 10,000 configurations
	$(BIN)/python -m benchmarks.soak $(if $(INTO),--into $(INTO)) $(ARGS)
	$(BIN)/python -m benchmarks.alert_keys $(if $(INTO),--into $(INTO))
	$(BIN)/python -m benchmarks.channels $(if $(INTO),--into $(INTO))
	$(BIN)/python -m benchmarks.copies $(if $(INTO),--into $(INTO))
	$(BIN)/python -m benchmarks.configurations $(if $(INTO),--into $(INTO))

bench-memory: setup ## Watch the server's memory through 10 minutes of load (ARGS="--minutes 1")
	$(BIN)/python -m benchmarks.peers.memory $(ARGS)

bench-console: setup ## Measure the console in Chromium with 200,000 events (ARGS="--minutes 30 --into docs/console.md")
	$(BIN)/python -m benchmarks.console $(ARGS)

bench-overhead: setup ## Measure what a request costs beside its answer
	$(BIN)/python -m benchmarks.overhead

release: ## Build and check the packages of a release in dist/release, with checksums and SBOMs
	deploy/release/build $(PYTHON)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports

schema-check: setup
	@$(BIN)/tocsin schema | diff schema.graphql - || { echo 'schema.graphql is out of step: run `make schema`'; exit 1; }

migrations-check: setup
	$(BIN)/python -m pytest --quiet tests/contract/test_migrations.py

schema: setup ## Write schema.graphql, and what web/packages/client and web/packages/react generate from it
	$(BIN)/tocsin schema > schema.graphql
	$(BIN)/python -m docs.site.generate_cache_policies
	@cd web/packages/react && PATH="$(CURDIR)/web/.node/bin:$$PATH" npm run --silent generate

SEED ?= 1
fuzz: setup ## Try 10,000 hostile expressions, 4,600 hostile requests, 2,000 operations (SEED=1)
	$(BIN)/python -m tests.fuzz.expressions 10000 $(SEED)
	$(BIN)/python -m tests.fuzz.attacking 4000 $(SEED)
	$(BIN)/python -m tests.fuzz.operations 40 $(SEED)

lock: setup ## Write requirements.lock anew, with the newest versions
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --all-extras --generate-hashes --no-emit-index-url --no-header --output-file requirements.lock pyproject.toml

clean: ## Remove what setup made
	rm -rf .venv deploy/release/.venv tests/parity/node_modules tests/audits/node_modules tests/cloudevents/node_modules tests/sockets/node_modules tests/clients/node_modules tests/clients/react18/node_modules tests/identity/node_modules tests/manners/node_modules benchmarks/fanout_node/node_modules benchmarks/peers/node/node_modules benchmarks/peers/node/.node web/node_modules web/.node app/http/static
