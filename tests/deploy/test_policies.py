"""What the programs may do: every call that the code makes is granted, and none other."""

import json
import re

import botocore.session
import pytest
from templates import DEPLOY, ROOT, actions, parameter_texts, policy, template

LAYERS = ("read-only", "plan", "apply", "probe")
# Calls that anybody with credentials may make; IAM cannot withhold them.
FREE = {"sts:GetCallerIdentity"}


def product_code():
    """The code of the crate that speaks to AWS, without its tests."""
    for path in sorted((ROOT / "aws/src").rglob("*.rs")):
        if path.name != "tests.rs":
            yield path.name, path.read_text().split("#[cfg(test)]")[0]


def snake(operation):
    """An operation as the Rust SDK spells it: `TestDNSAnswer` is `test_dns_answer`."""
    words = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", operation)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words).lower()


def called():
    """The actions of all calls in the code, by AWS's own models."""
    session = botocore.session.get_session()
    linked = re.findall(r"^aws-sdk-([a-z0-9]+)\.", (ROOT / "aws/Cargo.toml").read_text(), re.MULTILINE)
    found = set()
    for service in linked:
        operations = session.get_service_model(service).operation_names
        spelled = {snake(operation): operation for operation in operations}
        for _, text in product_code():
            for word in set(re.findall(r"\.([a-z_0-9]+)\(\)", text)) & set(spelled):
                found.add(f"{service}:{spelled[word]}")
    return found | signed_calls(session)


def signed_calls(session):
    """Calls that are made without an SDK: they are known by method and path."""
    route53 = session.get_service_model("route53")
    listing = {}
    for operation in route53.operation_names:
        http = route53.operation_model(operation).http
        if http["method"] == "GET":
            listing[http["requestUri"].split("?")[0].rsplit("/", 1)[1]] = f"route53:{operation}"
    found = set()
    for name, text in product_code():
        for path in re.findall(r'"(/[^"\s]*)"', text):
            last = re.split(r"[?{]", path.rsplit("/", 1)[1])[0]
            if path.startswith("/2013-04-01/"):
                found.add(listing[last])
            elif re.match(r"/(v2/)?domainnames\b", path):
                found.add("apigateway:GET")
        if name == "s3.rs" and re.search(r"\.put\(&url\)", text):
            found.add("s3:PutObject")
    return found


def granted(*layers):
    """What these policies allow together."""
    return set().union(*(actions(policy(layer).values()) for layer in layers))


def test_each_call_is_granted_and_nothing_else():
    made = called()
    # A positive control: the search finds calls of each kind.
    for known in ("route53:TestDNSAnswer", "cloudwatch:PutMetricData", "apigateway:GET", "s3:PutObject",
                  "route53:ListResourceRecordSetProtections", "sts:GetCallerIdentity"):
        assert known in made, f"{known}: {sorted(made)}"
    assert granted(*LAYERS) == made - FREE


def test_reading_cannot_write():
    for action in granted("read-only"):
        assert re.match(r"[a-z0-9]+:(Get|List|GET$)", action), action
    assert {"route53:ChangeResourceRecordSets", "route53:CreateHealthCheck"} & granted("read-only", "plan") == set()
    assert granted("read-only") & granted("apply") == set()


def test_who_plans_cannot_change_what_the_task_that_applies_runs():
    """Program and configuration lie in the bucket that plans are delivered to."""
    delivering, = [one for one in policy("plan").values() if "s3:PutObject" in actions([one])]
    assert delivering["Resource"] == [f"arn:${{partition}}:s3:::${{bucket}}/{folder}/*" for folder in ("plans", "reports")]
    script = "".join(
        line for name in ("PlanTask", "ApplyTask")
        for line in template("advisor.yaml")["Resources"][name]["Properties"]["ContainerDefinitions"][0]["Command"]
    )
    assert set(re.findall(r's3 cp[^"]* /tmp/\S+ "s3://\$BUCKET/(\w+)/', script)) == {"plans"}
    assert {"program", "config"} <= set(re.findall(r'"s3://\$BUCKET/(\w+)/', script))


def test_changes_are_limited_to_one_zone_and_its_names():
    statements = policy("apply").values()
    change, = [one for one in statements if "route53:ChangeResourceRecordSets" in actions([one])]
    assert change["Resource"] == "arn:${partition}:route53:::hostedzone/${zone_id}"
    condition = change["Condition"]
    names = condition["ForAllValues:StringLike"]["route53:ChangeResourceRecordSetsNormalizedRecordNames"]
    assert names == ["${name}", "_nearside-*.${name}"]
    equals = condition["ForAllValues:StringEquals"]
    # The code deletes and creates; it never overwrites.
    assert equals["route53:ChangeResourceRecordSetsActions"] == ["CREATE", "DELETE"]
    assert "Upsert" not in "".join(text for _, text in product_code())
    assert equals["route53:ChangeResourceRecordSetsRecordTypes"] == ["A", "AAAA", "TXT"]
    # ForAllValues holds for a request that has no such key at all.
    assert condition["Null"] == {"route53:ChangeResourceRecordSetsNormalizedRecordNames": "false"}


def test_every_name_of_ours_fits_the_pattern():
    made = re.findall(r'child\((?:&format!\()?"([^"]+)"', (ROOT / "advisor/src/mark.rs").read_text())
    made += re.findall(r'=> "(_[a-z-]+)",', (ROOT / "advisor/src/mark.rs").read_text())
    assert len(made) >= 4
    assert all(re.fullmatch(r"_nearside-[a-z{}]+", name) for name in made), made


def test_stars_stand_only_where_iam_knows_no_resource():
    known = {"route53:ListHostedZonesByName", "route53:ListHealthChecks", "route53:TestDNSAnswer",
             "route53:CreateHealthCheck", "cloudwatch:GetMetricData", "cloudwatch:PutMetricData"}
    for layer in LAYERS:
        for sid, statement in policy(layer).items():
            if statement["Resource"] == "*":
                assert actions([statement]) <= known, f"{layer} {sid}"


LOGICAL = list(zip(LAYERS, ("ReadOnly", "Plan", "Apply", "Probe")))


@pytest.mark.parametrize("layer, logical", LOGICAL)
def test_the_template_says_the_same(layer, logical):
    resources = parameter_texts(template("policies.yaml"))["Resources"]
    statements = resources[logical]["Properties"]["PolicyDocument"]["Statement"]
    assert {one["Sid"]: one for one in statements} == policy(layer)


def test_the_role_of_another_account_may_do_what_concerns_the_zone():
    resources = parameter_texts(template("zone-role.yaml"))["Resources"]
    zone = {
        sid: one
        for layer in ("read-only", "plan", "apply")
        for sid, one in policy(layer).items()
        # A health check and the alarm it follows are of one account.
        if layer == "apply" or all(action.startswith("route53:") for action in actions([one]))
    }
    parts = [resources[part]["Properties"]["PolicyDocument"]["Statement"] for part in ("Reading", "Writing")]
    assert {one["Sid"]: one for part in parts for one in part} == zone
    writing = {one["Sid"] for one in parts[1]}
    assert writing == set(policy("apply")) and resources["Writing"]["Condition"] == "Applies"


def test_the_function_may_publish_and_log_and_nothing_else():
    resources = parameter_texts(template("fleet.yaml"))["Resources"]
    publishing = resources["Publishing"]
    assert publishing["Condition"] == "IsCentral"
    statements = publishing["Properties"]["PolicyDocument"]["Statement"]
    assert {one["Sid"]: one for one in statements} == policy("probe")
    own, = resources["Role"]["Properties"]["Policies"]
    assert actions(own["PolicyDocument"]["Statement"]) == {"logs:CreateLogStream", "logs:PutLogEvents"}


def test_policy_files_are_all_used():
    names = {path.stem for path in (DEPLOY / "iam").glob("*.json")}
    assert names == {*LAYERS, "assume-zone-role"}
    text = json.dumps(json.loads((DEPLOY / "iam/assume-zone-role.json").read_text()))
    assert "sts:AssumeRole" in text and '"*"' not in text
