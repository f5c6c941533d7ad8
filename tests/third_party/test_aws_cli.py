"""The AWS CLI against the lab's Route 53: the commands of AWS's own documentation."""

import json
import pathlib
import sys

from lab import run, until
from records import batch, plain

AWS = str(pathlib.Path(sys.executable).parent / "aws")


def aws(lab, *arguments):
    """Runs the CLI; its exit code, its JSON and its stderr."""
    limits = ["--cli-connect-timeout", "5", "--cli-read-timeout", "20", "--output", "json"]
    command = [AWS, "route53", *arguments, "--endpoint-url", lab.facts["route53"], *limits]
    code, out, err = run(command, timeout=60)
    return code, json.loads(out) if out.strip() else None, err


def test_change_list_and_get_change(lab, zone):
    zone_id, name = zone
    made = plain(f"cli.{name}", ["192.0.2.1", "192.0.2.2"])
    code, info, err = aws(lab, "change-resource-record-sets", "--hosted-zone-id", zone_id,
                          "--change-batch", json.dumps(batch(("CREATE", made))))
    assert code == 0, err
    assert info["ChangeInfo"]["Status"] == "PENDING"

    def in_sync():
        code, change, err = aws(lab, "get-change", "--id", info["ChangeInfo"]["Id"])
        assert code == 0, err
        return change["ChangeInfo"]["Status"] == "INSYNC"

    until(30, 0.2, in_sync, "the change")
    query = "ResourceRecordSets[?Type=='A']"
    code, sets, err = aws(lab, "list-resource-record-sets", "--hosted-zone-id", zone_id,
                          "--query", query)
    assert code == 0, err
    assert sets == [made]


def test_the_cli_pages_by_itself(lab, route53, zone):
    zone_id, name = zone
    made = [plain(f"n{at:03}.{name}", "192.0.2.1") for at in range(310)]
    route53.change_resource_record_sets(
        HostedZoneId=zone_id, ChangeBatch=batch(*(("CREATE", one) for one in made))
    )
    code, sets, err = aws(lab, "list-resource-record-sets", "--hosted-zone-id", zone_id)
    assert code == 0, err
    names = [one["Name"] for one in sets["ResourceRecordSets"] if one["Type"] == "A"]
    assert names == [one["Name"] for one in made]


def test_a_refusal_is_read_as_such(lab, zone):
    zone_id, name = zone
    wrong = batch(("DELETE", plain(f"none.{name}", "192.0.2.1")))
    code, out, err = aws(lab, "change-resource-record-sets", "--hosted-zone-id", zone_id,
                         "--change-batch", json.dumps(wrong))
    assert (code, out) == (255, None) or (code, out) == (254, None)
    assert "(InvalidChangeBatch) when calling the ChangeResourceRecordSets operation" in err
    text = f"Tried to delete resource record set [name='none.{name}', type='A'] but it was not found"
    assert text in err
