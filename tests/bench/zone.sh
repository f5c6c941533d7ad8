#!/usr/bin/env bash
# A zone of 10,000 record sets, 9,000 of them below the service name: how long `advisor drain` takes to
# read it, diff it and plan over it, and how much memory. The lab does not throttle, because the API's own
# pace is not what is measured.
#
#   tests/bench/zone.sh [RUNS]            3 without an argument
set -euo pipefail
cd "$(dirname "$0")/../.."
runs=${1:-3}
target=${CARGO_TARGET_DIR:-$PWD/target}
if [ -z "${NO_BUILD:-}" ]; then
  cargo build -q --release -p nearside --bin advisor --example zone
fi
folder=$(mktemp -d)
"$target/release/examples/zone" "$folder" >"$folder/facts" &
lab=$!
trap 'kill "$lab"; rm -rf "$folder"' EXIT
for _ in $(seq 300); do
  [ "$(wc -l <"$folder/facts")" -lt 3 ] || break
  kill -0 "$lab"
  sleep 0.2
done
{ read -r AWS_ENDPOINT_URL_ROUTE_53; read -r AWS_ENDPOINT_URL_API_GATEWAY; read -r config; } <"$folder/facts"
export AWS_ENDPOINT_URL_ROUTE_53 AWS_ENDPOINT_URL_API_GATEWAY
export AWS_ENDPOINT_URL_APIGATEWAYV2=$AWS_ENDPOINT_URL_API_GATEWAY
export AWS_ACCESS_KEY_ID=lab AWS_SECRET_ACCESS_KEY=lab AWS_EC2_METADATA_DISABLED=true
python3 - "$target/release/advisor" "$config" "$folder" "$runs" <<'PYTHON'
import json, pathlib, resource, subprocess, sys, time

advisor, config, folder, runs = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), int(sys.argv[4])
command = [advisor, "--config", config, "--store", f"sqlite:{folder}/none.sqlite", "--json",
           "drain", "us-east-1", "--out", folder / "plan.json"]
for run in range(runs):
    began = time.monotonic()
    done = subprocess.run(command, check=True, capture_output=True)
    seconds = time.monotonic() - began
    plan = json.loads(done.stdout)["document"]
    print(f"run {run + 1}: {seconds:.2f} s, {len(plan['changes'])} changes, {len(plan['prior'])} sets in scope")
peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"peak {peak_mb:.0f} MiB")
PYTHON
