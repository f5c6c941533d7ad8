#!/usr/bin/env bash
# How long a probe takes from its start to its first sample: `probe once` against a server of this machine
# that sees it arrive. Prints; judges nothing. The machine should be idle.
#
#   tests/bench/start.sh [BINARY]     target/release/probe where none is named
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
binary="${1:-${CARGO_TARGET_DIR:-target}/release/probe}"
exec python3 tests/bench/start.py "$binary"
