"""boto3 against the lab's Route 53: what people's own scripts do with it."""

import os
import time

import pytest
from botocore.exceptions import ClientError
from lab import until
from records import alias, batch, change, creates, latency, listing, plain, txt


def sort_key(one):
    """Route 53's order: labels from the right with the final dot, then type, then identifier."""
    labels = one["Name"].rstrip(".").split(".")
    return ([*reversed(labels)], one["Type"], one.get("SetIdentifier", ""))


def test_a_new_zone_has_soa_and_name_servers(route53, zone):
    zone_id, name = zone
    sets, _ = listing(route53, zone_id)
    assert {(one["Name"], one["Type"]) for one in sets} == {(name, "NS"), (name, "SOA")}
    servers = route53.get_hosted_zone(Id=zone_id)["DelegationSet"]["NameServers"]
    assert len(servers) == 4
    named = next(one for one in sets if one["Type"] == "NS")["ResourceRecords"]
    assert sorted(value["Value"].rstrip(".") for value in named) == sorted(servers)
    found = route53.list_hosted_zones_by_name(DNSName=name, MaxItems="1")["HostedZones"]
    assert [one["Id"] for one in found] == [zone_id]


def test_paging_gives_each_of_many_sets_once_in_order(route53, zone):
    zone_id, name = zone
    made = [plain(f"n{at:04}.{name}", "192.0.2.1") for at in range(0, 400, 2)]
    made += [plain(f"n{at:04}.{name}", txt(at), "TXT") for at in range(0, 400, 2)]
    regions = ["us-east-1", "eu-west-1", "ap-south-1", "sa-east-1"]
    for at in range(1, 400, 8):
        made += [latency(f"n{at:04}.{name}", region, txt(region)) for region in regions]
    made += [plain(f"*.{name}", "192.0.2.9"), plain(f"under_score.{name}", "192.0.2.9")]
    for start in range(0, len(made), 250):
        route53.change_resource_record_sets(
            HostedZoneId=zone_id, ChangeBatch=creates(*made[start:start + 250])
        )
    sets, pages = listing(route53, zone_id)
    assert pages == 3, "300 sets a page"
    keys = [(one["Name"], one["Type"], one.get("SetIdentifier")) for one in sets]
    assert len(set(keys)) == len(keys) == len(made) + 2, "each exactly once"
    wanted = {(one["Name"].replace("*", "\\052"), one["Type"], one.get("SetIdentifier")) for one in made}
    assert wanted <= set(keys)
    assert sets == sorted(sets, key=sort_key)
    small, small_pages = listing(route53, zone_id, page=97)
    assert small == sets and small_pages == -(-len(sets) // 97)
    counted = route53.get_hosted_zone(Id=zone_id)["HostedZone"]["ResourceRecordSetCount"]
    assert counted == len(sets)


def test_records_are_created_changed_and_deleted(route53, zone):
    zone_id, name = zone
    old, new = plain(f"www.{name}", "192.0.2.1"), plain(f"www.{name}", "192.0.2.2", ttl=30)

    def held():
        return [one for one in listing(route53, zone_id)[0] if one["Type"] == "A"]

    change(route53, zone_id, creates(old))
    assert held() == [old]
    change(route53, zone_id, batch(("DELETE", old), ("CREATE", new)))
    assert held() == [new]
    change(route53, zone_id, batch(("UPSERT", old)))
    assert held() == [old]
    change(route53, zone_id, batch(("DELETE", old)))
    assert held() == []


def test_what_is_written_comes_back_member_by_member(route53, zone):
    zone_id, name = zone
    written = [
        plain(f"w.{name}", "192.0.2.1", SetIdentifier="a", Weight=0),
        plain(f"w.{name}", "192.0.2.2", SetIdentifier="b", Weight=255),
        plain(f"l.{name}", "192.0.2.1", SetIdentifier="x", Region="ap-southeast-7"),
        plain(f"g.{name}", "192.0.2.1", SetIdentifier="x", GeoLocation={"CountryCode": "*"}),
        plain(f"g.{name}", "192.0.2.1", SetIdentifier="y", GeoLocation={"ContinentCode": "EU"}),
        plain(f"f.{name}", "192.0.2.1", SetIdentifier="x", Failover="PRIMARY"),
        plain(f"m.{name}", "192.0.2.1", SetIdentifier="x", MultiValueAnswer=True),
        plain(f"p.{name}", "192.0.2.1", SetIdentifier="x",
              GeoProximityLocation={"AWSRegion": "eu-west-1", "Bias": -99}),
        plain(f"p.{name}", "192.0.2.1", SetIdentifier="y",
              GeoProximityLocation={"Coordinates": {"Latitude": "49.22", "Longitude": "-74.01"}}),
        plain(f"t.{name}", ['"a b"', '"c"'], "TXT"),
        plain(f"six.{name}", "2001:db8::1", "AAAA"),
        alias(f"z.{name}", zone_id.split("/")[-1], f"w.{name}", health=True),
    ]
    change(route53, zone_id, creates(*written))
    by_key = {(one["Name"], one.get("SetIdentifier")): one for one in listing(route53, zone_id)[0]}
    for one in written:
        assert by_key[(one["Name"], one.get("SetIdentifier"))] == one


def test_names_come_back_lower_case_and_in_octal(route53, zone):
    zone_id, name = zone
    change(route53, zone_id, creates(plain(f"*.UPPER.{name}", "192.0.2.1")))
    names = [one["Name"] for one in listing(route53, zone_id)[0] if one["Type"] == "A"]
    assert names == [f"\\052.upper.{name}"]
    again = route53.list_resource_record_sets(
        HostedZoneId=zone_id, StartRecordName=f"*.Upper.{name}", StartRecordType="A", MaxItems="1"
    )
    assert [one["Name"] for one in again["ResourceRecordSets"]] == names


def test_a_change_is_pending_and_then_in_sync(route53, zone):
    zone_id, name = zone
    made = plain(f"www.{name}", "192.0.2.1")
    info = route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=creates(made))
    info = info["ChangeInfo"]
    assert info["Status"] == "PENDING" and info["Id"].startswith("/change/C")
    asked = {"HostedZoneId": zone_id, "RecordName": made["Name"], "RecordType": "A"}
    assert made in listing(route53, zone_id)[0], "the listing shows what is pending"
    assert route53.test_dns_answer(**asked)["ResponseCode"] == "NXDOMAIN", "name servers do not yet"
    assert route53.get_change(Id=info["Id"])["ChangeInfo"]["Status"] == "PENDING"
    until(20, 0.3, lambda: route53.get_change(Id=info["Id"])["ChangeInfo"]["Status"] == "INSYNC",
          "the change")
    assert route53.test_dns_answer(**asked)["RecordData"] == ["192.0.2.1"]


def test_an_unknown_change_is_refused(route53):
    with pytest.raises(ClientError) as refused:
        route53.get_change(Id="C0000000000000000000")
    assert refused.value.response["Error"]["Code"] == "NoSuchChange"


def test_dns_answers_are_asked_of_the_api_too(route53, lab, zone):
    zone_id, name = zone
    regions = ["us-east-1", "ap-southeast-1"]
    change(route53, zone_id, creates(*(latency(f"l.{name}", one, txt(one)) for one in regions)))
    for region in regions:
        for family, default in ((4, 24), (6, 64)):
            address, length = lab.subnet(region, family).split("/")
            answer = route53.test_dns_answer(
                HostedZoneId=zone_id, RecordName=f"l.{name}", RecordType="TXT",
                EDNS0ClientSubnetIP=address, EDNS0ClientSubnetMask=str(min(int(length), default)),
            )
            assert answer["RecordData"] == [txt(region)]
            assert answer["ResponseCode"] == "NOERROR" and answer["Protocol"] == "UDP"
    by_resolver = route53.test_dns_answer(
        HostedZoneId=zone_id, RecordName=f"l.{name}", RecordType="TXT",
        ResolverIP=lab.subnet("ap-southeast-1").split("/")[0],
    )
    assert by_resolver["RecordData"] == [txt("ap-southeast-1")]


def health_config(lab, region):
    """A check of one endpoint's own domain."""
    return {
        "Type": "HTTPS", "FullyQualifiedDomainName": f"{region}.{lab.facts['name']}",
        "Port": lab.port, "ResourcePath": "/health", "EnableSNI": True,
        "RequestInterval": 10, "FailureThreshold": 1,
    }


def test_the_life_of_a_health_check(route53, lab):
    reference = f"life-{os.urandom(6).hex()}"
    config = health_config(lab, "us-east-1")
    made = route53.create_health_check(CallerReference=reference, HealthCheckConfig=config)
    made = made["HealthCheck"]
    assert made["HealthCheckVersion"] == 1
    same = route53.create_health_check(CallerReference=reference, HealthCheckConfig=config)
    assert same["HealthCheck"]["Id"] == made["Id"], "the reference makes it idempotent"
    with pytest.raises(ClientError) as refused:
        route53.create_health_check(
            CallerReference=reference, HealthCheckConfig={**config, "ResourcePath": "/other"}
        )
    assert refused.value.response["Error"]["Code"] == "HealthCheckAlreadyExists"
    got = route53.get_health_check(HealthCheckId=made["Id"])["HealthCheck"]["HealthCheckConfig"]
    assert {key: got[key] for key in config} == config

    def observed():
        time.sleep(1)  # GetHealthCheckStatus refills once a second.
        status = route53.get_health_check_status(HealthCheckId=made["Id"])
        return status["HealthCheckObservations"]

    seen = until(25, 0.1, lambda: [one for one in observed() if "StatusReport" in one], "a report")
    assert all(one["StatusReport"]["Status"].startswith("Success") for one in seen), seen
    assert len({one["Region"] for one in seen}) == 8
    changed = route53.update_health_check(
        HealthCheckId=made["Id"], HealthCheckVersion=1, FailureThreshold=5
    )["HealthCheck"]
    assert (changed["HealthCheckVersion"], changed["HealthCheckConfig"]["FailureThreshold"]) == (2, 5)
    with pytest.raises(ClientError) as refused:
        route53.update_health_check(
            HealthCheckId=made["Id"], HealthCheckVersion=1, FailureThreshold=6
        )
    assert refused.value.response["Error"]["Code"] == "HealthCheckVersionMismatch"
    pages = route53.get_paginator("list_health_checks").paginate()
    assert made["Id"] in [one["Id"] for page in pages for one in page["HealthChecks"]]
    route53.delete_health_check(HealthCheckId=made["Id"])
    with pytest.raises(ClientError) as refused:
        route53.get_health_check(HealthCheckId=made["Id"])
    assert refused.value.response["Error"]["Code"] == "NoSuchHealthCheck"


@pytest.mark.parametrize("wrong", [
    {"Type": "BOGUS"}, {"RequestInterval": 15}, {"FailureThreshold": 99}, {"Port": 65536},
    {"ResourcePath": "x" * 256}, {"Regions": ["us-east-1"]},
], ids=lambda wrong: next(iter(wrong)))
def test_health_checks_are_validated(unchecked, lab, wrong):
    config = {**health_config(lab, "us-east-1"), **wrong}
    reference = f"wrong-{os.urandom(6).hex()}"
    with pytest.raises(ClientError) as refused:
        unchecked.create_health_check(CallerReference=reference, HealthCheckConfig=config)
    assert refused.value.response["Error"]["Code"] == "InvalidInput"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
