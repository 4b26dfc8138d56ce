# Vaguemestre. `make demo` runs it, `make test` tests it; both install what they need (Debian packages) when run as root.

CARGO ?= cargo
DEMO_FLAGS ?=
export CARGO_TERM_PROGRESS_WHEN = never

.PHONY: demo build release test test-all lint fmt bench packages packages-all clean

build: packages-build
	$(CARGO) build --quiet -p vaguemestre

release: packages-build
	$(CARGO) build --quiet --release -p vaguemestre

## Two operators on this machine, with mailboxes and letters; Ctrl-C stops them.
demo: release
	./target/release/vaguemestre demo $(DEMO_FLAGS)

## Unit tests; wire scenarios, one client of each family and a short crash loop, each on SQLite and on PostgreSQL.
test: packages
	tests/run.sh

## The same, with the long crash loops, full outages and every client.
test-all: packages-all
	tests/run.sh all

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --quiet --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null 2>&1; then cargo deny check; else echo "cargo-deny is not installed: licences and advisories were not checked (cargo install cargo-deny)"; fi

fmt:
	$(CARGO) fmt --all

## Figures beside Postfix + Dovecot, in one run; see docs/performance.md. QUICK=1 for a quick look.
bench: release
	tests/bench/run.sh

packages-build:
	@tests/packages.sh build
packages:
	@tests/packages.sh test
packages-all:
	@tests/packages.sh all

clean:
	$(CARGO) clean
