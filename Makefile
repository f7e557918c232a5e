# Every habit of the project is one word; `make help` lists them. A fresh machine needs Python >= 3.11, git and make.
# SPDX-FileCopyrightText: 2026 The nosana.compute contributors
# SPDX-License-Identifier: GPL-3.0-or-later

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

CACHE := $(CURDIR)/.cache
TREE := $(CACHE)/tree
COLLECTION := $(TREE)/ansible_collections/nosana/compute
RELEASED := $(CACHE)/release/tree/ansible_collections/nosana/compute

# The first Python that is new enough and really starts (a pyenv shim may not). Set PYTHON to choose.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
PYTHON_VERSION = $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')

# What the demonstration's hosts run ops with: its language model is an image of many gigabytes, so no container is the default.
RUNNER ?= process

DEMO := $(CACHE)/venv/demo
DEV := $(CACHE)/venv/dev
LINE_A := $(CACHE)/venv/line-a
GALAXY := $(CACHE)/venv/galaxy
RELEASE := $(CACHE)/venv/release
COMPILER := $(CACHE)/venv/compiler
ATHERIS := $(CACHE)/venv/atheris
DOCS := $(CACHE)/venv/docs
EDA := $(CACHE)/venv/eda
KIT := $(CACHE)/kit

# The validator listens on every interface, so it gets a network of its own; EXPOSED=yes runs it in this machine's.
ALONE = $(if $(EXPOSED),,python "$(CURDIR)/tools/alone.py")

LOCALNET_FILES := $(shell find localnet/src localnet/program/nosana_jobs.so localnet/pyproject.toml -type f ! -name '*.pyc' 2>/dev/null)
UNIT := tests/unit
FUZZ := tests/fuzz
FUZZ_EXAMPLES ?= 10000
FUZZ_SECONDS ?= 60
DECODERS ?= account answer history failure document result definition market_list header body
KILLS ?= 200
SIMULATION := tests/simulation
SEEDS ?= 200
BATCH ?= 100
PARALLEL ?= 8
SUITES ?= unit both_ways
JOBS ?= 2
# The longest first, so that they end together.
ALL_TESTS := test-localnet test-ansible test-plays test-secrets test-both-ways test-line-a test-docs test-simulation test-fuzz test-roles \
	test-awx-quick test-ground test-races test-galaxy lint test-unit program-check-if-able
RUN_IN_DEV = PATH="$(DEV)/bin:$$PATH" ANSIBLE_COLLECTIONS_PATH="$(TREE)" PYTHONPATH="$(TREE)"

say = @printf '\n== %s\n' "$(1)"

# A target is in the list by what stands behind it: "## group: what it does".
IN_GROUP = awk -v group=$(1) 'match($$0, /^[a-z-]+:.* \#\# /) && index(substr($$0, RLENGTH + 1), group ": ") == 1 \
	{ printf "  make %-18s %s\n", substr($$0, 1, index($$0, ":") - 1), substr($$0, RLENGTH + length(group) + 3) }' $(firstword $(MAKEFILE_LIST))

.PHONY: help
help: ## start: this list
	@echo "nosana.compute: run containers on the Nosana network, with Ansible"
	@echo; $(call IN_GROUP,start)
	@echo; echo "Every day:"; $(call IN_GROUP,day)
	@echo; echo "Parts of make test:"; $(call IN_GROUP,part)
	@echo; echo "What is long, or needs more than Python:"; $(call IN_GROUP,long)
	@echo; echo "Before a release:"; $(call IN_GROUP,release)
	@echo
	@echo "  PYTHON=python3.12 chooses another Python; everything that is made lies in .cache."

# --- what a newcomer wants -------------------------------------------------------------------------------------------

.PHONY: demo
demo: $(DEMO)/.localnet build ## start: deploy three jobs on a local network, look at them, remove them, count the money
	$(call say,Install the collection's artefact)
	@ANSIBLE_COLLECTIONS_PATH="$(CACHE)/demo" "$(DEMO)/bin/ansible-galaxy" collection install --force --offline -p "$(CACHE)/demo" "$(CACHE)"/build/nosana-compute-*.tar.gz | tail -n 1
	@cd "$(CACHE)/demo" && PATH="$(DEMO)/bin:$$PATH" ANSIBLE_COLLECTIONS_PATH="$(CACHE)/demo" ANSIBLE_LOCALHOST_WARNING=false \
		ANSIBLE_INVENTORY_UNPARSED_WARNING=false nosana-localnet run --runner $(RUNNER) -- python "$(CURDIR)/tools/demo.py"

.PHONY: test
test: $(DEV)/.localnet tree ## start: everything that CI runs, two at a time (JOBS); about twenty minutes
	@$(MAKE) -j$(JOBS) --output-sync=target TREE_IS_MADE=yes $(ALL_TESTS)
	$(call say,All tests passed)

# Those of ansible-test share a folder for what they make, and so come one after the other.
.PHONY: test-ansible
test-ansible: tree
	@$(MAKE) -j1 TREE_IS_MADE=yes test-sanity test-ansible-units test-integration

# --- parts of the tests ----------------------------------------------------------------------------------------------

.PHONY: lint
lint: $(DEV)/.localnet tree ## day: ruff, mypy --strict, REUSE licences, the table of versions
	$(call say,ruff)
	@"$(DEV)/bin/ruff" check . && "$(DEV)/bin/ruff" format --check --quiet . || { echo "run: make format"; exit 1; }
	$(call say,mypy --strict)
	@cd "$(TREE)" && "$(DEV)/bin/mypy" --config-file "$(CURDIR)/pyproject.toml" --cache-dir "$(CACHE)/mypy" \
		ansible_collections/nosana/compute/plugins ansible_collections/nosana/compute/extensions
	@cd localnet/src && "$(DEV)/bin/mypy" --config-file "$(CURDIR)/pyproject.toml" --cache-dir "$(CACHE)/mypy" nosana_localnet
	@"$(DEV)/bin/mypy" --config-file pyproject.toml --cache-dir "$(CACHE)/mypy" tools localnet/program/build.py
	$(call say,licences)
	@"$(DEV)/bin/reuse" lint --quiet || "$(DEV)/bin/reuse" lint
	$(call say,versions in the README)
	@"$(DEV)/bin/python" tools/matrix.py check || { echo "run: make format"; exit 1; }

.PHONY: format
format: $(DEV)/.localnet ## day: put the code, and the README's table of versions, into their form
	@"$(DEV)/bin/ruff" check --fix --quiet . ; "$(DEV)/bin/ruff" format --quiet .
	@"$(DEV)/bin/python" tools/matrix.py write

.PHONY: test-unit
test-unit: $(DEV)/.localnet tree ## day: the collection's unit tests, with the newest Solana libraries
	$(call say,unit tests)
	@cd "$(COLLECTION)" && $(RUN_IN_DEV) pytest -c "$(CURDIR)/pyproject.toml" --rootdir . $(UNIT)

.PHONY: test-fuzz
test-fuzz: $(DEV)/.localnet tree ## part: documents, accounts and answers that nobody meant; a few, always the same ones
	$(call say,fuzzing)
	@cd "$(COLLECTION)" && $(RUN_IN_DEV) pytest -c "$(CURDIR)/pyproject.toml" --rootdir . $(FUZZ)

.PHONY: fuzz
fuzz: $(DEV)/.localnet tree ## long: ten thousand documents at random for each test (FUZZ_EXAMPLES); some minutes
	$(call say,fuzzing with $(FUZZ_EXAMPLES) documents for each test)
	@cd "$(COLLECTION)" && NOSANA_FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(RUN_IN_DEV) pytest -c "$(CURDIR)/pyproject.toml" --rootdir . --durations=0 $(FUZZ)

.PHONY: fuzz-decoders
fuzz-decoders: $(ATHERIS)/.installed tree ## long: atheris, led by coverage: FUZZ_SECONDS, DECODERS; KEEP=yes keeps what reached more
	$(call say,$(FUZZ_SECONDS) seconds of atheris for each of $(DECODERS))
	@cd "$(COLLECTION)/tests/fuzz" && for decoder in $(DECODERS); do PYTHONPATH="$(TREE)" "$(ATHERIS)/bin/python" fuzz_decoders.py $$decoder "$(CACHE)/fuzz" \
		--seconds $(FUZZ_SECONDS) $(if $(KEEP),--keep "$(CURDIR)/tests/fuzz/corpus") || exit 1; done

.PHONY: test-simulation
test-simulation: $(DEV)/.localnet tree ## part: some simulated days full of faults, always the same ones
	$(call say,simulation)
	@cd "$(COLLECTION)" && $(RUN_IN_DEV) pytest -c "$(CURDIR)/pyproject.toml" --rootdir . $(SIMULATION)

.PHONY: simulate
simulate: $(DEV)/.localnet tree ## long: 200 simulated days; SEEDS, FIRST; SEED tells the whole story of one
	$(call say,simulating $(if $(SEED),the day $(SEED),$(SEEDS) days))
	@cd "$(COLLECTION)" && $(RUN_IN_DEV) python $(SIMULATION)/simulate.py $(if $(SEED),--seed $(SEED),--seeds $(SEEDS) $(if $(FIRST),--first $(FIRST)))

.PHONY: simulate-two-days
simulate-two-days: $(DEV)/.localnet tree ## long: 48 simulated hours with a play every ten minutes; exact to the base unit
	$(call say,simulating 48 hours)
	@cd "$(COLLECTION)" && $(RUN_IN_DEV) python $(SIMULATION)/simulate.py --two-days --seed $(or $(SEED),1)

.PHONY: simulate-mutations
simulate-mutations: $(DEV)/.localnet tree ## long: each guard that is taken away is noticed by the simulation within 200 seeds
	$(call say,guards taken away one by one)
	@cd "$(COLLECTION)" && $(RUN_IN_DEV) python $(SIMULATION)/mutations.py

.PHONY: test-line-a
test-line-a: $(LINE_A)/.installed $(DEV)/.localnet tree ## part: the unit tests with the older libraries; anchorpy decodes what the client packs
	$(call say,unit tests with the older libraries and anchorpy)
	@cd "$(COLLECTION)" && PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 PYTHONPATH="$(TREE):$(CURDIR)/localnet/src" NOSANA_IDL="$(CURDIR)/localnet/src/nosana_localnet/nosana_jobs.idl.json" \
		"$(LINE_A)/bin/python" -m pytest -q -p no:cacheprovider --rootdir . $(UNIT) tests/anchorpy
	$(call say,solana-py and anchorpy of the older line on a local network)
	@cd localnet/tests && PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 NOSANA_IDL="$(CURDIR)/localnet/src/nosana_localnet/nosana_jobs.idl.json" \
		"$(DEV)/bin/nosana-localnet" run --runner process --lag 0,4 -- "$(LINE_A)/bin/python" -m pytest -q -p no:cacheprovider --rootdir . solana_py_line_a.py

.PHONY: test-localnet
test-localnet: $(DEV)/.localnet tree ## part: the local network: recordings of the real program, others' clients, hosts
	$(call say,local network)
	@cd localnet/tests && PATH="$(DEV)/bin:$$PATH" pytest -c "$(CURDIR)/pyproject.toml" --rootdir . -m "not long" .
	$(call say,the collection on the local network)
	@cd "$(COLLECTION)" && $(RUN_IN_DEV) NOSANA_VALIDATOR= pytest -c "$(CURDIR)/pyproject.toml" --rootdir . tests/lifecycle

.PHONY: test-containers
test-containers: podman-is-there $(DEV)/.localnet ## long: hosts of the local network that run jobs in containers of podman and docker
	$(call say,jobs in containers)
	@cd localnet/tests && PATH="$(DEV)/bin:$$PATH" pytest -c "$(CURDIR)/pyproject.toml" --rootdir . -rs test_containers.py

.PHONY: test-transitions
test-transitions: $(DEV)/.localnet tree ## long: every cell of docs/transitions.md on the local network; about half an hour
	$(call say,every transition)
	@cd "$(COLLECTION)" && $(RUN_IN_DEV) NOSANA_VALIDATOR= NOSANA_TRANSITIONS=all \
		pytest -c "$(CURDIR)/pyproject.toml" --rootdir . tests/lifecycle/test_transitions.py

.PHONY: test-validator
test-validator: validator-is-there $(DEV)/.localnet tree ## long: a job's life on a real node, solana-test-validator; about an hour; TESTS for some
	$(call say,the collection on a real Solana node)
	@cd "$(COLLECTION)" && $(RUN_IN_DEV) NOSANA_VALIDATOR="$$(command -v solana-test-validator)" $(ALONE) \
		pytest -c "$(CURDIR)/pyproject.toml" --rootdir . $(or $(TESTS),tests/lifecycle)

.PHONY: validator-is-there
validator-is-there:
	@command -v solana-test-validator >/dev/null || { \
		echo "solana-test-validator is not on the PATH, so nothing was tested. It is part of Agave's releases, or takes half an hour to build:"; \
		echo "  CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 cargo install agave-validator --version 3.1.12 --locked --bin solana-test-validator"; \
		echo "(with Rust and, on Debian: apt-get install libclang-dev clang libudev-dev pkg-config protobuf-compiler cmake libssl-dev)"; \
		exit 1; }

.PHONY: test-races
test-races: $(DEV)/.localnet tree ## part: twenty ansible-playbooks at once, and runs that are killed at ten random moments
	$(call say,races)
	@$(MAKE) races-and-kills KILLS=10 TESTS=.

.PHONY: test-kills
test-kills: $(DEV)/.localnet tree ## long: runs that are killed, at 200 random moments; KILLS sets how many, SEED the moments
	$(call say,killed at $(KILLS) random moments)
	@$(MAKE) races-and-kills KILLS=$(KILLS) TESTS="-s test_kills.py"

.PHONY: races-and-kills
races-and-kills:
	@cd "$(COLLECTION)/tests/races" && $(RUN_IN_DEV) NOSANA_KILLS=$(KILLS) NOSANA_SEED="$(or $(SEED),nosana.compute)" \
		"$(DEV)/bin/python" -m pytest -c "$(CURDIR)/pyproject.toml" --rootdir . $(TESTS)

.PHONY: test-plays
test-plays: $(DEV)/.localnet tree ## part: ansible-playbook on bad days: one of each kind of fault, and a node that is lost
	$(call say,plays on bad days)
	@$(MAKE) plays

.PHONY: test-bad-plays
test-bad-plays: $(DEV)/.localnet tree ## long: every fault in every scene through ansible-playbook; about ten minutes
	$(call say,plays on all bad days)
	@$(MAKE) plays PLAYS=all

.PHONY: plays
plays:
	@cd "$(COLLECTION)/tests/plays" && $(RUN_IN_DEV) NOSANA_PLAYS=$(PLAYS) \
		"$(DEV)/bin/python" -m pytest -c "$(CURDIR)/pyproject.toml" --rootdir . .

.PHONY: bench
bench: $(DEV)/.localnet tree ## long: how quick the collection is and how often it asks, against what was promised
	$(call say,the collection measured)
	@cd "$(COLLECTION)" && $(RUN_IN_DEV) PYTHONPATH="$(TREE):$(COLLECTION)/tests/shared" "$(DEV)/bin/python" tests/bench/bench.py "$(CACHE)/bench.json" "$(CURDIR)/tools/bench_localnet.py"

.PHONY: bench-localnet
bench-localnet: $(DEV)/.localnet ## long: how fast the local network is, against what was promised
	$(call say,the local network measured)
	@"$(DEV)/bin/python" tools/bench_localnet.py "$(CACHE)/bench-localnet.json"

.PHONY: test-kit
test-kit: $(DEV)/.localnet tree ## long: JavaScript clients of others on the local network; needs Node >= 20.18 and npm
	$(call say,the official client and others in JavaScript)
	@node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 18) ? 0 : 1)' 2>/dev/null && npm --version >/dev/null 2>&1 \
		|| { echo "make test-kit needs Node >= 20.18 with npm on the PATH; found $$(node --version 2>/dev/null || echo none)."; exit 1; }
	@mkdir -p "$(KIT)" && cp localnet/tests/kit/* "$(KIT)"
	@cd "$(KIT)" && { cmp -s package.json node_modules/.installed || { npm install --no-audit --no-fund --ignore-scripts --no-package-lock --loglevel=error \
		&& cp package.json node_modules/.installed; }; }
	@cd "$(KIT)" && PATH="$(DEV)/bin:$$PATH" PYTHONPATH="$(TREE)" NOSANA_CIDS="$(DEV)/bin/python cids.py" \
		nosana-localnet run --runner process -- npm run --silent check
	$(call say,the same with transactions that land a slot after they were sent)
	@cd "$(KIT)" && PATH="$(DEV)/bin:$$PATH" PYTHONPATH="$(TREE)" NOSANA_CIDS="$(DEV)/bin/python cids.py" \
		nosana-localnet run --runner process -- npm run --silent check-late

.PHONY: test-secrets
test-secrets: $(DEV)/.localnet tree ## part: planted secrets are searched for in everything that real Ansible prints and writes
	$(call say,secrets)
	@cd tests/secrets && PATH="$(DEV)/bin:$$PATH" ANSIBLE_COLLECTIONS_PATH="$(TREE)" \
		"$(DEV)/bin/python" -m pytest -c "$(CURDIR)/pyproject.toml" --rootdir . .

.PHONY: test-both-ways
test-both-ways: $(DEV)/.localnet tree ## part: action plugins and modules give the same results, field by field
	$(call say,action plugins and modules)
	@cd tests/both_ways && PATH="$(DEV)/bin:$$PATH" ANSIBLE_COLLECTIONS_PATH="$(TREE)" \
		"$(DEV)/bin/python" -m pytest -c "$(CURDIR)/pyproject.toml" --rootdir . .

.PHONY: test-roles
test-roles: $(DEV)/.localnet tree ## part: a service changes under a client that asks all the time, a batch is killed and goes on
	$(call say,roles)
	@$(MAKE) roles

.PHONY: test-batch
test-batch: $(DEV)/.localnet tree ## long: a batch of 100 jobs (BATCH), 8 at a time (PARALLEL), killed in the middle; two minutes
	$(call say,$(BATCH) jobs and $(PARALLEL) at a time)
	@NOSANA_BATCH=$(BATCH) NOSANA_PARALLEL=$(PARALLEL) $(MAKE) roles TESTS="-s test_batch.py -k killed"

.PHONY: roles
roles:
	@cd "$(COLLECTION)/tests/roles" && $(RUN_IN_DEV) "$(DEV)/bin/python" -m pytest -c "$(CURDIR)/pyproject.toml" --rootdir . $(or $(TESTS),.)

.PHONY: matrix
matrix: $(DEV)/.localnet tree ## release: every supported ansible-core, Python and library; CELLS, SUITES; half an hour
	$(call say,$(SUITES) in the cells $(or $(CELLS),*))
	@JOBS=$(JOBS) "$(DEV)/bin/python" tools/matrix.py run "$(CACHE)" "$(SUITES)" $(foreach cell,$(CELLS),'$(cell)')

.PHONY: test-ground
test-ground: $(DEV)/.localnet tree ## part: modules without a home, on a full disk, behind proxies, with a wrong clock
	$(call say,the ground under a module)
	@cd "$(COLLECTION)/tests/ground" && $(RUN_IN_DEV) "$(DEV)/bin/python" -m pytest -c "$(CURDIR)/pyproject.toml" --rootdir . .

ALL_BUT_THE_IMAGE := --ignore test_image.py .

.PHONY: test-awx
test-awx: $(DEV)/.localnet tree ## long: the playbooks for AWX under ansible-runner, what awx_setup makes, slices that overlap
	$(call say,AWX)
	@$(MAKE) awx CHOSEN='$(ALL_BUT_THE_IMAGE)'

.PHONY: test-ee
test-ee: podman-is-there $(DEV)/.localnet tree ## long: the execution environment built with podman, and playbooks inside it; a few minutes
	$(call say,the execution environment)
	@$(MAKE) awx CHOSEN=test_image.py

.PHONY: podman-is-there
podman-is-there:
	@for program in podman bash busybox; do command -v $$program >/dev/null || missing="$$missing $$program"; done; test -z "$$missing" || { \
		echo "Not on the PATH:$$missing. So nothing was tested; on Debian: apt-get install podman runc uidmap slirp4netns busybox-static"; exit 1; }

.PHONY: test-awx-quick
test-awx-quick: $(DEV)/.localnet tree
	$(call say,AWX without the long ones)
	@$(MAKE) awx CHOSEN='-m "not long" $(ALL_BUT_THE_IMAGE)'

.PHONY: awx
awx:
	@cd "$(COLLECTION)/tests/awx" && $(RUN_IN_DEV) NOSANA_EXAMPLES="$(CURDIR)/examples" \
		"$(DEV)/bin/python" -m pytest -c "$(CURDIR)/pyproject.toml" --rootdir . $(CHOSEN)

.PHONY: test-eda
test-eda: java-is-there $(EDA)/.localnet tree ## long: the event source in a real ansible-rulebook, and the audit query; needs Java >= 17
	$(call say,Event-Driven Ansible)
	@cd "$(COLLECTION)/tests/eda" && PATH="$(EDA)/bin:$$PATH" ANSIBLE_COLLECTIONS_PATH="$(TREE)" PYTHONPATH="$(TREE)" \
		"$(EDA)/bin/python" -m pytest -c "$(CURDIR)/pyproject.toml" --rootdir . .

.PHONY: java-is-there
java-is-there:
	@java -version 2>&1 | awk -F '[".]' '/version/ { found = ($$2 >= 17) } END { exit !found }' || { \
		echo "make test-eda needs Java 17 or newer on the PATH, in which ansible-rulebook runs its rules; found $$(java -version 2>&1 | grep version || echo none)."; \
		echo "On Debian and Ubuntu: apt-get install openjdk-17-jre-headless; on Fedora: dnf install java-17-openjdk-headless"; \
		exit 1; }

.PHONY: test-sanity
test-sanity: $(DEV)/.localnet tree ## part: ansible-test sanity
	$(call say,ansible-test sanity)
	@cd "$(COLLECTION)" && $(RUN_IN_DEV) ansible-test sanity --venv --requirements --python $(PYTHON_VERSION) --color no

.PHONY: test-ansible-units
test-ansible-units: $(DEV)/.localnet tree ## part: ansible-test units
	$(call say,ansible-test units)
	@cd "$(COLLECTION)" && $(RUN_IN_DEV) ansible-test units --venv --requirements --python $(PYTHON_VERSION) --color no

.PHONY: test-integration
test-integration: $(DEV)/.localnet tree ## day: ansible-test integration against a local network; TARGETS chooses
	$(call say,ansible-test integration)
	@$(RUN_IN_DEV) nosana-localnet run --runner process -- python tools/integration.py "$(COLLECTION)" $(PYTHON_VERSION) $(TARGETS)

.PHONY: test-galaxy
test-galaxy: $(DEV)/.localnet $(GALAXY)/.installed build tree ## part: documentation, changelog, ansible-lint and Galaxy's own checks
	$(call say,documentation and changelog)
	@cd "$(COLLECTION)" && $(RUN_IN_DEV) antsibull-docs lint-collection-docs --plugin-docs --skip-rstcheck .
	@cd "$(COLLECTION)" && $(RUN_IN_DEV) antsibull-changelog lint
	$(call say,ansible-lint of the roles)
	@cd "$(COLLECTION)" && PATH="$(GALAXY)/bin:$$PATH" ANSIBLE_COLLECTIONS_PATH="$(TREE)" ansible-lint -q --offline --profile production roles
	$(call say,galaxy-importer)
	@cd "$(CACHE)" && PATH="$(GALAXY)/bin:$$PATH" GALAXY_IMPORTER_CONFIG="$(CURDIR)/tools/galaxy-importer.cfg" \
		"$(GALAXY)/bin/python" -m galaxy_importer.main "$(CACHE)"/build/nosana-compute-*.tar.gz

.PHONY: test-docs
test-docs: docs $(DEV)/.localnet tree ## part: every example of the site on the local network; its pages in a browser
	$(call say,the examples of the documentation)
	@cd tests/docs && PATH="$(DEV)/bin:$$PATH" ANSIBLE_COLLECTIONS_PATH="$(TREE)" NOSANA_SITE="$(CACHE)/docs/html" \
		"$(DEV)/bin/python" -m pytest -c "$(CURDIR)/pyproject.toml" --rootdir . .

# --- the program of the local network --------------------------------------------------------------------------------

.PHONY: program
program: $(COMPILER)/.installed ## long: rebuild the jobs program of the local network
	@"$(COMPILER)/bin/python" localnet/program/build.py

.PHONY: program-check
program-check: $(COMPILER)/.installed ## long: rebuild it and compare with what is checked in
	$(call say,the jobs program equals its source)
	@"$(COMPILER)/bin/python" localnet/program/build.py --check

.PHONY: program-check-if-able
program-check-if-able:
	@if [ -e "$(COMPILER)/.installed" ]; then $(MAKE) program-check; \
	else printf '\n== the jobs program is not rebuilt: its compiler (411 MB) is not installed; make program-check does both\n'; fi

# --- documentation ---------------------------------------------------------------------------------------------------

.PHONY: docs
docs: $(DOCS)/.installed tree ## start: the documentation site, without the network; a warning or a dead link is an error
	$(call say,the documentation site)
	@"$(DOCS)/bin/python" tools/docs/build.py "$(TREE)" "$(CACHE)/docs"

# --- building --------------------------------------------------------------------------------------------------------

.PHONY: build
build: $(DEMO)/.installed ## day: the collection's artefact
	$(call say,Build the collection)
	@rm -rf "$(CACHE)/build"
	@"$(DEMO)/bin/ansible-galaxy" collection build --output-path "$(CACHE)/build" . | tail -n 1

# --- releasing -------------------------------------------------------------------------------------------------------

.PHONY: changelog
changelog: $(DEV)/.localnet ## release: CHANGELOG.rst of the fragments, for the version in galaxy.yml
	@$(RUN_IN_DEV) antsibull-changelog release && $(RUN_IN_DEV) antsibull-changelog lint

# Everything that can be checked before a tag is set; what is checked is the artefact and the wheel, not the checkout.
.PHONY: release-check
release-check: $(RELEASE)/.installed $(DEV)/.localnet $(GALAXY)/.installed ## release: what can be checked before a tag, of the artefact and the wheel; four minutes
	$(call say,The artefact with its changelog)
	@rm -rf "$(CACHE)/release" && "$(PYTHON)" tools/tree.py "$(CACHE)/release/tree" >/dev/null
	@cd "$(RELEASED)" && $(RUN_IN_DEV) "$(PYTHON)" "$(CURDIR)/tools/release.py" changelog
	@cd "$(RELEASED)" && "$(RELEASE)/bin/ansible-galaxy" collection build --output-path "$(CACHE)/release/artefact" . | tail -n 1
	$(call say,Licences)
	@"$(DEV)/bin/reuse" lint --quiet || "$(DEV)/bin/reuse" lint
	$(call say,ansible-lint (production))
	@cd "$(RELEASED)" && PATH="$(RELEASE)/bin:$$PATH" ANSIBLE_COLLECTIONS_PATH="$(CACHE)/release/tree" ansible-lint --nocolor --strict
	@PATH="$(RELEASE)/bin:$$PATH" ANSIBLE_COLLECTIONS_PATH="$(CACHE)/release/tree" ansible-lint --nocolor --strict examples/*.yml
	$(call say,galaxy-importer)
	@cd "$(CACHE)/release" && PATH="$(GALAXY)/bin:$$PATH" GALAXY_IMPORTER_CONFIG="$(CURDIR)/tools/galaxy-importer.cfg" \
		"$(RELEASE)/bin/python" "$(CURDIR)/tools/release.py" importer "$(GALAXY)/bin/python" "$(CACHE)"/release/artefact/nosana-compute-*.tar.gz
	$(call say,The wheel of the local network in an empty environment)
	@"$(RELEASE)/bin/python" -m build --wheel --no-isolation --outdir "$(CACHE)/release/dist" localnet | tail -n 1
	@"$(PYTHON)" -m venv "$(CACHE)/release/empty" && "$(CACHE)/release/empty/bin/python" -m pip install -q --disable-pip-version-check "$(CACHE)"/release/dist/*.whl
	@cd "$(CACHE)/release" && empty/bin/nosana-localnet run --runner process -- empty/bin/python "$(CURDIR)/tools/release.py" wheel
	$(call say,The demonstration of the artefact with every ansible-core)
	@JOBS=$(JOBS) RUNNER=$(RUNNER) "$(DEV)/bin/python" tools/matrix.py run "$(CACHE)" artefact first
	@"$(RELEASE)/bin/python" tools/release.py rest

.PHONY: tree
tree:
	@test -n "$(TREE_IS_MADE)" || "$(PYTHON)" tools/tree.py "$(TREE)" >/dev/null

.PHONY: clean
clean: ## start: remove everything that was made
	@rm -rf "$(CACHE)"

# --- environments ----------------------------------------------------------------------------------------------------

define venv
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 was found; install one, or name it: make PYTHON=/path/to/python3"; exit 1; }
	@printf '\n== Install what is needed (%s)\n' "$(notdir $(1))"
	@rm -rf "$(1)" && "$(PYTHON)" -m venv "$(1)" && "$(1)/bin/python" -m pip install -q --disable-pip-version-check -r "$(2)"
endef

$(DEMO)/.installed: tools/requirements/demo.txt
	$(call venv,$(DEMO),$<)
	@touch $@

$(DEV)/.installed: tools/requirements/dev.txt tools/requirements/demo.txt
	$(call venv,$(DEV),$<)
	@"$(DEV)/bin/python" tools/seed_pip.py
	@touch $@

$(DOCS)/.installed: tools/requirements/docs.txt
	$(call venv,$(DOCS),$<)
	@touch $@

$(EDA)/.installed: tools/requirements/eda.txt tools/requirements/demo.txt
	$(call venv,$(EDA),$<)
	@touch $@

$(LINE_A)/.installed: tools/requirements/line-a.txt
	$(call venv,$(LINE_A),$<)
	@touch $@

$(GALAXY)/.installed: tools/requirements/galaxy.txt
	$(call venv,$(GALAXY),$<)
	@touch $@

$(RELEASE)/.installed: tools/requirements/release.txt tools/requirements/demo.txt
	$(call venv,$(RELEASE),$<)
	@touch $@

$(COMPILER)/.installed: tools/requirements/compiler.txt
	$(call venv,$(COMPILER),$<)
	@touch $@

$(ATHERIS)/.installed: tools/requirements/atheris.txt tools/requirements/demo.txt
	$(call venv,$(ATHERIS),$<)
	@touch $@

%/.localnet: %/.installed $(LOCALNET_FILES)
	@"$*/bin/python" -m pip install -q --disable-pip-version-check --force-reinstall --no-deps ./localnet
	@"$*/bin/python" -m pip install -q --disable-pip-version-check ./localnet
	@touch $@
