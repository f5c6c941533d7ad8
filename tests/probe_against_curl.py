"""`probe once` against curl's own timings, on one endpoint of the lab, direct.

The endpoint takes a fixed service time. The two take turns, one request each, so that both meet the
same machine; the medians of each phase must lie within 1 ms of each other. curl's fields count from
the start of its request, so its phases are differences. Neither resolves a name: curl by
--connect-to with an address, the probe by the same.
"""

import json
import pathlib
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


def phases_of_curl(lab, url, to):
    """One request by curl; ms for each phase."""
    command = ["curl", "--silent", "--show-error", "--max-time", "20", "--http1.1", "--output",
               "/dev/null", "--cacert", lab.facts["ca"], "--connect-to", f"::{to}:",
               "--write-out", " ".join(f"%{{{field}}}" for field in FIELDS), url]
    code, out, err = labs.run(command)
    assert code == 0, err
    at = {field: float(value) * 1000 for field, value in zip(FIELDS, out.split(), strict=True)}
    return {
        "connect": at["time_connect"] - at["time_namelookup"],
        "tls": at["time_appconnect"] - at["time_connect"],
        # curl sends its request between these two: pretransfer is its last moment before.
        "processing": at["time_starttransfer"] - at["time_pretransfer"],
        "transfer": at["time_total"] - at["time_starttransfer"],
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
    return {**phases, "whole": sample["total_us"] / 1000, "clock": sample["clock"]}


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
    print(f"medians of {REQUESTS} interleaved requests, ms; clocks of the probe: "
          f"{sorted({one['clock'] for one in probes})}")
    print(f"{'phase':<12}{'curl':>9}{'probe':>9}{'apart':>9}")
    far = []
    for phase in [*PHASES, "whole"]:
        of_curl = statistics.median(one[phase] for one in curls)
        of_probe = statistics.median(one[phase] for one in probes)
        apart = of_probe - of_curl
        print(f"{phase:<12}{of_curl:>9.3f}{of_probe:>9.3f}{apart:>+9.3f}")
        if phase != "whole" and abs(apart) > LIMIT_MS:
            far.append(phase)
    print(f"probe_against_curl: {len(PHASES) - len(far)} passed, {len(far)} failed")
    if far:
        print(f"further apart than {LIMIT_MS} ms: {', '.join(far)}")
    return 1 if far else 0


if __name__ == "__main__":
    sys.exit(main())
