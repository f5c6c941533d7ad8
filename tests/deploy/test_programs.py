"""What deploy/ says of the programs, asked of the programs: command lines, units, metrics, the example."""

import json
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import tomllib
import urllib.request

import pytest
from templates import DEPLOY, ROOT, template

sys.path.insert(0, str(ROOT / "tests/third_party"))
import lab as labs

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def units_commands():
    """The command line of each unit."""
    for unit in UNITS:
        line = re.search(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)[1]
        yield unit.name, shlex.split(line.replace("$NEARSIDE_REPORT", "--deliver s3://bucket/reports"))


def task_commands():
    """The command lines of the advisor's tasks."""
    resources = template("advisor.yaml")["Resources"]
    for name in ("PlanTask", "ApplyTask"):
        script, = resources[name]["Properties"]["ContainerDefinitions"][0]["Command"]
        for line in script.splitlines():
            line = line.strip().removeprefix("exec ").split(" >")[0]
            words = shlex.split(line.replace("$NEARSIDE_STORE", "cloudwatch:N").replace("$REPORT", "week"))
            if words and words[0] == "/tmp/advisor":
                yield name, [word.split(">")[0] for word in words if not word.startswith(">")]


def image_command():
    """What the container starts."""
    text = (DEPLOY / "container/Dockerfile").read_text()
    return "Dockerfile", json.loads(re.search(r"^CMD (\[.*\])$", text, re.MULTILINE)[1])


def test_every_command_line_is_one_that_the_programs_take(tmp_path):
    commands = [*units_commands(), *task_commands(), image_command()]
    assert len(commands) >= 10, commands
    for where, words in commands:
        program = labs.program(pathlib.Path(words[0]).name)
        rest = [word for word in words[1:] if not word.startswith(("--config", "/etc/nearside"))]
        code, _, said = labs.run([program, *rest, "--config", str(tmp_path / "none.toml")])
        # The words were understood; only then is the configuration looked for.
        assert code == 2 and "cannot read configuration" in said, f"{where} {words}: {said}"
    code, _, said = labs.run([labs.program("probe"), "run", "--nonsense", "--config", "none.toml"])
    assert "cannot read configuration" not in said, "the check would find nothing"


def documented_calls():
    """The AWS CLI's command lines of the runbook and of the advisor's outputs, with places filled in."""
    runbook = (ROOT / "docs/runbook.md").read_text().replace("\\\n", " ")
    # A list of Regions goes on over three lines, as an unfinished text does.
    runbook = re.sub(r'"[^"`]*"', lambda text: text[0].replace("\n", " "), runbook)
    lines = re.findall(r"^    (?:export \w+=\$\()?(aws .*?)\)?$", runbook, re.MULTILINE)
    outputs = template("advisor.yaml")["Outputs"]
    lines += [str(outputs[name]["Value"]["Fn::Sub"]) for name in ("PlanNow", "ApplyPlan")]
    places = {
        "HOME_REGION": "eu-west-1", "REGIONS": "eu-west-1 us-east-1", "ACCOUNT": "123456789012", "ZONE_ID": "Z1",
        "NAME": "api.example.com", "TOPIC": "arn:aws:sns:eu-west-1:123456789012:t", "AWS::Region": "eu-west-1",
        "PARAMETERS": "ParameterKey=CodeKey,ParameterValue=probe.zip ParameterKey=Namespace,ParameterValue=Nearside",
    }
    for line in lines:
        yield re.sub(r"\$\{?([A-Za-z_:]+)\}?", lambda place: places.get(place[1], place[1].lower()), line)


def test_every_call_of_the_runbook_is_one_that_the_aws_cli_takes(tmp_path):
    """It goes to an address where nobody is: words that are not understood are refused before that."""
    calls = list(documented_calls())
    assert len(calls) >= 13, calls
    (tmp_path / "deploy").symlink_to(DEPLOY)
    programs = tmp_path / "target/static/x86_64"
    programs.mkdir(parents=True)
    for file in (programs / "advisor", programs / "probe", tmp_path / "nearside.toml"):
        file.write_text("x")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    environment = {
        **labs.clean_environment(), "AWS_ENDPOINT_URL": nobody, "AWS_MAX_ATTEMPTS": "1", "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_EC2_METADATA_DISABLED": "true",
    }
    cli = pathlib.Path(sys.executable).parent / "aws"

    def said(call):
        done = subprocess.run(
            [cli, *shlex.split(call)[1:]], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
            env=environment,
        )
        return done.stderr

    for call in calls:
        assert "Could not connect to the endpoint" in said(call), f"{call}: {said(call)}"
    wrong = calls[0] + " --nonsense"
    assert "Could not connect" not in said(wrong), "the check would find nothing"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_sound_and_hardened(unit, tmp_path):
    probe = tmp_path / "program"
    probe.write_text("#!/bin/sh\n")
    probe.chmod(0o755)
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={probe}", unit.read_text(), flags=re.MULTILINE)
    copy = tmp_path / unit.name
    copy.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", copy], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", copy],
        capture_output=True, text=True, timeout=60, check=False,
    )
    assert done.returncode == 0, done.stdout


def test_units_differ_only_where_they_must():
    """One hardening for all: what is closed in one is closed in each."""
    hardening = {unit.read_text().split("DynamicUser=")[1] for unit in UNITS}
    assert len(UNITS) == 3 and len(hardening) == 1


def test_the_image_has_no_shell_and_no_rights():
    text = (DEPLOY / "container/Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines[0] == "FROM gcr.io/distroless/static-debian12:nonroot"
    assert "USER nonroot" in lines and not any(line.startswith(("RUN", "ADD")) for line in lines)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """What a probe in the lab's world really shows at /metrics: names, and the labels of each."""
    running = labs.Lab("calm")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    store = tmp_path_factory.mktemp("metrics") / "nearside.sqlite"
    command = [
        labs.program("probe"), "run", "--config", running.facts["config"], "--store", f"sqlite:{store}",
        "--listen", address, "--for", "20s", "--quiet",
    ]
    agent = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=labs.clean_environment())
    try:
        def ask():
            try:
                with urllib.request.urlopen(f"http://{address}/metrics", timeout=2) as reply:
                    text = reply.read().decode()
            except OSError:
                return None
            return text if "nearside_probe_phase_seconds_bucket" in text else None

        text = labs.until(15, 0.3, ask, "metrics")
    finally:
        agent.terminate()
        agent.wait(timeout=10)
    assert running.stop() == 0
    found = {}
    for name, labels in re.findall(r"^([a-z_]+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    for name in re.findall(r"^# TYPE (\S+)", text, re.MULTILINE):
        found.setdefault(name, set())
    return found


def test_the_dashboard_asks_for_metrics_that_there_are(exported):
    dashboard = json.loads((DEPLOY / "grafana/nearside.json").read_text())
    texts = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    texts += [one["definition"] for one in dashboard["templating"]["list"] if one["type"] == "query"]
    asked = set()
    for text in texts:
        for name, labels in re.findall(r"\b((?:nearside_)?probe_[a-z_]+)(?:\{([^}]*)\})?", text):
            asked.add(name)
            assert name in exported, f"{name} of {text}"
            wanted = set(re.findall(r'(\w+)[=!]~?"', labels))
            assert wanted <= exported[name] | ({"outcome"} if name.endswith("samples_total") else set()), text
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    assert len(families) >= 8, families


def test_the_dashboard_of_cloudwatch_asks_for_what_is_published():
    source = (ROOT / "probe/src/publish/mod.rs").read_text()
    published = set(re.findall(r'(?:RESPONSE\w*|FAILURES): &str = "(\w+)"', source))
    published |= set(re.findall(r'Phase::\w+ => "(\w+)"', source))
    dimensions = set(re.findall(r'(?:VANTAGE|TARGET|CONNECTION|PATH|KIND): &str = "(\w+)"', source))
    resources = template("monitoring.yaml")["Resources"]
    body = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    dashboard = json.loads(body.replace("${", "").replace(".Arn}", "").replace("}\\\"", "\\\"").replace("Region}", "Region"))
    text = json.dumps(dashboard).replace('\\"', '"')
    assert set(re.findall(r'MetricName="(\w+)"', text)) <= published
    for schema in re.findall(r"SEARCH\('\{[^,]+,([^}]+)\}", text):
        assert set(schema.split(",")) <= dimensions and schema.split(",") == sorted(schema.split(","))
    for alarm in ("Silent", "Failing"):
        query = resources[alarm]["Properties"]["Metrics"][0]["Expression"]["Fn::Sub"]
        metric, schema = re.fullmatch(
            r'SELECT (?:COUNT|SUM)\((\w+)\) FROM SCHEMA\("\$\{Namespace\}", ([a-z, ]+)\)', query
        ).groups()
        assert metric in published and set(schema.split(", ")) <= dimensions


def test_the_example_is_a_configuration_and_its_price_is_the_documented_one():
    config = str(DEPLOY / "nearside.toml")
    words = ["--config", config, "--store", "cloudwatch:Nearside", "--json", "cost", "--lambda-s", "3"]
    code, said, error = labs.run([labs.program("advisor"), *words])
    assert code == 0, error
    bill = json.loads(said)["month"]
    document = (ROOT / "docs/price.md").read_text()
    rows = dict(re.findall(r"^\| ([^|]+?) \|[^|]*\| ([0-9.]+) \|$", document, re.MULTILINE))
    told = {line["what"]: f"{line['usd']:.2f}" for line in bill["lines"] if line["usd"] > 0}
    assert told == {what: rows[what] for what in told}, "docs/price.md"
    assert rows["sum"] == f"{bill['usd']:.2f}" and f"{bill['usd_most']:.2f}" in document


def test_a_fleet_is_the_same_everywhere():
    """What `advisor init --fleet` writes, what the runbook deploys, and what the example has."""
    source = (ROOT / "advisor/src/discover/text.rs").read_text()
    listed = re.search(r"const FLEET: [^=]*= \[(.*?)\];", source, re.DOTALL)[1]
    written = set(re.findall(r'"([a-z0-9-]+)"', listed))
    runbook = re.search(r'export REGIONS="([^"]+)"', (ROOT / "docs/runbook.md").read_text())[1].split()
    example = {one["id"] for one in tomllib.loads((DEPLOY / "nearside.toml").read_text())["vantage"]}
    assert written == set(runbook) == example and len(runbook) == len(written) == 17


def test_what_is_packed_is_there():
    """The Debian package's files, but those that a build makes."""
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["metadata"]
    assets = {source: target for source, target, _ in manifest["deb"]["assets"]}
    for source in assets:
        built = source.startswith("target/release/") and (pathlib.Path(labs.program(source.split("/")[2])))
        assert built or (ROOT / source).exists(), source
    installed = {f"/{target}{pathlib.Path(source).name}" for source, target in assets.items()}
    assert {words[0] for _, words in units_commands()} <= installed
    assert {f"deploy/systemd/{unit.name}" for unit in UNITS} <= set(assets)
    assert {"pkg-url", "pkg-fmt", "bin-dir"} == set(manifest["binstall"])
