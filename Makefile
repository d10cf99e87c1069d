# make test    everything, on a fresh Debian machine with Rust: installs what is missing, then checks, tests, calls in a browser
# make check   the quick part: format, lints, layout, documentation
# make bench   the benchmarks

SHELL := /bin/sh
BIN := target/release/anchor-sft
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# Packages that are installed where their program is missing: program:package.
TOOLS := cc:build-essential c++:build-essential chromium:chromium node:nodejs npm:npm

# Runs a stage and tells how long it took; a failed stage ends everything.
define stage
	@echo "== $(1)"; start=$$(date +%s); ( $(2) ) || { echo "== $(1): FAILED" >&2; exit 1; }; \
	echo "== $(1): $$(( $$(date +%s) - start )) s"
endef

.PHONY: test check bench tools
.NOTPARALLEL:

test: tools
	$(call stage,format,cargo fmt --check)
	$(call stage,lints,cargo clippy --release --locked --all-targets -- -D warnings)
	$(call stage,tests,cargo test --release --locked)
	$(call stage,fuzz targets,cargo check --release --locked --manifest-path fuzz/Cargo.toml --target-dir target)
	$(call stage,program,cargo build --release --locked --bin anchor-sft)
	$(call stage,browser,node tests/browser/run.mjs $(BIN))
	$(call stage,stock clients,node tests/wire/run.mjs --binary $(BIN))
	@echo "all stages passed"

check:
	$(call stage,format,cargo fmt --check)
	$(call stage,lints,cargo clippy --locked --all-targets -- -D warnings)
	$(call stage,layout,cargo test --locked --test tidy --test config)
	$(call stage,documentation,RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' cargo doc --locked --no-deps)
	$(call stage,licences and advisories,if command -v cargo-deny >/dev/null; then cargo deny check; else echo 'cargo-deny is not here; skipped'; fi)

bench:
	cargo bench --locked

tools:
	$(call stage,tools, \
	  missing=''; \
	  for tool in $(TOOLS); do command -v "$${tool%%:*}" >/dev/null || missing="$$missing $${tool##*:}"; done; \
	  if [ -n "$$missing" ]; then $(SUDO) apt-get update -q && \
	    $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing || exit 1; fi; \
	  cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt || exit 1; \
	  cargo clippy --version >/dev/null 2>&1 || rustup component add clippy || exit 1; \
	  npm --prefix tests/browser ci --no-audit --no-fund)
