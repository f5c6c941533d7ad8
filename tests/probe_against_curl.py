"""`probe once` against curl's own timings, on one endpoint of the lab, direct.

The endpoint takes a fixed service time. The two take turns, one request each, so that both meet the
same machine; the medians of each phase must lie within 1 ms of each other. Neither resolves a name:
curl by --connect-to with an address, the probe by the same.

curl's fields (--write-out) count from the start of its request, so phases are differences of them.
One phase needs more: between time_connect and time_appconnect curl also makes OpenSSL ready and
checks the certificate, milliseconds that no wire sees and that the probe books as its own time
(`local`). So `tls` is taken from the moments that curl's trace gives (--trace-time): from its
ClientHello to the first byte of the server's flight, which on loopback arrives in one piece. What
curl's two fields say is printed beside the probe's tls and local together. The first
request of a curl also loads OpenSSL and the roots of trust, after its ClientHello; so each curl makes
two requests on connections of their own, and the second one counts.
"""

import datetime
import json
import pathlib
import re
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "third_party"))

import lab as labs  # noqa: E402

REQUESTS = 50
WARM_UP = 3
LIMIT_MS = 1.0
PHASES = ["connect", "tls", "processing", "transfer"]
FIELDS = ["time_namelookup", "time_connect", "time_appconnect", "time_pretransfer",
          "time_starttransfer", "time_total"]
REGION = "us-east-1"


def wire_of_tls(trace):
    """ms from ClientHello to the server's first bytes, on the last connection of a trace."""
    moments = re.findall(r"^(\d\d:\d\d:\d\d\.\d+) (.*)$", trace, re.M)
    start = max(at for at, (_, what) in enumerate(moments) if "(OUT), TLS handshake, Client hello" in what)
    end = next(at for at, (_, what) in enumerate(moments)
               if at > start and what.startswith("<= Recv SSL data"))
    sent, came = (datetime.time.fromisoformat(moments[at][0]) for at in (start, end))
    day = datetime.date.min
    apart = datetime.datetime.combine(day, came) - datetime.datetime.combine(day, sent)
    # Over midnight the clock goes back by a day.
    return (apart % datetime.timedelta(days=1)).total_seconds() * 1000


def curl(lab, to, *more):
    """Runs curl on the lab; what --write-out told, line by line."""
    command = ["curl", "--silent", "--show-error", "--max-time", "20", "--http1.1",
               "--no-sessionid", "--header", "Connection: close", "--cacert", lab.facts["ca"],
               "--connect-to", f"::{to}:", *more]
    code, out, err = labs.run(command)
    assert code == 0, err
    return out.splitlines()


def phases_of_curl(lab, url, to):
    """One request by curl for its fields and one for its trace; ms for each phase."""
    told = " ".join(f"%{{{field}}}" for field in ["num_connects", *FIELDS]) + "\\n"
    once = ["--output", "/dev/null", url]
    _, second = curl(lab, to, "--write-out", told, *once, *once)
    connects, *values = second.split()
    assert connects == "1", "the second request has a connection of its own"
    at = {field: float(value) * 1000 for field, value in zip(FIELDS, values, strict=True)}
    # Writing a trace takes time of its own, so nothing else is taken from those requests.
    trace = pathlib.Path(lab.folder.name) / "trace"
    curl(lab, to, "--trace-ascii", str(trace), "--trace-time", *once, *once)
    return {
        "connect": at["time_connect"] - at["time_namelookup"],
        "tls": wire_of_tls(trace.read_text(encoding="utf-8", errors="replace")),
        # curl sends its request between these two: pretransfer is its last moment before.
        "processing": at["time_starttransfer"] - at["time_pretransfer"],
        "transfer": at["time_total"] - at["time_starttransfer"],
        "tls + local": at["time_appconnect"] - at["time_connect"],
        "whole": at["time_total"],
    }


def phases_of_probe(lab, url, to):
    """One request by the probe; ms for each phase."""
    command = [labs.program("probe"), "once", url, "--json", "--http", "1.1", "--cacert",
               lab.facts["ca"], "--connect-to", f"{to}:{lab.port}"]
    code, out, err = labs.run(command)
    assert code == 0, err
    (sample,) = json.loads(out)["samples"]
    assert sample["outcome"] == {"kind": "ok", "status": 200}, sample
    assert sample["remote"] == f"{to}:{lab.port}", sample
    phases = {name: sample["phases_us"][name] / 1000 for name in PHASES}
    local = sample["local_us"] / 1000
    return {**phases, "tls + local": phases["tls"] + local, "whole": sample["total_us"] / 1000,
            "clock": sample["clock"]}


def main():
    """Measures, prints the table, and fails where a phase lies further apart than the limit."""
    lab = labs.Lab(pathlib.Path(__file__).resolve().parent / "third_party" / "world.toml")
    try:
        name = f"{REGION}.{lab.facts['name']}"
        ask = ["dig", f"@{lab.dns_host}", "-p", str(lab.dns_port), "+short", "+time=5", name, "A"]
        to = labs.run(ask)[1].strip()
        url = f"https://{lab.facts['name']}:{lab.port}/ping"
        curls, probes = [], []
        for at in range(WARM_UP + REQUESTS):
            # Who comes first alternates, so that order favours nobody.
            turns = [(curls, phases_of_curl), (probes, phases_of_probe)]
            for kept, measure in turns if at % 2 else reversed(turns):
                kept.append(measure(lab, url, to))
        curls, probes = curls[WARM_UP:], probes[WARM_UP:]
    finally:
        lab.stop()
    assert len(curls) == len(probes) == REQUESTS
    print(f"medians of {REQUESTS} interleaved requests, ms; clocks of the probe: "
          f"{sorted({one['clock'] for one in probes})}")
    print(f"{'phase':<14}{'curl':>9}{'probe':>9}{'apart':>9}")
    far = []
    for phase in [*PHASES, "tls + local", "whole"]:
        of_curl = statistics.median(one[phase] for one in curls)
        of_probe = statistics.median(one[phase] for one in probes)
        apart = of_probe - of_curl
        print(f"{phase:<14}{of_curl:>9.3f}{of_probe:>9.3f}{apart:>+9.3f}")
        if phase in PHASES and abs(apart) > LIMIT_MS:
            far.append(phase)
    print(f"probe_against_curl: {len(PHASES) - len(far)} passed, {len(far)} failed")
    if far:
        print(f"further apart than {LIMIT_MS} ms: {', '.join(far)}")
    return 1 if far else 0


if __name__ == "__main__":
    sys.exit(main())
