"""A canary's batches, submitted by boto3 as they are and read by boto3 after each step: Route 53 takes each
of them, what stands is what was desired, and name servers answer from the arms in proportion."""

import collections
import json
import os
import pathlib
import subprocess
import tempfile

import pytest
from lab import ROOT, clean_environment, run
from records import alias, change, creates, listing

PERCENTS = [1, 10, 50, 100]
ASKED = 200


def program():
    folder = os.environ.get("NEARSIDE_BIN") or str(ROOT / "target" / "release")
    path = pathlib.Path(folder) / "examples" / "canary_batches"
    assert path.exists(), f"{path} is not built: run tests/run, or cargo build --release --examples"
    return str(path)


def batches(asked):
    """What the product would send, step by step."""
    done = subprocess.run(
        [program()], input=json.dumps(asked), capture_output=True, text=True, timeout=20,
        env=clean_environment(), check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def below(sets, service):
    """The sets at and below a name, without its SOA and name servers."""
    return [one for one in sets if one["Name"].endswith(service) and one["Type"] in ("A", "AAAA", "TXT")]


def known(one):
    """What identifies a set."""
    return one["Name"], one["Type"], one.get("SetIdentifier", "")


def addresses(lab, name, times):
    """The addresses that a client in the network of us-east-1 gets, each with how often."""
    with tempfile.NamedTemporaryFile("w", suffix=".names") as names:
        names.write(f"{name} A\n" * times)
        names.flush()
        code, out, err = run([
            "dig", f"@{lab.dns_host}", "-p", str(lab.dns_port), "+time=5", "+tries=2", "+norecurse", "+short",
            f"+subnet={lab.subnet('us-east-1')}", "-f", names.name,
        ])
    assert code == 0, out + err
    return collections.Counter(out.split())


@pytest.fixture
def service(lab, route53):
    """A name of the test's own in the lab's zone, with one latency alias an endpoint, and what may be
    said of its endpoints."""
    zone_id = lab.facts["hosted_zone_id"]
    name = f"canary.{lab.facts['zone'].rstrip('.')}."
    endpoints = []
    for one in lab.facts["endpoints"]:
        check = route53.create_health_check(
            CallerReference=f"canary-{one['region']}-{os.urandom(4).hex()}",
            HealthCheckConfig={
                "Type": "HTTPS", "FullyQualifiedDomainName": f"{one['region']}.example.com",
                "Port": 443, "ResourcePath": "/health", "Disabled": True,
            },
        )
        endpoints.append({
            "id": one["region"], "dns_name": one["alias"]["dns_name"],
            "hosted_zone_id": one["alias"]["hosted_zone_id"],
            "health_check_id": check["HealthCheck"]["Id"],
        })
    start = [
        alias(name, one["hosted_zone_id"], one["dns_name"], SetIdentifier=one["id"], Region=one["id"])
        for one in endpoints
    ]
    change(route53, zone_id, creates(*start))
    yield zone_id, name, endpoints
    left = below(listing(route53, zone_id)[0], name)
    inner = [one for one in left if one.get("AliasTarget", {}).get("HostedZoneId") == zone_id]
    rest = [one for one in left if one not in inner]
    deletes = [{"Action": "DELETE", "ResourceRecordSet": one} for one in inner + rest]
    change(route53, zone_id, {"Changes": deletes})
    for one in endpoints:
        route53.delete_health_check(HealthCheckId=one["health_check_id"])


def test_each_step_of_a_canary_is_taken_and_read(lab, route53, service):
    zone_id, name, endpoints = service
    start = below(listing(route53, zone_id)[0], name)
    labels = {one["id"]: one["id"] for one in endpoints} | {"us-east-1": "eu-west-1"}
    before = set(addresses(lab, name, 5))
    steps = batches({
        "zone_id": zone_id, "service": name, "records": start, "endpoints": endpoints,
        "labels": labels, "percents": PERCENTS, "brake": endpoints[0]["health_check_id"],
    })
    assert [step["percent"] for step in steps] == [0, *PERCENTS]
    for step in steps:
        change(route53, zone_id, step["batch"])
        found = below(listing(route53, zone_id)[0], name)
        assert sorted(found, key=known) == sorted(step["desired"], key=known), step["percent"]
        weights = {
            one["SetIdentifier"]: one["Weight"] for one in found if one["Name"] == name and "Weight" in one
        }
        expected = {"nearside-blue": 100 - step["percent"], "nearside-green": step["percent"]}
        assert weights == {arm: weight for arm, weight in expected.items() if weight}
        arms = {label: set(addresses(lab, f"_nearside-{label}.{name}", 5)) for label in ("blue", "green")}
        assert arms["blue"] == (before if step["percent"] < 100 else set())
        answered = addresses(lab, name, ASKED)
        share = sum(count for ip, count in answered.items() if ip not in before) / ASKED
        # Six standard deviations of so many draws.
        part = step["percent"] / 100
        assert abs(share - part) <= 6 * (part * (1 - part) / ASKED) ** 0.5 + 0.03, (step["percent"], answered)
        assert set(answered) <= arms["blue"] | arms["green"]
    locks = [one for one in found if one["Name"].startswith("_nearside-lock.")]
    assert [one["ResourceRecords"][0]["Value"] for one in locks] == ['"v=1 generation=5"']
