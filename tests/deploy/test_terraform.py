"""Each module of Terraform, read by an HCL parser: what it declares is described and used, what it names is there."""

import re

import pytest
from templates import DEPLOY, MODULES, ROOT, actions, module, policy, template

NAMES = [folder.name for folder in MODULES]
WITHOUT_DEFAULT = {"zone_id", "policy_arns"}


def bare(text):
    """A label as it is called; the parser keeps its quotes."""
    return text.strip('"')


def declared(blocks):
    """Names of labelled blocks and their bodies."""
    return {bare(name): body for block in blocks for name, body in block.items()}


def resources(blocks):
    """`TYPE.NAME` of resources or data, and their bodies."""
    return {
        f"{bare(kind)}.{bare(name)}": body
        for block in blocks for kind, named in block.items() for name, body in named.items()
    }


def text_of(folder):
    """All of a module, without its comments."""
    text = "\n".join(path.read_text() for path in sorted(folder.glob("*.tf")))
    return re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)


def test_there_are_modules():
    assert NAMES == [
        "advisor", "application-global", "application-region", "fleet", "monitoring", "policies", "zone-role",
    ]


@pytest.mark.parametrize("folder", MODULES, ids=NAMES)
def test_variables_are_described_used_and_have_defaults(folder):
    variables, text = declared(module(folder)["variable"]), text_of(folder)
    for name, variable in variables.items():
        assert len(bare(variable["description"])) > 10 and "type" in variable, name
        assert ("default" in variable) == (name not in WITHOUT_DEFAULT), name
    assert set(re.findall(r"\bvar\.(\w+)", text)) == set(variables)


@pytest.mark.parametrize("folder", MODULES, ids=NAMES)
def test_what_is_named_is_there(folder):
    blocks, text = module(folder), text_of(folder)
    made = resources(blocks.get("resource", []))
    asked = resources(blocks.get("data", []))
    assert made and set(re.findall(r"\bdata\.(\w+\.\w+)", text)) == set(asked)
    named = set(re.findall(r"(?<![.\w])(aws_\w+\.\w+)", re.sub(r"data\.aws_", "", text)))
    assert named <= set(made), named - set(made)
    local = {name for block in blocks.get("locals", []) for name in block}
    assert set(re.findall(r"\blocal\.(\w+)", text)) == {name for name in local if not name.startswith("__")}
    outputs = declared(blocks["output"])
    assert outputs and all(len(bare(one["description"])) > 10 and "value" in one for one in outputs.values())


@pytest.mark.parametrize("folder", MODULES, ids=NAMES)
def test_the_provider_is_bound(folder):
    text = (folder / "versions.tf").read_text()
    # From version 6 on a resource may name its Region, which these modules rest on.
    assert re.search(r'source\s*=\s*"hashicorp/aws"\s*version\s*=\s*">= 6\.0"', text)


def test_policies_come_from_the_files():
    blocks = module(DEPLOY / "terraform/policies")
    text = text_of(DEPLOY / "terraform/policies")
    layers = set(re.findall(r'"([a-z-]+)"', re.search(r"layers = toset\(\[(.*)\]\)", text)[1]))
    assert layers == {"read-only", "plan", "apply", "probe"}
    given = set(re.findall(r"^\s{4}(\w+)\s+=", re.search(r"places = \{(.*?)\n  \}", text, re.DOTALL)[1], re.MULTILINE))
    for layer in layers:
        assert policy(layer)
        used = set(re.findall(r"\$\{(\w+)\}", (DEPLOY / f"iam/{layer}.json").read_text()))
        assert used <= given, layer
    assert resources(blocks["resource"]).keys() == {"aws_iam_policy.layer"}


def test_the_role_of_another_account_is_that_of_the_template():
    """It is made of the policy files, of which the template repeats what concerns the zone."""
    folder = DEPLOY / "terraform/zone-role"
    text = text_of(folder)
    layers = re.search(r"for layer in \[([^\]]*)\] : layer =>", text)[1]
    assert re.findall(r'"([a-z-]+)"', layers) == ["read-only", "plan", "apply"]
    assert 'concat(local.statements["read-only"], local.statements["plan"])' in text
    own = re.search(r'startswith\(action, "([a-z0-9]+:)"\)', text)[1]
    parts = template("zone-role.yaml")["Resources"]
    said = {part: {one["Sid"] for one in parts[part]["Properties"]["PolicyDocument"]["Statement"]}
            for part in ("Reading", "Writing")}
    read = {**policy("read-only"), **policy("plan")}
    assert said["Reading"] == {
        sid for sid, one in read.items() if all(action.startswith(own) for action in actions([one]))
    }
    assert said["Writing"] == set(policy("apply"))
    given = set(re.findall(r"(\w+)\s*=", re.search(r"places\s+= \{(.*?)\}", text)[1]))
    for layer in ("read-only", "plan", "apply"):
        assert set(re.findall(r"\$\{(\w+)\}", (DEPLOY / f"iam/{layer}.json").read_text())) <= given, layer
    writing = resources(module(folder)["resource"])["aws_iam_role_policy.writing"]
    assert "var.may_apply ? 1 : 0" in str(writing["count"])
    assert declared(module(folder)["variable"])["may_apply"]["default"] is False
    parameters = template("zone-role.yaml")["Parameters"]
    assert (parameters["MayApply"]["Default"], parameters["TrustedAccountId"]["Default"]) == ("no", "")


def test_the_function_is_that_of_the_template():
    """Both ways of deploying make the same function."""
    text = text_of(DEPLOY / "terraform/fleet")
    variables = declared(module(DEPLOY / "terraform/fleet")["variable"])
    parameters = template("fleet.yaml")["Parameters"]
    pairs = {"memory_mb": "MemoryMb", "timeout_s": "TimeoutS", "namespace": "Namespace", "name": "Name",
             "architecture": "Architecture", "log_retention_days": "LogRetentionDays"}
    for name, parameter in pairs.items():
        default = variables[name]["default"]
        default = bare(default) if isinstance(default, str) else default
        assert default == parameters[parameter]["Default"], name
    assert 'NEARSIDE_STORE = var.central ? "cloudwatch:${var.namespace}" : ""' in text
    example = (DEPLOY / "nearside.toml").read_text()
    vantages = set(re.findall(r'\[\[vantage\]\]\nid = "([a-z0-9-]+)"', example))
    assert {bare(region) for region in variables["regions"]["default"]} == vantages
    runbook = (ROOT / "docs/runbook.md").read_text()
    assert set(re.search(r'REGIONS="([^"]+)"', runbook)[1].split()) == vantages


def test_the_dashboard_asks_for_what_is_published():
    text = text_of(DEPLOY / "terraform/monitoring")
    source = (ROOT / "probe/src/publish/mod.rs").read_text()
    published = set(re.findall(r'(?:RESPONSE\w*|FAILURES): &str = "(\w+)"|Phase::\w+ => "(\w+)"', source))
    published = {name for pair in published for name in pair if name}
    asked = set(re.findall(r'metric\s*=\s*"(\w+)"', text)) | set(re.findall(r"SELECT \w+\((\w+)\)", text))
    assert len(asked) == 4 and asked <= published


def test_the_application_is_one_code():
    """Terraform packs the file that the template holds as text."""
    resources_of = template("application-region.yaml")["Resources"]
    code = resources_of["Function"]["Properties"]["Code"]["ZipFile"]
    assert (DEPLOY / "application/index.py").read_text() == code
    routes = {
        one["Properties"]["RouteKey"] for one in resources_of.values() if one["Type"] == "AWS::ApiGatewayV2::Route"
    }
    text = text_of(DEPLOY / "terraform/application-region")
    assert set(re.findall(r'"((?:GET|PUT) /[^"]+)"', text)) == routes


def test_the_advisors_tasks_are_those_of_the_template():
    """The same scripts, and the same layers of policies."""
    made = template("advisor.yaml")["Resources"]
    for task in ("plan", "apply"):
        script, = made[f"{task.title()}Task"]["Properties"]["ContainerDefinitions"][0]["Command"]
        assert (DEPLOY / f"terraform/advisor/{task}.sh").read_text() == script
        layers = re.search(rf"{task}\s+= \[([^\]]*)\]", text_of(DEPLOY / "terraform/advisor"))[1]
        layers = [bare(layer.strip()) for layer in layers.split(",")]
        imported = str(made[f"{task.title()}Role"]["Properties"]["ManagedPolicyArns"])
        wanted = {"read-only": "ReadOnlyArn", "plan": "PlanArn", "apply": "ApplyArn"}
        assert {wanted[layer] for layer in layers} == set(re.findall(r"-(\w+Arn)", imported))
