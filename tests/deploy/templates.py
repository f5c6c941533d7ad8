"""Reads what lies in deploy/: CloudFormation, Terraform and IAM policies, in one form. It judges nothing."""

import json
import pathlib
import re

import hcl2
from cfnlint.decode import cfn_yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
TEMPLATES = sorted((DEPLOY / "cloudformation").glob("*.yaml"))
MODULES = sorted({path.parent for path in (DEPLOY / "terraform").glob("*/*.tf")})

# What a policy file calls what a template calls otherwise.
PLACES = {
    "AWS::Partition": "partition",
    "ZoneId": "zone_id",
    "ServiceName": "name",
    "Namespace": "namespace",
}


def template(name):
    """A template of CloudFormation."""
    return cfn_yaml.load(str(DEPLOY / "cloudformation" / name))


def parameter_texts(value):
    """The value with `Ref` and `Fn::Sub` as texts that name places as the policy files do."""
    if isinstance(value, dict):
        if set(value) == {"Ref"}:
            return "${" + PLACES.get(value["Ref"], value["Ref"]) + "}"
        if set(value) == {"Fn::Sub"} and isinstance(value["Fn::Sub"], str):
            text = value["Fn::Sub"].replace("${BucketPrefix}-${AWS::AccountId}", "${bucket}")
            return re.sub(r"\$\{([^}]+)\}", lambda m: "${" + PLACES.get(m[1], m[1]) + "}", text)
        return {key: parameter_texts(one) for key, one in value.items()}
    if isinstance(value, list):
        return [parameter_texts(one) for one in value]
    return value


def policy(name):
    """The statements of a policy file, by their Sid."""
    document = json.loads((DEPLOY / "iam" / f"{name}.json").read_text())
    return {statement["Sid"]: statement for statement in document["Statement"]}


def actions(statements):
    """All actions of statements."""
    found = set()
    for statement in statements:
        action = statement["Action"]
        found.update([action] if isinstance(action, str) else action)
    return found


def module(folder):
    """The blocks of a Terraform module's files, merged: kind to list."""
    merged = {}
    for path in sorted(folder.glob("*.tf")):
        with open(path, encoding="utf-8") as text:
            for kind, blocks in hcl2.load(text).items():
                if isinstance(blocks, list):
                    merged.setdefault(kind, []).extend(blocks)
    return merged
