"""curl against the lab's endpoints, direct and through its WAN, and boto3 against its other APIs."""

import json
import re

import pytest
from botocore.exceptions import ClientError
from lab import run

REST = ["x-amzn-requestid", "x-amz-apigw-id", "x-amzn-trace-id"]
HEADERS = {
    "us-east-1": REST,
    "eu-west-1": ["apigw-requestid"],
    "ap-south-1": [*REST, "x-cache", "x-amz-cf-pop", "x-amz-cf-id", "via"],
}
ABSENT = {
    "us-east-1": ["apigw-requestid", "x-cache", "via"],
    "eu-west-1": [*REST, "x-cache", "via"],
    "ap-south-1": ["apigw-requestid"],
}


def curl(lab, url, *more, trusted=True):
    """One request: the exit code, the status, the headers, the body and the time it took."""
    command = ["curl", "--silent", "--show-error", "--include", "--max-time", "20", *more,
               "--write-out", "\n%{http_code} %{time_total} %{http_version}", url]
    if trusted:
        command += ["--cacert", lab.facts["ca"]]
    code, out, err = run(command)
    head, _, rest = out.replace("\r\n", "\n").partition("\n\n")
    body, _, told = rest.rpartition("\n")
    lines = re.findall(r"^([\w-]+): (.*)$", head, re.M)
    headers = {name.lower(): value for name, value in lines}
    status, seconds, version = (told or out.strip().splitlines()[-1]).split()
    return {"code": code, "status": int(status), "headers": headers, "body": body, "err": err,
            "seconds": float(seconds), "version": version}


def address(lab, region, family=4):
    """The address of an endpoint, by DNS."""
    kind = "A" if family == 4 else "AAAA"
    name = f"{region}.{lab.facts['name']}"
    command = ["dig", f"@{lab.dns_host}", "-p", str(lab.dns_port), "+short", "+time=5", name, kind]
    return run(command)[1].strip()


def right(answer, region):
    """Asserts that an endpoint of a Region has answered, as its kind does."""
    assert (answer["code"], answer["status"]) == (0, 200), answer
    assert json.loads(answer["body"])["region"] == region
    assert answer["headers"]["x-nearside-region"] == region
    for name in HEADERS[region]:
        assert answer["headers"].get(name), f"{name} is missing: {answer['headers']}"
    for name in ABSENT[region]:
        assert name not in answer["headers"]


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
@pytest.mark.parametrize("region", HEADERS)
def test_direct_with_resolve(lab, region, http):
    name = lab.facts["name"]
    url = f"https://{name}:{lab.port}/ping"
    answer = curl(lab, url, http, "--resolve", f"{name}:{lab.port}:{address(lab, region)}")
    right(answer, region)
    assert answer["version"] == http.removeprefix("--http")
    assert json.loads(answer["body"])["message"] == "pong"


@pytest.mark.parametrize("region", HEADERS)
def test_direct_with_connect_to(lab, region):
    name = lab.facts["name"]
    to = f"{name}:{lab.port}:{address(lab, region)}:{lab.port}"
    right(curl(lab, f"https://{name}:{lab.port}/", "--connect-to", to), region)
    own = f"{region}.{name}"
    to = f"{own}:{lab.port}:{address(lab, region)}:{lab.port}"
    right(curl(lab, f"https://{own}:{lab.port}/health", "--connect-to", to), region)


def test_the_failing_endpoint_says_so(lab):
    name = lab.facts["name"]
    to = f"::{address(lab, 'ap-southeast-1')}:"
    answer = curl(lab, f"https://{name}:{lab.port}/ping", "--connect-to", to)
    assert (answer["code"], answer["status"]) == (0, 503)
    assert answer["headers"]["x-amzn-errortype"] == "ServiceUnavailableException"


def test_certificates_are_of_the_lab_and_of_its_names(lab):
    name, to = lab.facts["name"], f"::{address(lab, 'us-east-1')}:"
    url = f"https://{name}:{lab.port}/ping"
    assert curl(lab, url, "--connect-to", to, trusted=False)["code"] == 60
    other = f"https://other.{lab.facts['zone']}:{lab.port}/ping"
    assert curl(lab, other, "--connect-to", to)["code"] == 60
    wrong_host = curl(lab, url, "--connect-to", to, "--header", "Host: other.test")
    assert (wrong_host["status"], wrong_host["headers"]["x-amzn-errortype"]) == (403, "ForbiddenException")


@pytest.mark.parametrize("path, region, status", [
    ("/none", "us-east-1", 403), ("/none", "eu-west-1", 404),
])
def test_paths_that_are_not_there(lab, path, region, status):
    to = f"::{address(lab, region)}:"
    url = f"https://{lab.facts['name']}:{lab.port}{path}"
    assert curl(lab, url, "--connect-to", to)["status"] == status


@pytest.mark.parametrize("region", HEADERS)
def test_through_the_wan_by_name(lab, region):
    proxy = f"socks5h://{region}:@{lab.facts['socks5']}"
    url = f"https://{lab.facts['name']}:{lab.port}/ping"
    right(curl(lab, url, "--proxy", proxy), region)


@pytest.mark.parametrize("family", [4, 6])
def test_the_wan_is_as_far_as_the_world(lab, family):
    name = lab.facts["name"]
    proxy = f"socks5h://us-east-1:@{lab.facts['socks5']}"
    took = {}
    for region in ("us-east-1", "ap-south-1"):
        to = address(lab, region, family)
        to = f"[{to}]" if family == 6 else to
        answer = curl(lab, f"https://{name}:{lab.port}/health", "--proxy", proxy,
                      "--connect-to", f"::{to}:")
        right(answer, region)
        took[region] = answer["seconds"]
    # Three round trips of some 200 ms, against three of some 5 ms.
    assert took["ap-south-1"] > took["us-east-1"] + 0.4, took
    assert took["ap-south-1"] < 3, took


def test_a_client_that_is_no_vantage_stands_in_the_wan(lab):
    with open(lab.facts["clients"], encoding="utf-8") as text:
        rows = text.read().splitlines()
    assert rows[0] == "prefix,weight,catchment,city" and len(rows) > 400
    # The endpoint in ap-southeast-1 fails by design.
    row = next(row for row in rows[1:] if row.split(",")[2] != "ap-southeast-1" and ":" not in row)
    prefix, _, catchment = row.split(",")[:3]
    proxy = f"socks5h://{prefix.replace('/', '%2F')}:@{lab.facts['socks5']}"
    right(curl(lab, f"https://{lab.facts['name']}:{lab.port}/ping", "--proxy", proxy), catchment)


def test_nobody_comes_through_the_wan_unknown(lab):
    proxy = f"socks5h://atlantis-1:@{lab.facts['socks5']}"
    answer = curl(lab, f"https://{lab.facts['name']}:{lab.port}/ping", "--proxy", proxy)
    assert answer["code"] == 97, answer


def test_api_gateway_tells_its_domains_in_both_forms(lab, client):
    name = lab.facts["name"]
    for endpoint in lab.facts["endpoints"]:
        region, expect = endpoint["region"], endpoint["alias"]
        v1, v2 = client("apigateway", region), client("apigatewayv2", region)
        names = [one["domainName"] for one in v1.get_domain_names()["items"]]
        assert f"{region}.{name}" in names
        assert sorted(names) == sorted(one["DomainName"] for one in v2.get_domain_names()["Items"])
        if region == "ap-south-1":
            continue  # Its name lies in a CloudFront distribution, and not with API Gateway.
        own = v1.get_domain_name(domainName=name)
        assert own["regionalDomainName"].rstrip(".") == expect["dns_name"].rstrip(".")
        assert own["regionalHostedZoneId"] == expect["hosted_zone_id"]
        assert own["domainNameStatus"] == "AVAILABLE"
        new = v2.get_domain_name(DomainName=name)["DomainNameConfigurations"][0]
        assert new["ApiGatewayDomainName"].rstrip(".") == expect["dns_name"].rstrip(".")
        assert new["HostedZoneId"] == expect["hosted_zone_id"]
    assert client("apigateway", "sa-east-1").get_domain_names()["items"] == []
    with pytest.raises(ClientError) as refused:
        client("apigateway").get_domain_name(domainName="none.test")
    assert refused.value.response["Error"]["Code"] == "NotFoundException"
