"""Every illegal batch is refused with Route 53's own code, and nothing of it is applied.

The table holds what emulators are known to take and Route 53 refuses. boto3's own checks are off,
so that the server has to refuse. Each batch begins with a change that would be legal alone: after
the refusal the whole listing of the zone must be what it was.
"""

import json
import os

import pytest
from botocore.exceptions import ClientError
from records import alias, batch, creates, listing, plain, txt

BATCH, INPUT = "InvalidChangeBatch", "InvalidInput"
CLOUDFRONT = "Z2FDTNDATAQYW2"
Z = "refusals.test."
W = {"SetIdentifier": "a", "Weight": 10}
EU = {"SetIdentifier": "eu", "Region": "eu-west-1"}
WWW = plain(f"www.{Z}", "192.0.2.1")
MEMBER = plain(f"w.{Z}", "192.0.2.1", **W)


def base(zone_id):
    """What the zone holds."""
    return [
        WWW,
        MEMBER,
        plain(f"w.{Z}", "192.0.2.2", SetIdentifier="b", Weight=20),
        plain(f"other.{Z}", "192.0.2.1", **W),
        plain(f"l.{Z}", "192.0.2.1", **EU),
        plain(f"l.{Z}", "192.0.2.2", SetIdentifier="us", Region="us-east-1"),
        plain(f"f.{Z}", "192.0.2.1", SetIdentifier="p", Failover="PRIMARY"),
        plain(f"c.{Z}", f"www.{Z}", "CNAME"),
        alias(f"top.{Z}", zone_id, f"l.{Z}"),
    ]


def new(**more):
    """A set that is legal but for what `more` says."""
    return plain(f"new.{Z}", "192.0.2.1", **more)


def without(one, *keys):
    """A set without some of its members."""
    return {key: value for key, value in one.items() if key not in keys}


def tried(verb, name, why, identifier=None):
    """Route 53's sentence on a set that is there, is not there, or is another."""
    end = f", set identifier='{identifier}'" if identifier else ""
    return f"Tried to {verb} resource record set [name='{name}.{Z}', type='A'{end}] but {why}"


EXISTS, MISSING = "it already exists", "it was not found"
DIFFERS = "the values provided do not match the current values"
SEQUENCE = "The request contains an invalid set of changes for a resource record set"
ONE_OF = "Expected exactly one of [Weight, Region, Failover, GeoLocation, or MultiValueAnswer], but found"
ALIAS_OR = "Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId], but found"

# name of the row, changes, code, text (None where AWS's text is not known)
ROWS = [
    ("duplicate create", [("CREATE", WWW)], BATCH, tried("create", "www", EXISTS)),
    ("create of a member with another weight", [("CREATE", {**MEMBER, "Weight": 77})], BATCH, EXISTS),
    ("name outside the zone", [("CREATE", plain("a.other.org.", "192.0.2.1"))], BATCH,
     f"RRSet with DNS name a.other.org. is not permitted in zone {Z}"),
    ("delete with a value that never was", [("DELETE", plain(f"www.{Z}", "192.0.2.77"))], BATCH,
     tried("delete", "www", DIFFERS)),
    ("delete with a TTL that never was", [("DELETE", {**WWW, "TTL": 61})], BATCH,
     tried("delete", "www", DIFFERS)),
    ("delete with a weight that never was", [("DELETE", {**MEMBER, "Weight": 77})], BATCH, DIFFERS),
    ("delete of what is not there", [("DELETE", plain(f"none.{Z}", "192.0.2.1"))], BATCH,
     tried("delete", "none", MISSING)),
    ("delete of an identifier that is not there",
     [("DELETE", {**MEMBER, "SetIdentifier": "zz"})], BATCH, MISSING),
    ("swap from a stale value",
     [("DELETE", plain(f"www.{Z}", "192.0.2.77")), ("CREATE", plain(f"www.{Z}", "192.0.2.9"))],
     BATCH, tried("delete", "www", DIFFERS)),
    ("swap from a stale weight",
     [("DELETE", {**MEMBER, "Weight": 11}), ("CREATE", {**MEMBER, "Weight": 12})], BATCH, DIFFERS),
    ("delete twice", [("DELETE", MEMBER), ("DELETE", MEMBER)], BATCH, SEQUENCE),
    ("create and then delete", [("CREATE", new()), ("DELETE", new())], BATCH, SEQUENCE),
    ("late failure", [("CREATE", new()), ("DELETE", MEMBER), ("CREATE", WWW)], BATCH,
     tried("create", "www", EXISTS)),
    ("weighted beside simple", [("CREATE", plain(f"www.{Z}", "192.0.2.1", **W))], BATCH,
     f"RRSet with DNS name www.{Z}, type A, SetIdentifier a cannot be created as a non-weighted set exists with the same name and type."),
    ("weighted beside latency",
     [("CREATE", plain(f"l.{Z}", "192.0.2.1", SetIdentifier="x", Weight=1))], BATCH,
     f"RRSet with DNS name l.{Z}, type A, SetIdentifier x cannot be created as a non-weighted set exists with the same name and type."),
    ("simple beside weighted", [("CREATE", plain(f"w.{Z}", "192.0.2.1"))], BATCH,
     f"RRSet with DNS name w.{Z}, type A cannot be created as other RRSets exist with the same name and type."),
    ("upsert that changes the policy",
     [("UPSERT", plain(f"l.{Z}", "192.0.2.1", SetIdentifier="eu", Weight=1))], BATCH,
     "cannot be created as a non-weighted set exists with the same name and type."),
    ("new policy before the old is gone",
     [("CREATE", plain(f"other.{Z}", "192.0.2.1", **EU)),
      ("DELETE", plain(f"other.{Z}", "192.0.2.1", **W))], BATCH, None),
    ("two latency sets of one Region",
     [("CREATE", plain(f"l.{Z}", "192.0.2.9", SetIdentifier="eu2", Region="eu-west-1"))], BATCH,
     f"RRSet with DNS name l.{Z}, type A, SetIdentifier eu2, and Region Name=eu-west-1 cannot be created because a latency RRSet with the same name, type and region already exists."),
    ("bogus Region", [("CREATE", new(SetIdentifier="x", Region="eu-west-9"))], INPUT,
     "cvc-enumeration-valid: Value 'eu-west-9'"),
    ("Region that is no latency label yet",
     [("CREATE", new(SetIdentifier="x", Region="me-west-1"))], INPUT, "'me-west-1'"),
    ("weight 256", [("CREATE", new(SetIdentifier="x", Weight=256))], INPUT,
     "Value '256' is not facet-valid"),
    ("weight -1", [("CREATE", new(SetIdentifier="x", Weight=-1))], INPUT,
     "Value '-1' is not facet-valid"),
    ("weight and Region",
     [("CREATE", new(SetIdentifier="x", Weight=1, Region="eu-west-1"))], INPUT,
     f"Invalid request: {ONE_OF} more than one in Change with [Action=CREATE, Name=new.{Z}, Type=A, SetIdentifier=x]"),
    ("identifier without a policy", [("CREATE", new(SetIdentifier="x"))], INPUT,
     f"Invalid request: {ONE_OF} none in Change with ["),
    ("policy without an identifier", [("CREATE", new(Weight=1))], INPUT,
     f"Invalid request: Missing field 'SetIdentifier' in Change with [Action=CREATE, Name=new.{Z}, Type=A, SetIdentifier=null]"),
    ("two values in a weighted set",
     [("CREATE", plain(f"new.{Z}", ["192.0.2.1", "192.0.2.2"], **W))], BATCH, None),
    ("two values in a latency set",
     [("CREATE", plain(f"new.{Z}", ["192.0.2.1", "192.0.2.2"], **EU))], BATCH, None),
    ("another TTL in a weighted group",
     [("CREATE", plain(f"w.{Z}", "192.0.2.3", ttl=61, SetIdentifier="c", Weight=1))], BATCH,
     "cannot be created as weighted sets must contain the same TTL."),
    ("CNAME beside other records", [("CREATE", plain(f"www.{Z}", "a.test.", "CNAME"))], BATCH,
     f"RRSet of type CNAME with DNS name www.{Z} is not permitted as it conflicts with other records with the same DNS name in zone {Z}"),
    ("record beside a CNAME", [("CREATE", plain(f"c.{Z}", "192.0.2.1"))], BATCH,
     f"RRSet of type A with DNS name c.{Z} is not permitted because a conflicting RRSet of type CNAME with the same DNS name already exists in zone {Z}"),
    ("CNAME at the apex", [("CREATE", plain(Z, "a.test.", "CNAME"))], BATCH,
     f"RRSet of type CNAME with DNS name {Z} is not permitted at apex in zone {Z}"),
    ("bad address", [("CREATE", plain(f"new.{Z}", "192.0.2.256"))], BATCH,
     "Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address) encountered with '192.0.2.256''"),
    ("bad IPv6 address", [("CREATE", plain(f"new.{Z}", "2001:db8::g", "AAAA"))], BATCH,
     "Invalid Resource Record: 'FATAL problem:"),
    ("alias with a TTL", [("CREATE", {**alias(f"new.{Z}", "ZONE", f"www.{Z}"), "TTL": 60})], INPUT,
     f"Invalid request: {ALIAS_OR} more than one in Change with ["),
    ("alias with values",
     [("CREATE", {**alias(f"new.{Z}", "ZONE", f"www.{Z}"), "ResourceRecords": [{"Value": "192.0.2.1"}]})],
     INPUT, f"Invalid request: {ALIAS_OR} more than one in Change with ["),
    ("neither alias nor values", [("CREATE", without(new(), "ResourceRecords", "TTL"))], INPUT,
     f"{ALIAS_OR} none"),
    ("alias to nothing", [("CREATE", alias(f"new.{Z}", "ZONE", f"none.{Z}"))], BATCH,
     f"Tried to create an alias that targets none.{Z}, type A in zone ZONE, but that target was not found"),
    ("alias before its target",
     [("CREATE", alias(f"new.{Z}", "ZONE", f"late.{Z}")), ("CREATE", plain(f"late.{Z}", "192.0.2.1"))],
     BATCH, f"Tried to create an alias that targets late.{Z}, type A in zone ZONE, but that target was not found"),
    ("alias to another type", [("CREATE", alias(f"new.{Z}", "ZONE", f"www.{Z}", "AAAA"))], BATCH,
     f"Tried to create an alias that targets www.{Z}, type AAAA in zone ZONE, but that target was not found"),
    ("alias with the zone of somebody else",
     [("CREATE", alias(f"new.{Z}", "Z0000000000000000000", f"www.{Z}"))], BATCH,
     f"Tried to create an alias that targets www.{Z}, type A in zone Z0000000000000000000, but the alias target name does not lie within the target zone"),
    ("alias zone id too long", [("CREATE", alias(f"new.{Z}", "Z" * 63, f"www.{Z}"))], INPUT,
     f"Invalid XML ; cvc-maxLength-valid: Value '{'Z' * 63}' with length = '63' is not facet-valid with respect to maxLength '32' for type 'ResourceId'."),
    ("CloudFront with target health",
     [("CREATE", alias(f"new.{Z}", CLOUDFRONT, "CLOUDFRONT", health=True))], BATCH, None),
    ("API Gateway in the zone of another Region",
     [("CREATE", alias(f"new.{Z}", "ZLY8HYME6SFDD", "US_GATEWAY"))], BATCH,
     "but the alias target name does not lie within the target zone"),
    ("label of 64", [("CREATE", plain(f"{'x' * 64}.{Z}", "192.0.2.1"))], BATCH, None),
    ("name of more than 255",
     [("CREATE", plain(".".join(["x" * 60] * 5) + f".{Z}", "192.0.2.1"))], BATCH, None),
    ("third failover role", [("CREATE", new(SetIdentifier="x", Failover="TERTIARY"))], INPUT,
     "'TERTIARY'"),
    ("second primary", [("CREATE", plain(f"f.{Z}", "192.0.2.9", SetIdentifier="q", Failover="PRIMARY"))],
     BATCH, None),
    ("unknown health check", [("CREATE", new(**W, HealthCheckId="00000000-0000-0000-0000-000000000000"))],
     "NoSuchHealthCheck", None),
    ("unknown CIDR collection",
     [("CREATE", new(SetIdentifier="x", CidrRoutingConfig={
         "CollectionId": "11111111-2222-3333-4444-555555555555", "LocationName": "x"}))], BATCH, None),
    ("unknown record type", [("CREATE", {**new(), "Type": "BOGUS"})], INPUT, "'BOGUS'"),
    ("unknown action", [("REPLACE", new())], INPUT, "'REPLACE'"),
    ("TTL over its range", [("CREATE", new(ttl=2147483648))], INPUT, "'2147483647'"),
    ("TTL below its range", [("CREATE", new(ttl=-1))], INPUT, "'-1'"),
    ("delete of a target", [("DELETE", plain(f"l.{Z}", "192.0.2.1", **EU)),
                            ("DELETE", plain(f"l.{Z}", "192.0.2.2", SetIdentifier="us", Region="us-east-1"))],
     BATCH, None),
    ("1,001 elements", [("CREATE", plain(f"n{at}.{Z}", "192.0.2.1")) for at in range(1001)], BATCH,
     "Number of records limit of 1000 exceeded."),
    ("501 elements upserted", [("UPSERT", plain(f"n{at}.{Z}", "192.0.2.1")) for at in range(501)],
     BATCH, "Number of records limit of 1000 exceeded."),
    ("32,001 characters",
     [("CREATE", plain(f"n{at}.{Z}", txt("x" * 248), "TXT")) for at in range(129)], BATCH, None),
    ("101 sets of a group",
     [("CREATE", plain(f"many.{Z}", "192.0.2.1", SetIdentifier=str(at), Weight=1)) for at in range(101)],
     BATCH, f"Exceeded limit on number of weighted RRSets for many.{Z}, type A in this zone."),
    ("empty batch", [], INPUT, None),
]


@pytest.fixture(scope="module")
def held(route53, lab):
    """The zone of the table, and its listing as text."""
    made = route53.create_hosted_zone(Name=Z, CallerReference=f"refusals-{os.urandom(6).hex()}")
    zone_id = made["HostedZone"]["Id"].split("/")[-1]
    route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=creates(*base(zone_id)))
    return zone_id, text_of(route53, zone_id)


def text_of(client, zone_id):
    """The listing of a zone as text, member by member."""
    return json.dumps(listing(client, zone_id)[0], indent=1)


def filled(lab, zone_id, value):
    """A row with the ids and names of this lab in place of their words."""
    names = {one["region"]: one["alias"]["dns_name"] for one in lab.facts["endpoints"]}
    words = {
        "ZONE": zone_id, "CLOUDFRONT": names["ap-south-1"], "US_GATEWAY": names["us-east-1"],
    }
    if isinstance(value, dict):
        return {key: filled(lab, zone_id, one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [filled(lab, zone_id, one) for one in value]
    return words.get(value, value) if isinstance(value, str) else value


@pytest.mark.parametrize("changes, code, text", [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_refused_whole(unchecked, route53, lab, held, changes, code, text):
    zone_id, before = held
    # A legal change first: a server that stops half way would leave it behind.
    legal = [("CREATE", plain(f"legal.{Z}", "192.0.2.1"))] if changes else []
    limited = len(changes) > 100
    sent = batch(*filled(lab, zone_id, changes if limited else [*legal, *changes]))
    with pytest.raises(ClientError) as refused:
        unchecked.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=sent)
    answer = refused.value.response
    assert answer["Error"]["Code"] == code, answer
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    assert status == (404 if code.startswith("NoSuch") else 400)
    if text:
        assert text.replace("ZONE", zone_id) in answer["Error"]["Message"]
    else:
        assert answer["Error"]["Message"]
    assert text_of(route53, zone_id) == before, "a refused batch left something behind"


@pytest.mark.parametrize("kind", ["SOA", "NS"])
def test_the_zone_keeps_its_soa_and_name_servers(unchecked, route53, held, kind):
    zone_id, before = held
    own = next(one for one in json.loads(before) if one["Type"] == kind)
    with pytest.raises(ClientError) as refused:
        unchecked.change_resource_record_sets(
            HostedZoneId=zone_id, ChangeBatch=batch(("DELETE", own))
        )
    assert refused.value.response["Error"]["Code"] == BATCH
    assert text_of(route53, zone_id) == before


def test_one_message_for_each_failed_change(unchecked, held):
    zone_id, _ = held
    wrong = batch(("CREATE", WWW), ("CREATE", plain("a.other.org.", "192.0.2.1")))
    with pytest.raises(ClientError) as refused:
        unchecked.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=wrong)
    message = refused.value.response["Error"]["Message"]
    assert message.startswith("[") and message.endswith("]"), message
    assert EXISTS in message and "is not permitted in zone" in message


def test_a_delete_takes_its_own_set_only(route53, zone):
    zone_id, name = zone
    one, other = (plain(f"{host}.{name}", "192.0.2.1", **W) for host in ("one", "other"))
    second = {**one, "SetIdentifier": "b"}
    send = lambda *changes: route53.change_resource_record_sets(
        HostedZoneId=zone_id, ChangeBatch=batch(*changes)
    )
    send(("CREATE", one), ("CREATE", other), ("CREATE", second))
    send(("DELETE", one))
    assert [held for held in listing(route53, zone_id)[0] if held["Type"] == "A"] == [second, other]


def test_a_value_that_was_once_right_deletes_nothing(route53, zone):
    zone_id, name = zone
    old, new_value = plain(f"www.{name}", "192.0.2.1"), plain(f"www.{name}", "192.0.2.2")
    for changes in ([("CREATE", old)], [("UPSERT", new_value)]):
        route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=batch(*changes))
    with pytest.raises(ClientError) as refused:
        route53.change_resource_record_sets(
            HostedZoneId=zone_id, ChangeBatch=batch(("DELETE", old))
        )
    assert DIFFERS in refused.value.response["Error"]["Message"]
    assert new_value in listing(route53, zone_id)[0]


def test_a_thousand_elements_are_taken(route53, zone):
    zone_id, name = zone
    sets = [plain(f"n{at:04}.{name}", "192.0.2.1") for at in range(1000)]
    route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=creates(*sets))
    assert len(listing(route53, zone_id)[0]) == 1002


def test_a_protected_set_stays_as_it_is(route53, zone):
    zone_id, name = zone
    kept, moved = plain(f"kept.{name}", "192.0.2.1"), plain(f"kept.{name}", "192.0.2.2")
    route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=creates(kept))
    entry = {"RecordName": kept["Name"], "RecordType": "A"}
    route53.create_resource_record_set_protections(HostedZoneId=zone_id, Protections=[entry])
    swap = batch(("DELETE", kept), ("CREATE", moved), ("CREATE", plain(f"n.{name}", "192.0.2.1")))
    before = text_of(route53, zone_id)
    with pytest.raises(ClientError) as refused:
        route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=swap)
    assert refused.value.response["Error"]["Code"] == BATCH
    assert text_of(route53, zone_id) == before
    route53.delete_resource_record_set_protections(HostedZoneId=zone_id, Protections=[entry])
    route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=swap)
    assert moved in listing(route53, zone_id)[0]
