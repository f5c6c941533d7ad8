"""Each template of CloudFormation: by the rules of cfn-lint, and by what the programs really take."""

import json
import re
import sys
import types

import pytest
from cfnlint import api as cfnlint
from templates import TEMPLATES, ROOT, parameter_texts, template

NAMES = [path.name for path in TEMPLATES]
# A parameter for which nothing could be right: it must be said.
WITHOUT_DEFAULT = "AWS::Route53::HostedZone::Id"


def test_there_are_templates():
    assert set(NAMES) == {
        "advisor.yaml", "application-global.yaml", "application-region.yaml", "fleet.yaml", "monitoring.yaml",
        "policies.yaml", "stackset-roles.yaml", "zone-role.yaml",
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_template_is_clean(name):
    path = next(path for path in TEMPLATES if path.name == name)
    found = cfnlint.lint(path.read_text(), config=cfnlint.ManualArgs(regions=["us-east-1", "eu-west-1"]))
    assert [f"{one.rule.id} {one.message}" for one in found] == []


def test_the_linter_finds_what_is_wrong():
    """A positive control: a linter that reads nothing finds nothing."""
    text = "Resources:\n  A:\n    Type: AWS::SNS::Topic\n    Properties: { Nonsense: 1 }\n"
    assert cfnlint.lint(text, config=cfnlint.ManualArgs(regions=["us-east-1"]))


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_described_and_have_defaults_that_fit(name):
    for key, parameter in template(name)["Parameters"].items():
        assert len(parameter["Description"]) > 10, f"{name} {key}"
        if parameter["Type"] == WITHOUT_DEFAULT:
            assert "Default" not in parameter, f"{name} {key}"
            continue
        default = parameter["Default"]
        if "AllowedPattern" in parameter:
            assert re.fullmatch(parameter["AllowedPattern"], str(default)), f"{name} {key}"
        if "AllowedValues" in parameter:
            assert default in parameter["AllowedValues"], f"{name} {key}"
        for bound, holds in (("MinValue", default.__ge__), ("MaxValue", default.__le__)) if (
            parameter["Type"] == "Number"
        ) else ():
            assert bound not in parameter or holds(parameter[bound]), f"{name} {key}"


def test_the_function_is_what_the_probe_takes():
    """Names that the template and the program must share."""
    resources = parameter_texts(template("fleet.yaml"))["Resources"]
    function = resources["Probe"]["Properties"]
    source = (ROOT / "src/command/lambda.rs").read_text()
    full = int(re.search(r"FULL_VCPU_MB: u32 = ([0-9_]+)", source)[1].replace("_", ""))
    memory = template("fleet.yaml")["Parameters"]["MemoryMb"]
    assert memory["Default"] == memory["MinValue"] == full
    assert (function["Runtime"], function["Handler"]) == ("provided.al2023", "bootstrap")
    variable, = function["Environment"]["Variables"]
    bootstrap = (ROOT / "deploy/lambda/bootstrap").read_text()
    assert f'--store "${variable}"' in bootstrap
    store = function["Environment"]["Variables"][variable]["Fn::If"][1]
    assert store == "cloudwatch:${namespace}"
    margin_s = int(re.search(r"MARGIN_SENDING: Duration = Duration::from_secs\((\d+)\)", source)[1])
    timeout = template("fleet.yaml")["Parameters"]["TimeoutS"]
    assert margin_s + 10 < timeout["MinValue"] and timeout["MaxValue"] < 60
    assert resources["Log"]["Properties"]["LogGroupName"].endswith("/${Name}")
    assert function["FunctionName"] == "${Name}" and resources["Probe"]["DependsOn"] == "Log"


def test_who_is_to_tell_of_trouble_may_tell_it():
    """A topic that names nobody takes alarms of its account, and no event of EventBridge."""
    resources = template("monitoring.yaml")["Resources"]
    statements = resources["MayTell"]["Properties"]["PolicyDocument"]["Statement"]
    told = {one["Principal"]["Service"] for one in statements if one["Action"] == "sns:Publish"}
    assert told == {"cloudwatch.amazonaws.com", "events.amazonaws.com"}
    assert template("advisor.yaml")["Resources"]["Failed"]["Type"] == "AWS::Events::Rule"


def test_names_stay_within_what_lambda_allows():
    """A function is called as it is told: a StackSet's stack name alone would fill the 64 characters."""
    pattern = template("fleet.yaml")["Parameters"]["Name"]["AllowedPattern"]
    assert re.fullmatch(pattern, "x" * 60) and not re.fullmatch(pattern, "x" * 65)
    roles = template("stackset-roles.yaml")["Parameters"]
    assert roles["Name"]["Default"] == template("fleet.yaml")["Parameters"]["Name"]["Default"]


def test_the_application_is_what_the_advisor_looks_for():
    """One name in every Region and one of each Region's own, and a health route that names its Region."""
    resources = parameter_texts(template("application-region.yaml"))["Resources"]
    shared, own = (resources[key]["Properties"] for key in ("SharedDomain", "OwnDomain"))
    assert (shared["DomainName"], own["DomainName"]) == ("${name}", "${AWS::Region}.${name}")
    for domain in (shared, own):
        configuration, = domain["DomainNameConfigurations"]
        assert configuration["EndpointType"] == "REGIONAL"
    check = resources["HealthCheck"]["Properties"]["HealthCheckConfig"]
    assert check["FullyQualifiedDomainName"] == own["DomainName"], "never the service name"
    record = resources["Latency"]["Properties"]
    assert (record["Name"], record["SetIdentifier"], record["Region"]) == ("${name}", *["${AWS::Region}"] * 2)
    # The advisor adopts it: taking the template away must not take the record away.
    assert resources["Latency"]["DeletionPolicy"] == resources["HealthCheck"]["DeletionPolicy"] == "Retain"


def test_the_application_answers_as_its_routes_say(monkeypatch):
    """Its code, run as the function would run it, over a table of this test's own."""
    resources = parameter_texts(template("application-region.yaml"))["Resources"]
    code = resources["Function"]["Properties"]["Code"]["ZipFile"]
    assert len(code) <= 4096, "what a template may hold"
    items = {}

    class Table:
        def get_item(self, Key):
            found = items.get(Key["id"])
            return {"Item": found} if found else {}

        def put_item(self, Item):
            items[Item["id"]] = Item

    resource = types.SimpleNamespace(Table=lambda name: Table())
    monkeypatch.setitem(sys.modules, "boto3", types.SimpleNamespace(resource=lambda service: resource))
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("TABLE", "items")
    function = {}
    exec(compile(code, "index.py", "exec"), function)

    def ask(route, **event):
        who = {"authorizer": {"jwt": {"claims": {"sub": "user"}}}}
        event = {"routeKey": route, "requestContext": who, "pathParameters": {"id": "1"}, **event}
        answer = function["handler"](event, None)
        assert answer["headers"]["x-region"] == "eu-west-1"
        return answer["statusCode"], json.loads(answer["body"])

    assert ask("GET /health") == (200, {"region": "eu-west-1", "status": "ok"})
    assert ask("GET /ping") == (200, {"region": "eu-west-1"})
    assert ask("GET /items/{id}")[0] == 404
    assert ask("PUT /items/{id}", body="text")[0] == 200
    assert ask("GET /items/{id}") == (200, {"region": "eu-west-1", "text": "text"})
    assert ask("PUT /items/{id}", body="x" * 100_001)[0] == 413
    assert set(items) == {"user/1"}, "each user's items are their own"
    routes = {one["Properties"]["RouteKey"] for one in resources.values() if one["Type"].endswith("V2::Route")}
    assert all(f'"{route}"' in code for route in routes - {"GET /items/{id}"}) and len(routes) == 4
