"""A whole canary by `advisor apply --canary`, measured, planned and applied as a user would, while boto3 reads
the zone: at each step it holds what the step says, and in the end what was planned."""

import json
import pathlib
import subprocess
import time

import boto3
import pytest
from botocore.config import Config
from lab import Lab, clean_environment, program, run
from records import listing

HERE = pathlib.Path(__file__).resolve().parent
PERCENTS = [10, 50, 100]
CANARY_S = 240


@pytest.fixture(scope="module")
def small():
    """A lab of its own: its times are short."""
    running = Lab(HERE / "canary_world.toml")
    yield running
    assert running.stop() == 0


@pytest.fixture
def advisor(small, tmp_path):
    """The arguments of `advisor` for this lab, and its environment."""
    store = f"sqlite:{tmp_path / 'nearside.sqlite'}"
    addresses = {
        "AWS_ENDPOINT_URL_ROUTE_53": small.facts["route53"],
        "AWS_ENDPOINT_URL_CLOUDWATCH": small.facts["cloudwatch"],
        "AWS_ENDPOINT_URL_API_GATEWAY": small.facts["apigateway"],
        "AWS_ENDPOINT_URL_APIGATEWAYV2": small.facts["apigateway"],
    }

    def command(*arguments):
        return [program("advisor"), *arguments, "--config", small.facts["config"], "--store", store]

    return command, addresses


def arms(sets, name):
    """The weight of each arm at the service name, by record type."""
    found = {}
    for one in sets:
        if one["Name"] == name and "Weight" in one:
            found.setdefault(one["Type"], {})[one["SetIdentifier"]] = one["Weight"]
    return found


def known(one):
    """What identifies a set."""
    return one["Name"], one["Type"], one.get("SetIdentifier", "")


def routing(sets, zone):
    """The sets that route, without the lock and the marker, whose generation rises."""
    ours = [one for one in sets if one["Type"] in ("A", "AAAA", "TXT")]
    marks = (f"_nearside-lock.{zone}", f"_nearside-owner.{zone}")
    return sorted((one for one in ours if one["Name"] not in marks), key=known)


def test_boto3_reads_the_zone_at_each_step(small, advisor, tmp_path):
    command, addresses = advisor
    settings = Config(connect_timeout=5, read_timeout=20)
    route53 = boto3.client("route53", endpoint_url=small.facts["route53"], config=settings)
    zone_id, name = small.facts["hosted_zone_id"], small.facts["name"] + "."

    def done(*arguments, timeout=90):
        code, out, err = run(command(*arguments), timeout=timeout, **addresses)
        assert code == 0, err
        return out

    done("regret", "--install-shadow", "--yes")
    # The gate on failures needs more samples than the gain.
    done("probe", "--for", "60s")
    plan = str(tmp_path / "plan.json")
    done("plan", "--out", plan)
    planned = json.loads(pathlib.Path(plan).read_text())["plan"]
    assert planned["moves"], "the slow endpoint is left"
    before = routing(listing(route53, zone_id)[0], name)

    percents = ",".join(str(percent) for percent in PERCENTS)
    pace = ["--canary", percents, "--observe", "20s", "--every", "400ms"]
    canary = subprocess.Popen(
        command("apply", plan, "--yes", "--json", *pace), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment(**addresses),
    )
    seen, until = [], time.monotonic() + CANARY_S
    try:
        while canary.poll() is None:
            assert time.monotonic() < until, "the canary does not end"
            sets = listing(route53, zone_id)[0]
            weights = arms(sets, name)
            if weights and (not seen or seen[-1] != weights):
                # A and AAAA move together, and whatever an arm leads to is there.
                assert weights["A"] == weights["AAAA"], weights
                names = {one["Name"] for one in sets}
                aliases = [one["AliasTarget"]["DNSName"] for one in sets if one["Name"] == name]
                assert all(target in names for target in aliases), aliases
                seen.append(weights)
            time.sleep(0.5)
    finally:
        canary.kill()
        out, err = canary.communicate()
    assert canary.returncode == 0, err
    assert json.loads(out)["canary"]["ending"] == "promoted"
    expected = [{"nearside-blue": 100}]
    expected += [{"nearside-blue": 100 - p, "nearside-green": p} for p in PERCENTS if p < 100]
    expected += [{"nearside-green": 100}]
    sets = listing(route53, zone_id)[0]
    if not seen or seen[-1] != arms(sets, name):
        seen.append(arms(sets, name))
    # The wrapper alone stands for a moment, which a reader may miss.
    assert [weights["A"] for weights in seen][-3:] == expected[-3:], seen
    green = {
        one["SetIdentifier"]: one["AliasTarget"]["DNSName"]
        for one in sets if one["Name"] == f"_nearside-green.{name}" and one["Type"] == "A"
    }
    targets = {one["region"]: one["alias"]["dns_name"] + "." for one in small.facts["endpoints"]}
    wanted = {f"nearside-{label}": targets[to] for label, to in planned["labels"].items()}
    assert green == wanted
    assert not [one for one in sets if one["Name"] == f"_nearside-blue.{name}"]

    done("rollback", "--yes")
    assert routing(listing(route53, zone_id)[0], name) == before
    checks = route53.list_health_checks()["HealthChecks"]
    assert not [one for one in checks if "brake" in one["CallerReference"]]
