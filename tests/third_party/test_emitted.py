"""What `advisor plan --emit` prints, read by the tools that it is for, and `explain` and `drain` beside it."""

import contextlib
import importlib
import json
import os
import pathlib
import re

import hcl2
import lab as labs
import pytest
import yaml
from cfnlint import api as cfnlint
from octodns.record import Record
from octodns.zone import Zone


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A lab of its own, and a store with a few windows of it."""
    running = labs.Lab("demo")
    store = tmp_path_factory.mktemp("store") / "nearside.sqlite"
    environment = {
        "AWS_ENDPOINT_URL_ROUTE_53": running.facts["route53"],
        "AWS_ENDPOINT_URL_API_GATEWAY": running.facts["apigateway"],
        "AWS_ENDPOINT_URL_APIGATEWAYV2": running.facts["apigateway"],
    }

    def advisor(*words, code=0):
        command = [
            labs.program("advisor"), "--config", running.facts["config"],
            "--store", f"sqlite:{store}", *words,
        ]
        found, stdout, stderr = labs.run(command, timeout=60, **environment)
        assert found == code, f"{words}: {found}\n{stdout}\n{stderr}"
        return stdout, stderr

    advisor("probe", "--for", "5s", "--quiet")
    asked, _ = advisor("regret", "--install-shadow", "--yes", "--json")
    assert json.loads(asked)["asked"] == [], "no user was measured, so that no labels have a worth"
    yield running, advisor, store.parent
    assert running.stop() == 0


@contextlib.contextmanager
def limit(config, share):
    """Another `guard.max_traffic_moved` for a while."""
    path = pathlib.Path(config)
    before = path.read_text()
    line = re.compile(r"^max_traffic_moved = .*$", re.MULTILINE)
    assert line.search(before)
    path.write_text(line.sub(f"max_traffic_moved = {share}", before))
    yield
    path.write_text(before)


def labels(running):
    return {endpoint["region"] for endpoint in running.facts["endpoints"]}


def test_terraform_is_read_by_an_hcl_parser(measured):
    running, advisor, folder = measured
    text, said = advisor("plan", "--out", str(folder / "plan.json"), "--emit", "terraform")
    assert "nothing to do" in said
    resources = hcl2.loads(text)["resource"]
    records = [
        body for one in resources for kind, named in one.items()
        if kind.strip('"') == "aws_route53_record" for body in named.values()
    ]
    assert len(records) == 2 * len(labels(running))
    regions = {
        policy["region"].strip('"') for one in records for policy in one["latency_routing_policy"]
    }
    assert regions == labels(running)


def test_cloudformation_passes_the_linter(measured):
    running, advisor, folder = measured
    text, _ = advisor("plan", "--out", str(folder / "plan.json"), "--emit", "cloudformation")
    resources = json.loads(text)["Resources"]
    assert len(resources) == 2 * len(labels(running))
    found = cfnlint.lint(text, config=cfnlint.ManualArgs(regions=["us-east-1"]))
    assert [str(match) for match in found] == []


def test_octodns_is_yaml_that_names_the_service(measured):
    running, advisor, folder = measured
    text, _ = advisor("plan", "--out", str(folder / "plan.json"), "--emit", "octodns")
    document = yaml.safe_load(text)
    listed = document["processors"]["nearside"]["rejectlist"]
    service = running.facts["name"].removesuffix("." + running.facts["zone"])
    assert listed[0] == service and listed[1].startswith("/^_nearside-")
    assert document["zones"] == {running.facts["zone"] + ".": {"processors": ["nearside"]}}


def test_octodns_itself_leaves_the_names_alone(measured):
    """Its own filter, made of what was emitted, and a zone as its provider would find it."""
    running, advisor, folder = measured
    text, said = advisor("plan", "--out", str(folder / "plan.json"), "--emit", "octodns")
    assert "octoDNS has no latency records" in said + text
    settings = yaml.safe_load(text)["processors"]["nearside"]
    module, _, kind = settings.pop("class").rpartition(".")
    leaves = getattr(importlib.import_module(module), kind)("nearside", **settings)
    zone = Zone(running.facts["zone"] + ".", [])
    service = running.facts["name"].removesuffix("." + running.facts["zone"])
    ours = [service] + [
        f"_nearside-{word}.{service}"
        for word in ("lock", "owner", "live", "next", "blue", "green", "ap-southeast-1")
    ]
    others = ["www", f"www.{service}", f"not_nearside-lock.{service}", f"_nearside-lock.x{service}", "_nearside-lock"]
    for name in ours + others:
        data = {"type": "A", "ttl": 60, "values": ["192.0.2.1"]}
        zone.add_record(Record.new(zone, name, data), lenient=True)
    left = {record.name for record in leaves.process_source_zone(zone.copy(), []).records}
    assert left == set(others)
    left = {record.name for record in leaves.process_target_zone(zone.copy(), None).records}
    assert left == set(others)


def test_an_address_is_explained(measured):
    running, advisor, _ = measured
    vantage = running.facts["vantages"][0]
    document = json.loads(advisor("explain", vantage["subnet4"], "--json")[0])
    assert document["label"] in labels(running) and document["preferred"] == "asked"
    assert vantage["id"] in document["vantages"]
    assert document["endpoint"] == document["advised"]
    costs = {row["vantage"]: row for row in document["costs"]}
    assert sorted(costs) == document["vantages"]
    for cell in json.loads(advisor("matrix", "--json")[0])["cells"]:
        if cell["endpoint"] == document["endpoint"] and cell["vantage"] in costs:
            row = costs[cell["vantage"]]
            assert row["cost_ms"] == row["advised_ms"] == cell["cost_ms"] > 0
    address = vantage["subnet4"].split("/")[0]
    text, _ = advisor("explain", address)
    assert f"preferred label {document['label']} (asked)" in text
    _, stderr = advisor("explain", "nobody", code=2)
    assert "neither an address nor a prefix" in stderr and "hint:" in stderr


def test_a_region_is_drained_and_put_back(measured):
    running, advisor, folder = measured
    plan = str(folder / "drain.json")
    _, stderr = advisor("drain", "sa-east-1", "--out", plan, code=2)
    assert "no [[endpoint]] is in Region 'sa-east-1'" in stderr
    _, stderr = advisor("drain", "us-east-1", "--back", "--out", plan, code=3)
    assert "no drain of 'us-east-1' stands" in stderr
    document = json.loads(advisor("drain", "us-east-1", "--out", plan, "--json")[0])
    moves = document["document"]["moves"]
    assert [move["from"] for move in moves] == ["us-east-1"] and moves[0]["reason"] == "drain"
    moved = document["document"]["effect"]["traffic_moved"]
    assert 0 < moved <= 1
    # The configuration's limit decides, for a drain as well.
    with limit(running.facts["config"], moved / 2):
        _, stderr = advisor("apply", plan, "--yes", code=3)
        assert "guard.max_traffic_moved" in stderr
    advisor("apply", plan, "--yes")
    again = json.loads(advisor("drain", "us-east-1", "--out", plan, "--json")[0])
    assert again["plan"] is None
    back = json.loads(advisor("drain", "us-east-1", "--back", "--out", plan, "--json")[0])
    assert [move["to"] for move in back["document"]["moves"]] == ["us-east-1"]
    advisor("apply", plan, "--yes")
    assert os.path.exists(plan)
    _, stderr = advisor("drain", "us-east-1", "--out", plan)
    assert "error" not in stderr
