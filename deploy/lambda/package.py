#!/usr/bin/env python3
"""Packs the probe and its configuration for Lambda, and puts the package into a bucket of each Region.

Lambda takes code only from a bucket of its own Region. The same files give the same bytes, and so the same key:
a stack is updated exactly where the code or the configuration changed. It needs Python 3.11 and the AWS CLI.
"""

import argparse
import hashlib
import io
import json
import pathlib
import struct
import subprocess
import sys
import tomllib
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
MACHINES = {62: "x86_64", 183: "arm64"}
PT_INTERP = 3


class Refused(Exception):
    """What is wrong, and what to try."""


def architecture(binary):
    """The architecture of a static 64-bit program, by its ELF header."""
    head = binary[:64]
    if len(head) < 64 or head[:6] != b"\x7fELF\x02\x01":
        raise Refused("the binary is no 64-bit little-endian ELF program\nhint: build it for Linux")
    machine = struct.unpack_from("<H", head, 18)[0]
    table, = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    for at in range(count):
        kind, = struct.unpack_from("<I", binary, table + at * size)
        if kind == PT_INTERP:
            raise Refused(
                "the binary needs a dynamic loader, and the function's system may have another C library\n"
                "hint: build it with deploy/static.sh"
            )
    if machine not in MACHINES:
        raise Refused(f"the binary is for ELF machine {machine}; Lambda has x86_64 (62) and arm64 (183)")
    return MACHINES[machine]


def checked_config(text, regions):
    """The configuration, if a function in each of the Regions can measure by it."""
    config = tomllib.loads(text)
    if "cloudwatch" not in config:
        raise Refused("the configuration has no [cloudwatch]\nhint: write namespace and region")
    vantages = {vantage["id"] for vantage in config.get("vantage", [])}
    unknown = sorted(set(regions) - vantages)
    if unknown:
        raise Refused(
            f"no [[vantage]] has the id of {', '.join(unknown)}\nhint: a function measures as its Region"
        )
    for key in ("interval", "interval_warm"):
        if config.get("probe", {}).get(key) not in ("1m", "60s"):
            raise Refused(
                f"probe.{key} is not 1m\nhint: a function measures once a minute, and a block that has "
                "less than three quarters of its samples is no evidence"
            )
    return config


def package(files):
    """A zip archive of NAME: (bytes, mode), the same for the same files."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name, (data, mode) in sorted(files.items()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = (0o100000 | mode) << 16
            packed.writestr(entry, data)
    return archive.getvalue()


def aws(*words):
    """What the AWS CLI answers, or None where it says that there is no such thing."""
    done = subprocess.run(
        ["aws", *words, "--output", "json"], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode == 0:
        return json.loads(done.stdout or "{}")
    if "(404)" in done.stderr:
        return None
    raise Refused(f"aws {' '.join(words[:2])} failed: {done.stderr.strip()}")


def ensure_bucket(bucket, region, account):
    """A private bucket of this account."""
    own = ("--bucket", bucket, "--region", region)
    if aws("s3api", "head-bucket", *own, "--expected-bucket-owner", account) is not None:
        return
    # us-east-1 is the one Region that must not be said.
    place = () if region == "us-east-1" else (
        "--create-bucket-configuration", f"LocationConstraint={region}"
    )
    aws("s3api", "create-bucket", *own, *place)
    aws(
        "s3api", "put-public-access-block", *own, "--public-access-block-configuration",
        "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true",
    )


def upload(path, key, prefix, regions):
    """Puts the package under its key into PREFIX-ACCOUNT-REGION of each Region."""
    account = aws("sts", "get-caller-identity")["Account"]
    for region in regions:
        bucket = f"{prefix}-{account}-{region}"
        ensure_bucket(bucket, region, account)
        aws(
            "s3api", "put-object", "--bucket", bucket, "--region", region, "--key", key,
            "--body", str(path), "--expected-bucket-owner", account,
        )
        print(f"s3://{bucket}/{key}", file=sys.stderr)


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True, type=pathlib.Path, help="the static probe")
    parser.add_argument("--config", required=True, type=pathlib.Path, help="nearside.toml")
    parser.add_argument("--out", default=pathlib.Path("."), type=pathlib.Path, help="a folder")
    parser.add_argument("--bucket-prefix", default="nearside-code", help="buckets are PREFIX-ACCOUNT-REGION")
    parser.add_argument("regions", nargs="*", metavar="REGION", help="where it is put; none: it is only packed")
    return parser.parse_args()


def main():
    """Packs and uploads; prints the parameters of the fleet's template, as the CLI takes them."""
    asked = arguments()
    binary, config = asked.binary.read_bytes(), asked.config.read_text()
    built_for = architecture(binary)
    namespace = checked_config(config, asked.regions)["cloudwatch"]["namespace"]
    data = package({
        "bootstrap": ((HERE / "bootstrap").read_bytes(), 0o755),
        "probe": (binary, 0o755),
        "nearside.toml": (config.encode(), 0o644),
    })
    key = f"probe-{built_for}-{hashlib.sha256(data).hexdigest()[:16]}.zip"
    path = asked.out / key
    path.write_bytes(data)
    if asked.regions:
        upload(path, key, asked.bucket_prefix, asked.regions)
    parameters = {"CodeKey": key, "Architecture": built_for, "Namespace": namespace}
    print(*(f"ParameterKey={name},ParameterValue={value}" for name, value in parameters.items()))


if __name__ == "__main__":
    try:
        main()
    except (Refused, OSError, ValueError, subprocess.TimeoutExpired) as error:
        sys.exit(f"package.py: {error}")
