# `make demo` and `make test` are the two commands a newcomer needs; every target installs what it needs first.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
.DELETE_ON_ERROR:
.PHONY: demo test simulate prove properties bugs check bench cloud bundle operator image deploy destroy diagram \
	audit sbom lock clean

# The installed set is marked by a stamp of its own, so that the demo does not wait for the test tools.
.venv/demo.stamp: requirements/demo.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("longscribe needs Python 3.11 or newer: make PYTHON=python3.11 …" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/build.txt -r $<
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.venv/dev.stamp: requirements/dev.txt .venv/demo.stamp
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	touch $@

# Transcribe speech end to end: FILE=… takes your own recording, else one is made from text.
demo: .venv/demo.stamp
	$(BIN)/python -m longscribe.demo $(if $(FILE),"$(FILE)")

# ARGS="tests/contract -q" for a part.
test: .venv/dev.stamp
	$(BIN)/pytest --cov --cov-report= $(ARGS)
	$(if $(ARGS),,$(BIN)/coverage report)
	$(if $(ARGS),,$(BIN)/coverage report --include='src/longscribe/core/*,src/longscribe/stages/*' --fail-under=100)

# Replays seeds of the simulation's random campaign, and prints the schedule of one that fails.
FROM ?= 0
SEEDS ?= 1
simulate: .venv/dev.stamp
	$(BIN)/python -m tests.simulation $(FROM) $(SEEDS)

# The long tiers, resumable; writes docs/proofs.json and docs/promises.md. ARGS='--only "random campaign" --minutes 10'
prove: .venv/dev.stamp
	$(BIN)/python -m proofs $(ARGS)

# Every property of the pure parts, 10,000 examples each.
properties: .venv/dev.stamp
	$(BIN)/pytest --hypothesis-profile=long --timeout=0 --durations=0 -m hypothesis $(or $(ARGS),tests/unit)

# Puts 25 realistic bugs into copies of the sources, one at a time, and tells which test caught each. ARGS="gap lease"
bugs: .venv/dev.stamp
	$(BIN)/python -m tests.bugs $(ARGS)

check: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/peers.stamp: requirements/peers.txt
	$(PYTHON) -m venv .venv/peers
	.venv/peers/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	touch $@

# Takes every figure of the README again; LONGSCRIBE_TEST_AUDIO names the directory of recordings and references.
bench: .venv/dev.stamp .venv/peers.stamp
	$(BIN)/python -m benchmarks.machine > docs/figures/machine.json
	$(BIN)/python -m benchmarks.pipeline speed --json docs/figures/speed.json
	$(BIN)/python -m benchmarks.steps --json docs/figures/steps.json
	$(BIN)/python -m benchmarks.pipeline accuracy --json docs/figures/accuracy.json
	$(BIN)/python -m benchmarks.missed_speech --json docs/figures/missed_speech.json
	$(BIN)/python -m benchmarks.chunking --json docs/figures/chunking.json
	$(BIN)/python -m benchmarks.cutters --json docs/figures/cutters.json
	$(BIN)/python -m benchmarks.loading --json docs/figures/loading.json
	$(BIN)/python -m benchmarks.passages --json docs/figures/passages.json
	$(BIN)/python -m benchmarks.word_times --json docs/figures/word_times.json
	$(BIN)/python -m benchmarks.damage
	$(BIN)/python -m benchmarks.vocabulary --json docs/figures/vocabulary.json
	$(BIN)/python -m benchmarks.languages --json docs/figures/languages.json
	$(BIN)/python -m benchmarks.cloud --json docs/figures/cloud.json
	$(BIN)/python -m benchmarks.planning --json docs/figures/planning.json
	$(BIN)/python -m benchmarks.planning constants
	$(BIN)/python -m benchmarks.scaling
	$(BIN)/python -m benchmarks.plots
	$(BIN)/python -m benchmarks.report

# The cloud on this machine: emulators, functions, a worker. Prints the variables for it and `ready`; Ctrl-C ends it.
cloud: .venv/dev.stamp
	@$(BIN)/python -m local_cloud

# Each function as a folder and a zip in build/functions/, the same bytes for the same sources.
bundle: .venv/demo.stamp
	$(BIN)/python functions/bundle.py

.venv/operator.stamp: requirements/operator.txt .venv/demo.stamp
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	touch $@

# What `longscribe … --project` needs beside the demo: Google's clients.
operator: .venv/operator.stamp

# PROJECT=… REGION=…: all of it on Google Cloud, images included. It takes gcloud, terraform, and for T4s kubectl.
# TAG=… takes images that are there already. docs/operations.md has the rest.
deploy: bundle operator
	deploy/deploy.sh up

# The images alone; what runs stays as it is.
image: bundle
	deploy/deploy.sh image

# Takes it down. Recordings and transcripts stay, unless DATA=delete.
destroy: bundle
	deploy/deploy.sh down

export PROJECT REGION TAG DATA

# docs/deployment.md, from what Terraform plans.
diagram: .venv/dev.stamp
	$(BIN)/python -m deploy.diagram

.venv/audit.stamp: requirements/audit.txt
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	touch $@

# What a deployment is made of, looked through for what is unsafe; then the packages' known vulnerabilities and licences,
# and secrets anywhere. Each exception has its reason beside it.
audit: .venv/audit.stamp .venv/dev.stamp
	.venv/audit/bin/checkov --config-file deploy/checkov.yaml
	.venv/audit/bin/python -m deploy.audit

# What functions and workers are made of, as CycloneDX, in build/sbom/: out of the locks, the same for the same locks.
sbom: .venv/dev.stamp
	mkdir -p build/sbom
	for part in functions worker gpu; do \
		$(BIN)/cyclonedx-py requirements requirements/$$part.txt --output-reproducible \
			--output-file build/sbom/$$part.json || exit 1; \
	done

# uv must be on the PATH; no host is written into the files.
LOCK = uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
	--generate-hashes --no-strip-extras --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock"
lock:
	$(LOCK) pyproject.toml -o requirements/core.txt
	$(LOCK) pyproject.toml --extra gcp --extra functions -o requirements/functions.txt
	$(LOCK) pyproject.toml --extra gcp --extra whisper -o requirements/worker.txt
	$(LOCK) pyproject.toml --extra gcp --extra cli -o requirements/operator.txt
	$(LOCK) pyproject.toml --extra whisper --extra cli --extra models -o requirements/local.txt
	$(LOCK) pyproject.toml --extra whisper --extra cli --extra models --extra demo -o requirements/demo.txt
	$(LOCK) pyproject.toml --extra whisper --extra cli --extra models --extra demo --extra gcp --extra functions --extra dev -o requirements/dev.txt
	$(LOCK) --group pyproject.toml:build -o requirements/build.txt
	$(LOCK) --group pyproject.toml:gpu -o requirements/gpu.txt
	$(LOCK) --group pyproject.toml:audit -o requirements/audit.txt
	$(LOCK) --group pyproject.toml:peers -o requirements/peers.txt

clean:
	rm -rf .venv build dist
