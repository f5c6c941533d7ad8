"""Record set protections of the lab, as boto3 sees them: created, listed, in force, taken away."""

import pytest
from botocore.exceptions import ClientError
from records import batch, creates, listing, plain


def keys(route53, zone_id):
    """Names, types and comments of all protections, page by page."""
    found, token = [], {}
    while True:
        page = route53.list_resource_record_set_protections(
            HostedZoneId=zone_id, MaxResults="2", **token
        )
        for one in page["ResourceRecordSetProtections"]:
            found.append((one["RecordName"], one["RecordType"], one.get("Comment")))
        if "NextToken" not in page:
            return found
        token = {"NextToken": page["NextToken"]}


def test_protections_hold_until_they_are_taken_away(route53, zone):
    zone_id, name = zone
    route53.change_resource_record_sets(
        HostedZoneId=zone_id, ChangeBatch=creates(plain(f"www.{name}", "192.0.2.1"))
    )
    wanted = [
        {"RecordName": f"www.{name}", "RecordType": "A", "Comment": "ask first"},
        {"RecordName": f"WWW.{name}", "RecordType": "AAAA"},
        {"RecordName": f"b.{name}", "RecordType": "TXT"},
    ]
    route53.create_resource_record_set_protections(HostedZoneId=zone_id, Protections=wanted)
    assert sorted(keys(route53, zone_id), key=str) == sorted(
        [
            (f"www.{name}", "A", "ask first"),
            (f"www.{name}", "AAAA", None),
            (f"b.{name}", "TXT", None),
        ],
        key=str,
    )
    before = listing(route53, zone_id)
    # A batch with one protected set in it is refused whole.
    changes = batch(
        ("CREATE", plain(f"free.{name}", "192.0.2.2")),
        ("DELETE", plain(f"www.{name}", "192.0.2.1")),
    )
    with pytest.raises(ClientError) as refused:
        route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=changes)
    assert refused.value.response["Error"]["Code"] == "InvalidChangeBatch"
    assert listing(route53, zone_id) == before
    with pytest.raises(ClientError) as twice:
        route53.create_resource_record_set_protections(
            HostedZoneId=zone_id, Protections=wanted[:1]
        )
    assert twice.value.response["Error"]["Code"] == "ProtectionAlreadyExists"
    with pytest.raises(ClientError) as unknown:
        route53.delete_resource_record_set_protections(
            HostedZoneId=zone_id,
            Protections=[{"RecordName": f"none.{name}", "RecordType": "A"}],
        )
    assert unknown.value.response["Error"]["Code"] == "InvalidResourceRecordSetProtectionBatch"
    route53.delete_resource_record_set_protections(
        HostedZoneId=zone_id,
        Protections=[{k: one[k] for k in ("RecordName", "RecordType")} for one in wanted],
    )
    assert keys(route53, zone_id) == []
    route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=changes)
