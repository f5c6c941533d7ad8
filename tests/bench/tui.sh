#!/usr/bin/env bash
# The dashboard on a store with a month of 35 x 35 series: first frame, keys, processor time, memory.
#
#   tests/bench/tui.sh [SECONDS]          30 s of watching without an argument
#
# The store is made once, under target/bench; it takes about 1 GB. While the dashboard is watched, another
# process adds a sample to each of 1,000 series every second.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-30}
target=${CARGO_TARGET_DIR:-$PWD/target}
store=$target/bench/month
cargo build -q --release -p nearside --bin advisor
cargo build -q --release -p probe --example month
# Windows are kept for a day: an older store would have none of the last minutes.
if [ -z "$(find "$store/nearside.sqlite" -mmin -30 2>/dev/null)" ]; then
  rm -rf "$store"
  "$target/release/examples/month" make "$store"
fi
exec python3 tests/bench/tui.py "$target/release/advisor" "$target/release/examples/month" "$store" "$seconds"
