#!/usr/bin/env bash
# The probe beside blackbox_exporter, oha and curl: same server, same machine, same run.
#
#   tests/bench/probe.sh [SECONDS]          10 s a row without an argument
#
# It installs prometheus-blackbox-exporter and curl (apt) and oha (cargo, into the target folder)
# where they are missing. Figures are for each second of processor time of the prober's process;
# the server's time is not in them.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-10}
target=${CARGO_TARGET_DIR:-$PWD/target}
work=$(mktemp -d)
started=()
cleanup() { for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done; rm -rf "$work"; }
trap cleanup EXIT

command -v prometheus-blackbox-exporter >/dev/null || apt-get install -y prometheus-blackbox-exporter >&2
command -v curl >/dev/null || apt-get install -y curl >&2
oha=$target/bench/bin/oha
[ -x "$oha" ] || cargo install oha --locked --root "$target/bench" >&2
# As `cargo build --workspace` does, so that nothing is compiled twice.
cargo build -q --release --locked --workspace --example bench
bench=$target/release/examples/bench

"$bench" server "$work" >"$work/url" & started+=($!)
for _ in $(seq 50); do [ -s "$work/url" ] && break; sleep 0.1; done
url=$(cat "$work/url"); ca=$work/ca.pem

# Processor seconds of a process, from /proc.
cpu_of() { awk '{ sub(/^.*\) /, ""); print ($12 + $13) / 100 }' "/proc/$1/stat"; }
row() { printf '%-44s %10s %14s  %s\n' "$1" "$2" "$3" "$4"; }
# Runs a command and says what processor time it and its children took.
timed() { local TIMEFORMAT='%U %S'; { time "$@" >"$work/out" 2>"$work/err"; } 2>&1 | awk '{ print $1 + $2 }'; }
rate() { awk -v n="$1" -v s="$2" 'BEGIN { printf "%.0f", n / s }'; }

row "prober" "samples" "per CPU-second" "notes"
declare -A figure

for connection in cold warm; do
  for clock in kernel user; do
    out=$("$bench" load "$url" "$ca" $connection $clock 4 "$seconds")
    set -- $out
    figure[$connection-$clock]=${10}
    row "probe, $connection, all phases, $clock time" "$2" "${10}" "failed $4, kernel time in $6"
  done
  keep=(); [ $connection = cold ] && keep=(--disable-keepalive)
  cpu=$(timed "$oha" --no-tui --output-format json "${keep[@]}" --cacert "$ca" -c 4 -z "${seconds}s" "$url")
  n=$(python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); print(sum(d["statusCodeDistribution"].values()))' "$work/out")
  figure[oha-$connection]=$(rate "$n" "$cpu")
  row "oha, $connection" "$n" "${figure[oha-$connection]}" "no phases"
done

cat >"$work/blackbox.yml" <<Y
modules:
  tls:
    prober: http
    timeout: 5s
    http:
      preferred_ip_protocol: ip4
      tls_config: { ca_file: $ca }
Y
port=$(python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
prometheus-blackbox-exporter --config.file="$work/blackbox.yml" --web.listen-address="127.0.0.1:$port" \
  >"$work/blackbox.log" 2>&1 & exporter=$!; started+=("$exporter")
for _ in $(seq 50); do curl -sf "http://127.0.0.1:$port/-/healthy" >/dev/null && break; sleep 0.1; done
before=$(cpu_of "$exporter")
"$oha" --no-tui --output-format json -c 4 -z "${seconds}s" \
  "http://127.0.0.1:$port/probe?module=tls&target=$url" >"$work/out" 2>/dev/null
used=$(awk -v a="$before" -v b="$(cpu_of "$exporter")" 'BEGIN { print b - a }')
n=$(python3 -c 'import json,sys; d=json.load(open(sys.argv[1])); print(d["statusCodeDistribution"].get("200", 0))' "$work/out")
ok=$(curl -s "http://127.0.0.1:$port/probe?module=tls&target=$url" | awk '$1 == "probe_success" { print $2 }')
figure[blackbox]=$(rate "$n" "$used")
row "blackbox_exporter, cold" "$n" "${figure[blackbox]}" "probe_success $ok"

curls() { for _ in $(seq 200); do curl -s --cacert "$ca" -o /dev/null "$url"; done; }
cpu=$(timed curls)
row "curl, cold, one process each" 200 "$(rate 200 "$cpu")" ""

echo
row "agent on its grid" "samples" "lateness us" "memory"
agent() {
  local out; out=$("$bench" agent "$url" "$ca" "$2" "$3" "$4" "$seconds")
  set -- "$1" $out
  row "$1" "$3" "p50 $9 p99 ${11}" "RSS $(( ${15} / 1024 )) MB, peak $(( ${17} / 1024 )) MB, failed $5, missed $7, CPU ${19} s"
}
agent "1,000 warm targets, each once a second" warm 1000 1s
agent "250 cold targets, each once a second" cold 250 1s

echo
ratio() { awk -v a="$1" -v b="$2" -v least="$3" -v what="$4" \
  'BEGIN { r = a / b; printf "%-52s %6.2f  (wanted %s) %s\n", what, r, least, (r >= least ? "yes" : "NO") }'; }
ratio "${figure[cold-kernel]}" "${figure[oha-cold]}" 0.8 "cold with all phases, of oha"
ratio "${figure[cold-kernel]}" "${figure[blackbox]}" 4 "cold with all phases, of blackbox_exporter"
ratio "${figure[warm-kernel]}" "${figure[oha-warm]}" 0.5 "warm with kernel time, of oha"
ratio "${figure[warm-user]}" "${figure[oha-warm]}" 0.8 "warm with user clock, of oha"
