# Every target sets up what it needs, in the project's own directories and, where a system package is
# missing, from Debian's archive by name. Set-up runs again only when what it depends on changes.

SHELL := bash
PYTHON ?= python3
MODULE := python-host/koru_delta/koru_delta_core.wasm
WHEEL := dist/koru_delta-2.0.0-py3-none-any.whl
WHEEL_SOURCES := $(shell find python-host core-wasm/src tests examples -type f \
	-not -path '*/__pycache__/*' -not -name '$(notdir $(MODULE))*' 2>/dev/null)
SELFTEST := .build/selftest.wasm
NPM_PACKAGE := dist/koru-delta-2.0.0.tgz
GO_MODULES := .build/go.stamp
IN_RUST := cd core-wasm && . ../.build/toolchain.env &&
PYTEST := .venv/bin/python -m pytest --numprocesses auto --dist worksteal
PIP := -m pip --disable-pip-version-check --quiet install

.DEFAULT_GOAL := help
.PHONY: help demo test check pyodide edge web bench torture fuzz wheel module lint test-rust
.PHONY: bench-browser npm test-npm toolchain clean FORCE
.NOTPARALLEL:
.DELETE_ON_ERROR:

help: ## Show what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile

demo: .build/demo/.stamp ## Install the wheel in a fresh environment and run the examples 01 to 04
	@.build/demo/bin/python examples/demo.py .build/demo/work

test: test-rust $(MODULE) $(SELFTEST) .build/strace.stamp .venv/.stamp .build/pyodide/.stamp ## Run the tests: the engine's, the package's, and in browsers
	$(PYTEST)
	pyodide/run.sh quick $(WHEEL)

check: lint test-rust $(MODULE) $(SELFTEST) .build/strace.stamp .venv/.stamp .build/pyodide/.stamp ## Run all that CI runs: formats, lints, types, tests, coverage
	$(PYTEST) --cov --cov-report=term
	pyodide/run.sh quick $(WHEEL)

pyodide: .build/pyodide/.stamp ## Run all suites under Pyodide, in node and in Chromium; print figures
	pyodide/run.sh shared $(WHEEL)
	node pyodide/figures.mjs .build/pyodide/site

# The table of the README says what passed here.
edge: test-npm .build/pyodide/.stamp $(GO_MODULES) ## Build and test the npm package; try the module on every runtime
	KORU_WRITE_TABLE=1 .venv/bin/python -m pytest tests/edge/suite.py
	.venv/bin/python core-wasm/component/build.py $(MODULE) .build/component/koru_delta.component.wasm

npm: $(NPM_PACKAGE) ## Build the npm package into dist

test-npm: $(NPM_PACKAGE) .venv/.stamp
	core-wasm/js/test.sh $(NPM_PACKAGE)

web: $(WHEEL) pyodide/node_modules/.stamp ## Serve the playground, which runs in the browser alone, at PORT or 8000
	@.venv/bin/python web-demo/site.py .build/web $(WHEEL) $(or $(PORT),8000)

bench: .build/bench/.stamp ## Measure beside other embedded stores
	.build/bench/bin/python tests/bench/run.py

bench-browser: .build/pyodide/.stamp pyodide/peers/node_modules/.stamp $(NPM_PACKAGE) ## Measure beside other stores inside Chromium
	node pyodide/peers/run.mjs .build/pyodide/site .build/npm/package

torture: $(MODULE) .venv/.stamp ## Crash, kill, starve and hammer it for hours; RUN='crash --count 500' for less
	.venv/bin/python tests/torture/run.py $(RUN)

fuzz: toolchain ## Fuzz the engine natively, a million executions a target; RUNS=10000 for less
	$(IN_RUST) fuzz/run.sh $(or $(RUNS),1000000)

wheel: $(WHEEL) ## Build the wheel and the sdist into dist

module: $(MODULE) ## Build the WebAssembly module into the package

lint: toolchain $(MODULE) .venv/.stamp
	$(IN_RUST) cargo fmt --check
	$(IN_RUST) cargo clippy --locked --all-targets -- -D warnings
	core-wasm/build.sh clippy -- -D warnings
	core-wasm/build.sh clippy --features js -- -D warnings
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	pyodide/node_modules/.bin/pyright

test-rust: toolchain
	$(IN_RUST) cargo test --locked --quiet

clean: ## Remove everything that was built or set up here
	rm -rf .build .venv dist core-wasm/target pyodide/node_modules pyodide/peers/node_modules
	rm -rf core-wasm/js/node_modules $(MODULE) $(MODULE).sha256
	rm -rf .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find python-host tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

toolchain:
	@core-wasm/toolchain.sh

# cargo knows best whether anything changed; the module keeps its date when its bytes do.
$(MODULE): pyodide/node_modules/.stamp FORCE
	@test -f $@ || echo "module: compiling the engine (about a minute the first time)"
	@core-wasm/build.sh

# The tests of the SIMD kernels, inside a module of their own.
$(SELFTEST): toolchain FORCE
	@core-wasm/build.sh build --quiet --release --lib --features selftest --target-dir target/selftest
	@cp core-wasm/target/selftest/wasm32-unknown-unknown/release/koru_delta_core.wasm $@

pyodide/node_modules/.stamp: pyodide/package.json pyodide/package-lock.json
	@command -v npm >/dev/null || core-wasm/toolchain.sh apt npm
	@echo "setup: installing the pinned JavaScript tools in pyodide/node_modules"
	@cd pyodide && npm ci --silent --no-audit --no-fund
	@touch $@

pyodide/peers/node_modules/.stamp: pyodide/peers/package.json pyodide/peers/package-lock.json
	@echo "setup: installing what is measured beside, in pyodide/peers/node_modules"
	@cd pyodide/peers && npm ci --silent --no-audit --no-fund
	@touch $@

core-wasm/js/node_modules/.stamp: core-wasm/js/package.json core-wasm/js/package-lock.json
	@command -v npm >/dev/null || core-wasm/toolchain.sh apt npm
	@echo "setup: installing the pinned JavaScript tools in core-wasm/js/node_modules"
	@cd core-wasm/js && npm ci --silent --no-audit --no-fund
	@touch $@

# What makes the JavaScript face: wasm-bindgen's tool of the very version that the engine is built with.
.build/cargo/.stamp: core-wasm/Cargo.lock | toolchain
	@echo "setup: building wasm-pack and wasm-bindgen in .build/cargo (some minutes, once)"
	@$(IN_RUST) js/tools.sh
	@touch $@

$(NPM_PACKAGE): core-wasm/js/node_modules/.stamp pyodide/node_modules/.stamp .build/cargo/.stamp FORCE
	@core-wasm/js/build.sh

$(GO_MODULES): examples/hosts/go/go.sum
	@command -v go >/dev/null || core-wasm/toolchain.sh apt golang-go
	@echo "setup: downloading the host's modules of Go"
	@cd examples/hosts/go && go mod download
	@touch $@

# $(call new_venv,DIRECTORY): Debian's python3 lacks venv, and PYTHON may be too old.
define new_venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=...")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || core-wasm/toolchain.sh apt python3-venv
	@$(PYTHON) -m venv --clear $(1)
endef

.build/strace.stamp:
	@command -v strace >/dev/null || core-wasm/toolchain.sh apt strace \
		|| echo "setup: without strace, the test by the system's own record is skipped"
	@mkdir -p .build && touch $@

.venv/.stamp: tests/requirements.txt pyproject.toml | $(MODULE)
	@echo "setup: installing the pinned Python tools in .venv"
	$(call new_venv,.venv)
	@.venv/bin/python $(PIP) -r tests/requirements.txt
	@.venv/bin/python $(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

$(WHEEL): $(MODULE) $(WHEEL_SOURCES) pyproject.toml README.md .venv/.stamp
	@echo "wheel: building it from the sdist, in dist"
	@rm -f dist/*.whl dist/*.tar.gz
	@.venv/bin/python -m build --no-isolation --outdir dist >.build/wheel.log 2>&1 \
		|| { tail -n 20 .build/wheel.log; exit 1; }

.build/pyodide/.stamp: $(WHEEL) pyodide/node_modules/.stamp $(wildcard pyodide/*.py pyodide/*.txt)
	@pyodide/build.sh .venv/bin/python $(WHEEL)
	@touch $@

.build/demo/.stamp: $(WHEEL)
	@echo "demo: installing the wheel in .build/demo"
	$(call new_venv,.build/demo)
	@.build/demo/bin/python $(PIP) $(WHEEL)
	@touch $@

.build/bench/.stamp: $(WHEEL) tests/bench-requirements.txt
	@echo "bench: installing the wheel and what it is measured against in .build/bench"
	$(call new_venv,.build/bench)
	@.build/bench/bin/python $(PIP) -r tests/bench-requirements.txt $(WHEEL)
	@touch $@
