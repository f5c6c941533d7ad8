"""The advisor's task that makes a report, by the template's own command line: boto3 publishes a week as a
fleet would, the lab's CloudWatch keeps it, the task reads it and delivers to a bucket."""

import datetime
import http.server
import json
import pathlib
import sys
import threading
import tomllib

import boto3
import pytest
from templates import ROOT, template

sys.path.insert(0, str(ROOT / "tests/third_party"))
import lab as labs
from test_s3 import Bucket

REGION, SPACE = "eu-west-1", "Nearside"
DAY = datetime.timedelta(days=1)


def command_line():
    """What the task runs where REPORT is set."""
    task = template("advisor.yaml")["Resources"]["PlanTask"]["Properties"]["ContainerDefinitions"][0]
    script, = task["Command"]
    line, = [line for line in script.splitlines() if " report " in line]
    return line.strip().replace("/tmp/advisor", labs.program("advisor"))


def overrides():
    """The variables that the schedule sets beside those of the task."""
    resources = template("advisor.yaml")["Resources"]
    given = resources["Reporting"]["Properties"]["Target"]["Input"]["Fn::Sub"].replace("${Report}", "week")
    container, = json.loads(given)["containerOverrides"]
    assert container["name"] == "advisor"
    return {one["name"]: one["value"] for one in container["environment"]}


def publish(lab, monday, vantages, endpoints):
    """One datum a day and series: ninety samples of 80 ms and ten of 200 ms. Says how many samples."""
    client = boto3.client(
        "cloudwatch", endpoint_url=lab.facts["cloudwatch"], region_name=REGION,
        aws_access_key_id="lab", aws_secret_access_key="lab",
    )
    datums = []
    for vantage in vantages:
        for endpoint in endpoints:
            for connection in ("cold", "warm"):
                dimensions = {"connection": connection, "target": endpoint, "vantage": vantage}
                named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
                datums += [
                    {
                        "MetricName": "Response", "Dimensions": named, "Timestamp": monday + day * DAY,
                        "Unit": "Milliseconds", "Values": [80.0, 200.0], "Counts": [90.0, 10.0],
                    }
                    for day in range(7)
                ]
    for at in range(0, len(datums), 1000):
        client.put_metric_data(Namespace=SPACE, MetricData=datums[at : at + 1000])
    return 100 * len(datums)


@pytest.fixture
def bucket():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


def test_the_task_delivers_a_report_of_the_fleet(bucket, tmp_path):
    running = labs.Lab("calm")
    try:
        text = pathlib.Path(running.facts["config"]).read_text()
        known = tomllib.loads(text)
        for key in ("window", "block", "volatility_history"):
            text = text.replace(f'\n{key} = "{known["evidence"][key]}"', "")
        text += f'\n[cloudwatch]\nnamespace = "{SPACE}"\nregion = "{REGION}"\n'
        (tmp_path / "nearside.toml").write_text(text)
        today = datetime.datetime.now(datetime.timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
        monday = today - (today.weekday() + 7) * DAY
        vantages = [one["id"] for one in known["vantage"]]
        endpoints = [one["id"] for one in known["endpoint"]]
        samples = publish(running, monday, vantages, endpoints)
        host, port = bucket.server_address
        code, stdout, stderr = labs.run(
            ["sh", "-euc", f"cd {tmp_path}\n{command_line().replace('/tmp/report', str(tmp_path / 'report'))}"],
            BUCKET="team", NEARSIDE_STORE=f"cloudwatch:{SPACE}", AWS_REGION=REGION,
            AWS_ENDPOINT_URL_S3=f"http://{host}:{port}", AWS_ENDPOINT_URL_ROUTE_53=running.facts["route53"],
            AWS_ENDPOINT_URL_CLOUDWATCH=running.facts["cloudwatch"], **overrides(),
        )
        assert code == 0, stderr
        assert "CloudWatch was asked for " in stdout, stdout
    finally:
        running.stop()
    bodies = {path.rsplit("/", 1)[1]: (path, body) for path, _, body in bucket.seen}
    assert sorted(bodies) == ["report.html", "report.json", "report.md"]
    assert all(path.startswith("/team/reports/") for path, _ in bodies.values()), bodies.keys()
    told = json.loads(bodies["report.json"][1])
    assert told["store"] == "cloudwatch" and told["period"]["since"].startswith(str(monday.date()))
    assert told["monitoring"]["requests"] == samples == sum(line["attempts"] for line in told["coverage"])
    assert len(told["targets"]) == 2 * len(endpoints)
    for line in told["targets"]:
        assert line["n"] == 700 * len(vantages), line
        assert line["p50_ms"] == pytest.approx(80, rel=0.04), line
        assert line["p95_ms"] == pytest.approx(200, rel=0.04), line
    assert {line["missed"] for line in told["coverage"]} == {None}
