"""Each template of CloudFormation: by the rules of cfn-lint, and by what the programs really take."""

import re

import pytest
from cfnlint import api as cfnlint
from templates import TEMPLATES, ROOT, parameter_texts, template

NAMES = [path.name for path in TEMPLATES]
# A parameter that nothing could be right for: it must be said.
WITHOUT_DEFAULT = {"ZoneId"}


def test_there_are_templates():
    assert {"fleet.yaml", "stackset-roles.yaml", "policies.yaml", "zone-role.yaml"} <= set(NAMES)


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
        if key in WITHOUT_DEFAULT:
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


def test_names_stay_within_what_lambda_allows():
    """A function is called as it is told: a StackSet's stack name alone would fill the 64 characters."""
    pattern = template("fleet.yaml")["Parameters"]["Name"]["AllowedPattern"]
    assert re.fullmatch(pattern, "x" * 60) and not re.fullmatch(pattern, "x" * 65)
    roles = template("stackset-roles.yaml")["Parameters"]
    assert roles["Name"]["Default"] == template("fleet.yaml")["Parameters"]["Name"]["Default"]
