"""dig against the lab's DNS: by latency, by weight, through aliases, by health, and what is not there."""

import os
import re

import pytest
from lab import run, until
from records import alias, change, creates, latency, plain, txt

REGIONS = ["us-east-1", "eu-west-1", "ap-south-1", "ap-southeast-1"]
TRANSPORTS = ["+notcp", "+tcp"]


def dig(lab, *question, subnet=None, transport="+notcp"):
    """Asks; the status, the flags, the answers and the authority, each as fields of a line."""
    command = ["dig", f"@{lab.dns_host}", "-p", str(lab.dns_port), "+time=5", "+tries=2",
               "+norecurse", transport, *question]
    if subnet:
        command.append(f"+subnet={subnet}")
    code, out, err = run(command)
    assert code == 0, out + err
    status = re.search(r"status: (\w+)", out).group(1)
    flags = re.search(r"flags: ([\w ]*);", out).group(1).split()

    def section(name):
        found = re.search(rf";; {name} SECTION:\n(.*?)\n(?:\n|;;|$)", out, re.S)
        return [line.split(None, 4) for line in found.group(1).splitlines()] if found else []

    scope = re.search(r"CLIENT-SUBNET: (\S+)", out)
    return {
        "status": status, "flags": flags, "answers": section("ANSWER"),
        "authority": section("AUTHORITY"), "subnet": scope.group(1) if scope else None,
    }


def values(answer):
    """The data of the answers."""
    return [line[4] for line in answer["answers"]]


@pytest.fixture(scope="module")
def names(lab, route53):
    """A zone with one name of each kind, in sync."""
    name = "dig.test."
    made = route53.create_hosted_zone(Name=name, CallerReference=f"dig-{os.urandom(6).hex()}")
    zone_id = made["HostedZone"]["Id"].split("/")[-1]
    chosen = lambda host, regions: [latency(f"{host}.{name}", one, txt(one)) for one in regions]
    addresses = {one: f"192.0.2.{at}" for at, one in enumerate(REGIONS, 1)}
    change(route53, zone_id, creates(
        *chosen("where", REGIONS),
        *chosen("two", ["us-east-1", "eu-west-1"]),
        *(latency(f"where.{name}", one, addresses[one], kind="A") for one in REGIONS),
        *(plain(f"weighted.{name}", f"192.0.2.{at}", SetIdentifier=str(at), Weight=weight)
          for at, weight in ((1, 10), (2, 30), (3, 0))),
        plain(f"leaf.{name}", "192.0.2.50", ttl=17),
        alias(f"middle.{name}", zone_id, f"leaf.{name}"),
        alias(f"chain.{name}", zone_id, f"middle.{name}"),
        *(alias(f"tree.{name}", zone_id, target, SetIdentifier=region, Region=region)
          for region, target in (("us-east-1", f"weighted.{name}"), ("eu-west-1", f"chain.{name}"))),
        plain(f"cname.{name}", f"leaf.{name}", "CNAME"),
        plain(f"*.wild.{name}", "192.0.2.60"),
        plain(f"text.{name}", ['"one two"', '"three" "four"'], "TXT"),
        plain(f"large.{name}", [txt(f"{at:03}{'x' * 97}") for at in range(60)], "TXT"),
    ))
    return name


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("region", REGIONS)
def test_by_latency(lab, names, region, family, transport):
    subnet = lab.subnet(region, family)
    answer = dig(lab, f"where.{names}", "TXT", subnet=subnet, transport=transport)
    assert (answer["status"], values(answer)) == ("NOERROR", [txt(region)])
    assert "aa" in answer["flags"]
    assert answer["subnet"].startswith(subnet + "/"), "the scope of the answer is told"
    address = dig(lab, f"where.{names}", "A", subnet=subnet, transport=transport)
    assert values(address) == [f"192.0.2.{REGIONS.index(region) + 1}"]


def test_only_labels_of_the_group_asked_count(lab, names):
    subnet = lab.subnet("ap-south-1")
    assert values(dig(lab, f"where.{names}", "TXT", subnet=subnet)) == [txt("ap-south-1")]
    assert values(dig(lab, f"two.{names}", "TXT", subnet=subnet)) != [txt("ap-south-1")]
    assert len(values(dig(lab, f"two.{names}", "TXT", subnet=subnet))) == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("kind", ["A", "AAAA"])
def test_the_service_name_answers_with_the_endpoint_of_the_label(lab, kind, transport):
    name = lab.facts["name"]
    family = 4 if kind == "A" else 6
    seen = set()
    for region in REGIONS:
        answer = dig(lab, name, kind, subnet=lab.subnet(region, family), transport=transport)
        of_endpoint = dig(lab, f"{region}.{name}", kind)
        assert len(values(answer)) == 1
        assert values(answer) == values(of_endpoint)
        assert answer["answers"][0][1] == "60", "an alias has the TTL of its resource"
        seen.update(values(answer))
    assert len(seen) == len(REGIONS)
    prefix = "127." if kind == "A" else "2001:db8:"
    assert all(address.startswith(prefix) for address in seen)


def test_by_weight(lab, names, tmp_path):
    draws = 600
    questions = tmp_path / "questions"
    questions.write_text(f"weighted.{names} A\n" * draws)
    code, out, err = run(["dig", f"@{lab.dns_host}", "-p", str(lab.dns_port), "+time=5", "+short",
                          "-f", str(questions)], timeout=120)
    assert code == 0, err
    answers = out.split()
    assert len(answers) == draws
    share = answers.count("192.0.2.2") / draws
    assert answers.count("192.0.2.3") == 0, "weight 0 is never drawn"
    # 30 of 40; five standard deviations of 600 draws are 0.088.
    assert abs(share - 0.75) < 0.088, share


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_through_aliases(lab, names, transport):
    answer = dig(lab, f"chain.{names}", "A", transport=transport)
    assert answer["answers"] == [[f"chain.{names}", "17", "IN", "A", "192.0.2.50"]]
    west = dig(lab, f"tree.{names}", "A", subnet=lab.subnet("eu-west-1"), transport=transport)
    assert values(west) == ["192.0.2.50"]
    east = {
        values(dig(lab, f"tree.{names}", "A", subnet=lab.subnet("us-east-1"), transport=transport))[0]
        for _ in range(40)
    }
    assert east == {"192.0.2.1", "192.0.2.2"}, "a latency alias over a weighted group"


def test_an_unhealthy_endpoint_gives_way_to_the_next(lab, route53, zone):
    zone_id, name = zone

    def check(region):
        made = route53.create_health_check(
            CallerReference=f"dig-{region}-{os.urandom(6).hex()}",
            HealthCheckConfig={
                "Type": "HTTPS", "FullyQualifiedDomainName": f"{region}.{lab.facts['name']}",
                "Port": lab.port, "ResourcePath": "/health", "EnableSNI": True,
                "RequestInterval": 10, "FailureThreshold": 1,
            },
        )
        return made["HealthCheck"]["Id"]

    # The endpoint in ap-southeast-1 answers 503 to everything.
    checks = {region: check(region) for region in ("ap-southeast-1", "ap-south-1")}
    watched = [
        latency(f"watched.{name}", region, txt(region), HealthCheckId=checks[region])
        for region in checks
    ]
    alone = plain(f"alone.{name}", txt("alone"), "TXT", SetIdentifier="only", Weight=1,
                  HealthCheckId=checks["ap-southeast-1"])
    change(route53, zone_id, creates(*watched, alone))
    near, far = lab.subnet("ap-southeast-1"), lab.subnet("ap-south-1")
    until(25, 0.3, lambda: values(dig(lab, f"watched.{name}", "TXT", subnet=near)) == [txt("ap-south-1")],
          "the healthy endpoint")
    assert values(dig(lab, f"watched.{name}", "TXT", subnet=far)) == [txt("ap-south-1")]
    assert values(dig(lab, f"watched.{name}", "TXT", subnet=near, transport="+tcp")) == [txt("ap-south-1")]
    assert values(dig(lab, f"alone.{name}", "TXT")) == [txt("alone")], "with none healthy, all are"


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("question, status, answers", [
    (("none.{}", "A"), "NXDOMAIN", 0),
    (("leaf.{}", "AAAA"), "NOERROR", 0),
    (("where.{}", "MX"), "NOERROR", 0),
])
def test_what_is_not_there_comes_with_the_soa(lab, names, question, status, answers, transport):
    name, kind = question
    answer = dig(lab, name.format(names), kind, transport=transport)
    assert (answer["status"], len(answer["answers"])) == (status, answers)
    assert [(line[0], line[3]) for line in answer["authority"]] == [(names, "SOA")]
    assert "aa" in answer["flags"]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", ["example.com.", "test.", "notnearside.test.", "."])
def test_foreign_names_are_refused(lab, names, name, transport):
    answer = dig(lab, name, "A", transport=transport)
    assert (answer["status"], answer["answers"]) == ("REFUSED", [])
    assert "aa" not in answer["flags"]


def test_other_records(lab, names):
    cname = dig(lab, f"cname.{names}", "A")["answers"]
    assert [line[3:] for line in cname] == [["CNAME", f"leaf.{names}"], ["A", "192.0.2.50"]]
    assert values(dig(lab, f"any.wild.{names}", "A")) == ["192.0.2.60"]
    text = values(dig(lab, f"text.{names}", "TXT"))
    assert sorted(text) == ['"one two"', '"three" "four"']
    assert values(dig(lab, names, "NS")) and values(dig(lab, names, "SOA"))
    upper = dig(lab, f"LEAF.{names.upper()}", "A")
    assert values(upper) == ["192.0.2.50"]


def test_what_does_not_fit_is_asked_again_on_tcp(lab, names):
    small = dig(lab, f"large.{names}", "TXT", "+ignore", "+bufsize=512")
    assert "tc" in small["flags"]
    whole = dig(lab, f"large.{names}", "TXT", "+bufsize=512")
    assert "tc" not in whole["flags"] and len(values(whole)) == 60
