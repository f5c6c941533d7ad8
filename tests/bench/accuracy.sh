#!/usr/bin/env bash
# How exact the phases of probers are, against the kernel's own packet times, over round trips of 1, 20, 80 and
# 300 ms between two network namespaces. Needs root. Prints a Markdown table; the rest begins with '#'.
#
#   tests/bench/accuracy.sh [--samples N] [--others N] [--rtt MS,MS] [--log FILE] ...
#
# Ours always; curl and blackbox_exporter beside it where they are there (BLACKBOX names another binary).
set -euo pipefail
cd "$(dirname "$0")/../.."
[ "$(id -u)" = 0 ] || { echo "accuracy.sh: needs root: network namespaces and TUN devices" >&2; exit 1; }
command -v ip >/dev/null || { echo "accuracy.sh: no ip command: install iproute2" >&2; exit 1; }

target=${CARGO_TARGET_DIR:-target}
if [ -z "${NO_BUILD:-}" ]; then
  # As `cargo build --workspace` does, so that nothing is compiled twice.
  cargo build --release -q --locked --workspace --bin probe --example accuracy
fi
args=(--probe "$(realpath "$target/release/probe")")
if command -v curl >/dev/null; then args+=(--curl); fi
blackbox=${BLACKBOX:-$(command -v prometheus-blackbox-exporter || command -v blackbox_exporter || true)}
if [ -n "$blackbox" ]; then args+=(--blackbox "$blackbox"); fi
exec timeout "${LIMIT_S:-900}" "$target/release/examples/accuracy" "${args[@]}" "$@"
