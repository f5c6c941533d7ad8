#!/usr/bin/env bash
# Instructions of one cold and one warm exchange, counted by callgrind: a guard against
# regressions that does not depend on how busy the machine is.
#
#   tests/bench/instructions.sh            prints both, and fails outside the bounds below
#
# Two runs of different length are subtracted, so that starting up is not in the figure.
set -euo pipefail
cd "$(dirname "$0")/../.."
# Bounds: what was measured when they were set, and a tenth more.
cold_max=${COLD_MAX:-2050000}
warm_max=${WARM_MAX:-53000}
target=${CARGO_TARGET_DIR:-$PWD/target}
work=$(mktemp -d)
command -v valgrind >/dev/null || apt-get install -y valgrind >&2
# As `cargo build --workspace` does, so that nothing is compiled twice.
cargo build -q --release --locked --workspace --example bench
bench=$target/release/examples/bench
"$bench" server "$work" >"$work/url" & server=$!
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 50); do [ -s "$work/url" ] && break; sleep 0.1; done
url=$(cat "$work/url")

instructions() {
  valgrind --tool=callgrind --callgrind-out-file="$work/out" "$bench" count "$url" "$work/ca.pem" "$1" "$2" \
    2>&1 | awk '/Collected/ { print $NF }'
}
status=0
for series in "cold 10 30 $cold_max" "warm 100 300 $warm_max"; do
  read -r connection few many most <<<"$series"
  less=$(instructions "$connection" "$few")
  more=$(instructions "$connection" "$many")
  each=$(( (more - less) / (many - few) ))
  echo "$connection: $each instructions an exchange (at most $most)"
  # A twentieth of the bound is no exchange: then something else was counted.
  [ "$each" -le "$most" ] && [ "$each" -ge $(( most / 20 )) ] || status=1
done
exit $status
