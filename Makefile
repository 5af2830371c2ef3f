# Two commands do everything on a fresh Debian 12 with a Rust toolchain:
#   make run    installs what is missing, builds, and runs the whole gate on a painted lane with a simulated arm
#   make test   installs what is missing, runs every test
# `make run ARGS="--once"` lets five cars come and exits 0 only if each got the right answer.

.PHONY: help run test build lint models clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -5

run: build
	@. scripts/environment && exec ./target/release/plategate run --demo $(ARGS)

build:
	@scripts/setup build
	@. scripts/environment && cargo build --release --locked

test:
	@scripts/setup test
	@. scripts/environment && cargo test --locked

lint:
	@scripts/setup lint
	@. scripts/environment && cargo fmt --check && cargo clippy --locked --all-targets -- -D warnings
	@. scripts/environment && "$$PLATEGATE_TOOLS/bin/cargo-deny" check bans sources licenses

# From photographs (PLATEGATE_PHOTOS) to the three ONNX files; hours on two cores, and it goes on where it stopped.
models:
	@models/training/make_models

clean:
	cargo clean
