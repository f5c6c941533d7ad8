#!/usr/bin/env bash
# A report of 30 days of 35 x 35 series: time, memory, size of the page.
#
#   tests/bench/report.sh [RUNS]          3 without an argument
#
# The store is made once, under target/bench, by the example that the dashboard's benchmark uses too; it
# takes about 1 GB. Nobody answers for Route 53, so that the report is one without routing.
set -euo pipefail
cd "$(dirname "$0")/../.."
runs=${1:-3}
target=${CARGO_TARGET_DIR:-$PWD/target}
store=$target/bench/month
if [ -z "${NO_BUILD:-}" ]; then
  cargo build -q --release -p nearside --bin advisor
  cargo build -q --release -p probe --example month
fi
[ -s "$store/nearside.sqlite" ] || "${MONTH:-$target/release/examples/month}" make "$store"
# All its series are cold.
{ cat "$store/nearside.toml"; printf '[evidence]\ncold_share = 1.0\n'; } >"$store/report.toml"
export AWS_ENDPOINT_URL_ROUTE_53=http://127.0.0.1:1 AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none
export AWS_MAX_ATTEMPTS=1 AWS_EC2_METADATA_DISABLED=true
exec python3 - "$target/release/advisor" "$store" "$runs" <<'PYTHON'
import pathlib, resource, subprocess, sys, time

advisor, store, runs = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
command = [advisor, "--config", store / "report.toml", "--store", f"sqlite:{store}/nearside.sqlite", "-q",
           "report", "--since", "30d", "--out", store / "report"]
for run in range(runs):
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    print(f"run {run + 1}: {time.monotonic() - began:.2f} s")
peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
sizes = {path.name: path.stat().st_size for path in (store / "report").iterdir() if path.is_file()}
print(f"peak {peak_mb:.0f} MiB; " + ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in sorted(sizes.items())))
PYTHON
