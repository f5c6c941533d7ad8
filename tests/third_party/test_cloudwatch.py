"""boto3 against the lab's CloudWatch: data, statistics, limits, alarms, and health checks on metrics."""

import datetime
import json
import re
import time
import uuid

import pytest
from botocore.exceptions import ClientError
from lab import program, run, until
from test_endpoints import address, curl

MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture(scope="module")
def cloudwatch(client):
    """CloudWatch in one Region, without the client's own checks, so that the server has to refuse."""
    return client("cloudwatch", region="eu-west-1", validate=False)


@pytest.fixture
def space():
    """A namespace of the test's own."""
    return f"Test/{uuid.uuid4().hex}"


def start_of_minute(back):
    """The start of a minute so many minutes ago."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return now.replace(second=0, microsecond=0) - back * MINUTE


def ask(cloudwatch, space, statistics, start, minutes=1, **more):
    """Values of the metric `m` by statistic, oldest first, over all pages."""
    queries = [
        {
            "Id": f"q{at}",
            "MetricStat": {
                "Metric": {"Namespace": space, "MetricName": "m", **more},
                "Period": 60,
                "Stat": statistic,
            },
        }
        for at, statistic in enumerate(statistics)
    ]
    found = {statistic: [] for statistic in statistics}
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=queries, StartTime=start, EndTime=start + minutes * MINUTE,
        ScanBy="TimestampAscending",
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            found[statistics[int(result["Id"][1:])]] += result["Values"]
    return found


def refused(call, **arguments):
    """The code and the message of a refusal."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    told = error.value.response["Error"]
    return told["Code"], told["Message"]


def test_statistics_of_values_and_counts(cloudwatch, space):
    start = start_of_minute(5)
    cloudwatch.put_metric_data(
        Namespace=space,
        MetricData=[
            {
                "MetricName": "m", "Timestamp": start, "Unit": "Milliseconds",
                "Values": [10.0, 20.0, 30.0, 1000.0], "Counts": [50.0, 30.0, 19.0, 1.0],
            }
        ],
    )
    wanted = {
        "SampleCount": 100, "Average": 26.7, "Sum": 2670, "Minimum": 10, "Maximum": 1000,
        "p50": 10, "p99": 30, "p99.5": 1000, "tm99": 1670 / 99, "PR(:20)": 80, "PR(20:)": 20,
        "TC(:30)": 99, "TC(10:30)": 49, "TC(9.5:20.25)": 80, "IQM": (25 * 10 + 25 * 20) / 50, "wm99": 1700 / 100,
    }
    found = ask(cloudwatch, space, list(wanted), start)
    assert {name: pytest.approx(values) for name, values in found.items()} == {
        name: [value] for name, value in wanted.items()
    }


def test_percentiles_need_values_that_are_not_negative(cloudwatch, space):
    start = start_of_minute(5)
    sets = {"SampleCount": 2.0, "Sum": 30.0, "Minimum": 10.0, "Maximum": 20.0}
    datums = [
        {"MetricName": "m", "Timestamp": start, "Values": [-1.0, 5.0]},
        {"MetricName": "m", "Timestamp": start + MINUTE, "StatisticValues": sets},
        {"MetricName": "m", "Timestamp": start + 2 * MINUTE, "Value": 7.0},
    ]
    cloudwatch.put_metric_data(Namespace=space, MetricData=datums)
    found = ask(cloudwatch, space, ["Average", "p50"], start, minutes=3)
    assert found == {"Average": [2.0, 15.0, 7.0], "p50": [7.0]}


def test_limits_are_refused_with_the_real_codes(cloudwatch, space):
    def put(**members):
        datum = {"MetricName": "m", "Value": 1.0, **members}
        datum = {name: value for name, value in datum.items() if value is not None}
        return refused(cloudwatch.put_metric_data, Namespace=space, MetricData=[datum])

    too_many = [{"MetricName": "m", "Value": 1.0}] * 1001
    code, message = refused(cloudwatch.put_metric_data, Namespace=space, MetricData=too_many)
    assert code == "InvalidParameterValue"
    assert message == "The collection MetricData must not have a size greater than 1000."
    code, message = put(Value=None, Values=[float(at) for at in range(151)])
    assert code == "InvalidParameterValue" and "size greater than 150" in message
    assert put(Dimensions=[{"Name": f"d{at}", "Value": "v"} for at in range(31)])[0] == code
    assert put(Value=float("inf"))[0] in ("InvalidParameterValue", "MalformedInput")
    assert put(Values=[1.0])[0] == "InvalidParameterCombination"
    assert put(Unit="Furlongs")[0] == "InvalidParameterValue"
    assert put(StorageResolution=7)[0] == "InvalidParameterValue"
    old = start_of_minute(14 * 24 * 60 + 2)
    assert put(Timestamp=old) == (
        "InvalidParameterValue",
        "The parameter MetricData.member.1.Timestamp must specify a time within the past two weeks.",
    )
    assert put(Timestamp=start_of_minute(-122))[0] == "InvalidParameterValue"
    aws = refused(
        cloudwatch.put_metric_data, Namespace="AWS/Mine",
        MetricData=[{"MetricName": "m", "Value": 1.0}],
    )
    assert aws[0] == "InvalidParameterValue"
    name = "x" * 250
    wide = [{"MetricName": name, "Values": [1 / (at + 3) for at in range(150)]}] * 900
    assert refused(cloudwatch.put_metric_data, Namespace=space, MetricData=wide)[0] == (
        "RequestEntityTooLarge"
    )


def test_a_large_request_comes_packed(cloudwatch, space):
    start = start_of_minute(5)
    many = [
        {"MetricName": "m", "Timestamp": start, "Values": [float(at) for at in range(1, 100)]}
    ] * 30
    sent = []
    events = cloudwatch.meta.events
    events.register("before-send.cloudwatch.PutMetricData", lambda request, **_: sent.append(request))
    cloudwatch.put_metric_data(Namespace=space, MetricData=many)
    assert sent[0].headers["Content-Encoding"] in ("gzip", b"gzip")
    assert ask(cloudwatch, space, ["SampleCount", "p50"], start) == {
        "SampleCount": [30 * 99.0], "p50": [50.0]
    }


def test_each_region_is_apart_and_metrics_are_listed(cloudwatch, client, space):
    dimensions = [{"Name": "vantage", "Value": "v"}, {"Name": "target", "Value": "t"}]
    cloudwatch.put_metric_data(
        Namespace=space, MetricData=[{"MetricName": "m", "Value": 1.0, "Dimensions": dimensions}]
    )

    def listed(one):
        return one.list_metrics(Namespace=space, Dimensions=[{"Name": "target"}])["Metrics"]

    found = listed(cloudwatch)
    assert [one["MetricName"] for one in found] == ["m"]
    assert sorted(one["Name"] for one in found[0]["Dimensions"]) == ["target", "vantage"]
    assert listed(client("cloudwatch", region="us-east-1")) == []


def test_questions_that_are_refused(cloudwatch, space):
    start = start_of_minute(5)
    code, message = refused(ask, cloudwatch=cloudwatch, space=space, statistics=["p50"],
                            start=start, minutes=0)
    assert (code, message) == (
        "ValidationError", "The parameter StartTime must not equal parameter EndTime."
    )
    assert refused(ask, cloudwatch=cloudwatch, space=space, statistics=["p50"] * 501,
                   start=start)[0] == "ValidationError"
    assert refused(ask, cloudwatch=cloudwatch, space=space, statistics=["p101"],
                   start=start)[0] == "ValidationError"


def test_endpoints_are_counted_as_api_gateway_does(lab, client):
    failing = client("cloudwatch", region="ap-southeast-1")
    url = f"https://{lab.facts['name']}:{lab.port}/ping"
    to = f"::{address(lab, 'ap-southeast-1')}:"
    assert [curl(lab, url, "--connect-to", to)["status"] for _ in range(3)] == [503] * 3

    def count(name):
        start = start_of_minute(30)
        return sum(
            sum(result["Values"])
            for result in failing.get_metric_data(
                MetricDataQueries=[{
                    "Id": "n",
                    "MetricStat": {
                        "Metric": {
                            "Namespace": "AWS/ApiGateway", "MetricName": name,
                            "Dimensions": [{"Name": "ApiName", "Value": "api"}],
                        },
                        "Period": 60, "Stat": "Sum",
                    },
                }],
                StartTime=start, EndTime=start + 60 * MINUTE,
            )["MetricDataResults"]
        )

    assert count("Count") >= 3 and count("5XXError") == count("Count")


def test_a_health_check_follows_the_data_and_not_the_alarm(route53, cloudwatch, client, space):
    """Each check is on an alarm of its own: data over the threshold, under it, and none."""
    calm = client("cloudwatch", region="us-east-1")
    name = space.replace("/", "-")
    for kind in ("over", "under", "none"):
        calm.put_metric_alarm(
            AlarmName=f"{name}-{kind}", Namespace=space, MetricName=kind, Statistic="Average",
            Period=60, EvaluationPeriods=1, Threshold=5.0, TreatMissingData="breaching",
            ComparisonOperator="GreaterThanThreshold",
        )
        time.sleep(0.4)
    for back in range(0, 4):
        at = start_of_minute(back)
        calm.put_metric_data(Namespace=space, MetricData=[
            {"MetricName": "over", "Timestamp": at, "Value": 9.0},
            {"MetricName": "under", "Timestamp": at, "Value": 1.0},
        ])

    def told(kind, insufficient, expected):
        made = route53.create_health_check(
            CallerReference=f"{name}-{kind}-{insufficient}"[-64:],
            HealthCheckConfig={
                "Type": "CLOUDWATCH_METRIC",
                "AlarmIdentifier": {"Region": "us-east-1", "Name": f"{name}-{kind}"},
                "InsufficientDataHealthStatus": insufficient,
            },
        )["HealthCheck"]["Id"]

        def says():
            seen = route53.get_health_check_status(HealthCheckId=made)
            reports = [one["StatusReport"]["Status"] for one in seen["HealthCheckObservations"]]
            return any(expected in report for report in reports)

        until(10, 1.2, says, f"{expected} of {kind}")
        route53.delete_health_check(HealthCheckId=made)

    told("over", "Healthy", "Failure: The alarm's data is over")
    told("under", "Unhealthy", "Success: The alarm's data is within")
    told("none", "Healthy", "insufficient data")
    states = calm.describe_alarms(AlarmNamePrefix=name)["MetricAlarms"]
    assert {one["AlarmName"].rsplit("-", 1)[1]: one["StateValue"] for one in states} == {
        "over": "ALARM", "under": "OK", "none": "ALARM"
    }
    calm.delete_alarms(AlarmNames=[f"{name}-{kind}" for kind in ("over", "under", "none")])
    assert calm.describe_alarms(AlarmNamePrefix=name)["MetricAlarms"] == []


def test_boto3_reads_what_a_probe_wrote(lab, client, tmp_path):
    text = open(lab.facts["config"], encoding="utf-8").read()
    text = re.sub(r"^(window|block|volatility_history) = .*\n", "", text, flags=re.M)
    spool = tmp_path / "spool"
    text += "\n[cloudwatch]\nnamespace = 'Nearside'\nregion = 'eu-west-1'\n"
    text += f"spool = '{spool}'\nmax_metrics = 10000\n"
    config = tmp_path / "nearside.toml"
    config.write_text(text, encoding="utf-8")
    begun = start_of_minute(1)
    code, out, err = run(
        [program("probe"), "run", "--vantage", "us-east-1", "--for", "4s", "--json",
         "--store", "cloudwatch:Nearside", "--config", str(config)],
        AWS_ENDPOINT_URL_CLOUDWATCH=lab.facts["cloudwatch"],
    )
    assert code == 0, err
    summary = json.loads(out)
    assert summary["cloudwatch"]["spooled"] == 0 and summary["cloudwatch"]["sent"] >= 8
    reader = client("cloudwatch", region="eu-west-1")
    metrics = reader.list_metrics(Namespace="Nearside")["Metrics"]
    response = [one for one in metrics if one["MetricName"].startswith("Response")]
    assert len(response) == 8, "four endpoints, cold and warm"

    def sums(metric, statistic):
        found = reader.get_metric_data(
            MetricDataQueries=[{
                "Id": "q", "MetricStat": {"Metric": metric, "Period": 60, "Stat": statistic},
            }],
            StartTime=begun, EndTime=begun + 5 * MINUTE,
        )
        return found["MetricDataResults"][0]["Values"]

    counted = sum(sum(sums(metric, "SampleCount")) for metric in response)
    assert counted == summary["samples"]
    failures = [one for one in metrics if one["MetricName"] == "Failures"]
    whole = [one for one in failures if all(d["Name"] != "kind" for d in one["Dimensions"])]
    assert sum(sum(sums(metric, "Sum")) for metric in whole) == summary["failures"] > 0
    # One endpoint answers every request with 503: its values lie above the timeout of 3 s.
    for metric in response:
        target = next(d["Value"] for d in metric["Dimensions"] if d["Name"] == "target")
        slow = min(sums(metric, "p1")) > 3000
        assert slow == (target == "ap-southeast-1"), metric
