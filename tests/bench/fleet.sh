#!/usr/bin/env bash
# What publishing costs: a thousand series a minute through the spool to the lab's CloudWatch, in
# requests and processor time. Prints; judges nothing. The machine should be idle.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
if [ -z "${NO_BUILD:-}" ]; then
  cargo build --release --locked -q -p nearside -p aws --bins --example publish
fi
folder="$(mktemp -d)"
"$CARGO_TARGET_DIR/release/advisor" lab --json --scenario calm --dir "$folder/lab" >"$folder/facts" &
lab=$!
trap 'kill "$lab" 2>/dev/null; wait "$lab" 2>/dev/null || true; rm -rf "$folder"' EXIT
for _ in $(seq 300); do
  [ -s "$folder/facts" ] && break
  sleep 0.1
done
url="$(python3 -c 'import json, sys; print(json.loads(sys.stdin.readline())["cloudwatch"])' <"$folder/facts")"
for samples in 6 60 600; do
  "$CARGO_TARGET_DIR/release/examples/publish" "$url" 1000 "$samples" 20
done
