"""Short words for record sets and changes in boto3's shapes, and a whole listing of a zone."""


def plain(name, values, kind="A", ttl=60, **more):
    """A record set with values; `more` are members of a routing policy."""
    values = [values] if isinstance(values, str) else values
    records = [{"Value": value} for value in values]
    return {"Name": name, "Type": kind, "TTL": ttl, "ResourceRecords": records, **more}


def alias(name, zone_id, target, kind="A", health=False, **more):
    """An alias record set."""
    to = {"HostedZoneId": zone_id, "DNSName": target, "EvaluateTargetHealth": health}
    return {"Name": name, "Type": kind, "AliasTarget": to, **more}


def latency(name, region, value, kind="TXT", **more):
    """A latency record set that says its own Region; its identifier is the Region too."""
    return plain(name, value, kind, SetIdentifier=region, Region=region, **more)


def txt(text):
    """A TXT value."""
    return f'"{text}"'


def batch(*changes):
    """A change batch of (action, set)."""
    return {"Changes": [{"Action": action, "ResourceRecordSet": one} for action, one in changes]}


def creates(*sets):
    """A change batch that creates all sets."""
    return batch(*(("CREATE", one) for one in sets))


def change(client, zone_id, changes):
    """Applies a batch and waits until name servers answer with it."""
    info = client.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=changes)
    client.get_waiter("resource_record_sets_changed").wait(
        Id=info["ChangeInfo"]["Id"], WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )


def listing(client, zone_id, page=None):
    """All record sets of a zone in the order of the pages, and how many pages there were."""
    found, pages, more = [], 0, {}
    while True:
        if page:
            more["MaxItems"] = str(page)
        answer = client.list_resource_record_sets(HostedZoneId=zone_id, **more)
        pages += 1
        assert pages <= 100, "the listing does not end"
        found.extend(answer["ResourceRecordSets"])
        if not answer["IsTruncated"]:
            return found, pages
        more = {"StartRecordName": answer["NextRecordName"]}
        more["StartRecordType"] = answer["NextRecordType"]
        if "NextRecordIdentifier" in answer:
            more["StartRecordIdentifier"] = answer["NextRecordIdentifier"]
