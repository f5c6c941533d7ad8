#!/usr/bin/env bash
# How fast logs are counted, and in how much memory: a million lines of each kind, plain and gzip.
#
#   tests/bench/traffic.sh [LINES]
set -euo pipefail
cd "$(dirname "$0")/../.."
lines=${1:-1000000}
target=${CARGO_TARGET_DIR:-$PWD/target}
[ -n "${NO_BUILD:-}" ] || cargo build -q --release -p nearside --bin advisor
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 - "$lines" "$work" <<'P'
import random, sys
lines, work = int(sys.argv[1]), sys.argv[2]
draw = random.Random(1)
edges = ["FRA2", "LAX1", "NRT57-P4", "SEA19-C1", "GRU3-C2", "BOM78-P2", "SYD62-P1"]
address = lambda: f"{draw.randrange(1, 224)}.{draw.randrange(256)}.{draw.randrange(64)}.{draw.randrange(256)}"
fields = ("date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) "
    "cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken "
    "x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status "
    "fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len "
    "sc-range-start sc-range-end")
agent = "Mozilla/5.0%20(X11;%20Linux%20x86_64)%20AppleWebKit/537.36%20(KHTML,%20like%20Gecko)%20Chrome/140.0.0.0"
with open(f"{work}/cloudfront", "w") as log:
    log.write(f"#Version: 1.0\n#Fields: {fields}\n")
    for _ in range(lines):
        log.write("\t".join(["2026-11-26", "10:00:00", draw.choice(edges), "1200", address(), "GET",
            "d111111abcdef8.cloudfront.net", "/v1/orders", "200", "-", agent, "-", "-", "Miss", "x" * 56,
            "api.example.com", "https", "300", "0.120", "-", "TLSv1.3", "TLS_AES_128_GCM_SHA256", "Miss", "HTTP/2.0",
            "-", "-", "44112", "0.119", "Miss", "application/json", "900", "-", "-"]) + "\n")
with open(f"{work}/apigateway", "w") as log:
    for _ in range(lines):
        log.write('{"requestId":"c6af9ac6-7b61-11e6-9a41-93e8deadbeef","ip":"%s","caller":"-","user":"-",'
            '"requestTime":"26/Nov/2026:10:00:00 +0000","httpMethod":"GET","resourcePath":"/v1/orders","status":"200",'
            '"protocol":"HTTP/1.1","responseLength":"900"}\n' % address())
with open(f"{work}/query-log", "w") as log:
    for _ in range(lines):
        log.write(f"1.0 2026-11-26T10:00:00.123Z Z123412341234 api.example.com A NOERROR UDP {draw.choice(edges)} "
            f"{address()} -\n")
P
gzip -1 -k "$work/cloudfront"
for log in cloudfront apigateway query-log cloudfront.gz; do
  python3 - "$target/release/advisor" traffic "--${log%.gz}" "$work/$log" --json <<'P'
import json, os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
told = json.load(process.stdout)
_, status, usage = os.wait4(process.pid, 0)
took = time.perf_counter() - began
assert status == 0 and told["malformed"] == 0, told
print(f"{sys.argv[4].rsplit('/', 1)[1]}: {told['counted']} of {told['lines']} lines, {told['networks']} networks, "
      f"{took:.2f} s, {usage.ru_maxrss / 1024:.0f} MB")
P
done
