"""The packaging step, with the AWS CLI that others wrote, against a bucket service of the test's own."""

import contextlib
import http.server
import io
import os
import pathlib
import re
import struct
import subprocess
import sys
import threading
import urllib.parse
import zipfile

from templates import DEPLOY, template

PACKAGE = DEPLOY / "lambda/package.py"
ACCOUNT = "123456789012"
CONFIG = """
name = "api.example.com"
[probe]
interval = "1m"
interval_warm = "1m"
[[vantage]]
id = "eu-west-1"
[[vantage]]
id = "us-east-1"
[cloudwatch]
namespace = "Nearside"
region = "eu-west-1"
"""


def elf(machine=62, segment=1):
    """The head of a program with one segment."""
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQ", 2, machine, 1, 0, 64, 0)
    return head + struct.pack("<IHHHHHH", 0, 64, 56, 1, 0, 0, 0) + struct.pack("<I", segment) + bytes(52)


class Buckets(http.server.BaseHTTPRequestHandler):
    """S3 and the token service, as far as the packaging step asks them."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Says nothing."""

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        if self.headers.get("transfer-encoding") == "chunked":
            return b"chunked"
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def do_HEAD(self):
        assert self.headers["x-amz-expected-bucket-owner"] == ACCOUNT
        self.answer(200 if self.path.strip("/") in self.server.buckets else 404)

    def do_POST(self):
        assert b"Action=GetCallerIdentity" in self.body()
        self.answer(200, (
            "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>" + ACCOUNT +
            "</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
        ).encode())

    def do_PUT(self):
        path, _, query = self.path.partition("?")
        bucket, _, key = urllib.parse.unquote(path).strip("/").partition("/")
        body = self.body()
        if key:
            assert bucket in self.server.buckets and self.headers["x-amz-expected-bucket-owner"] == ACCOUNT
            self.server.objects[(bucket, key)] = body
        elif query.startswith("publicAccessBlock"):
            self.server.closed.add(bucket)
        else:
            place = re.search(rb"<LocationConstraint[^>]*>([^<]*)", body)
            self.server.buckets[bucket] = place[1].decode() if place else "us-east-1"
        self.answer(200)


@contextlib.contextmanager
def buckets():
    """A service on loopback that ends with the block."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Buckets)
    server.buckets, server.objects, server.closed = {}, {}, set()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(folder, *words, port=1, binary=None, config=CONFIG):
    """The packaging step: its exit code, what it printed, and the package."""
    folder.mkdir(exist_ok=True)
    (folder / "probe").write_bytes(binary or elf())
    (folder / "nearside.toml").write_text(config)
    address = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "AWS_ENDPOINT_URL_S3": address,
        "AWS_ENDPOINT_URL_STS": address,
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    done = subprocess.run(
        [sys.executable, PACKAGE, "--binary", folder / "probe", "--config", folder / "nearside.toml",
         "--out", folder, *words],
        capture_output=True, text=True, timeout=120, env=environment, check=False,
    )
    packages = sorted(folder.glob("*.zip"))
    return done.returncode, done.stdout + done.stderr, packages[0].read_bytes() if packages else b""


def test_a_package_holds_what_lambda_starts(tmp_path):
    code, said, data = run(tmp_path)
    assert code == 0, said
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        modes = {one.filename: (one.external_attr >> 16) & 0o777 for one in packed.infolist()}
        assert modes == {"bootstrap": 0o755, "probe": 0o755, "nearside.toml": 0o644}
        assert packed.read("bootstrap") == (DEPLOY / "lambda/bootstrap").read_bytes()
        assert packed.read("nearside.toml").decode() == CONFIG
    told = re.findall(r"ParameterKey=(\w+),ParameterValue=(\S+)", said)
    assert [name for name, _ in told] == ["CodeKey", "Architecture", "Namespace"]
    assert re.fullmatch(r"probe-x86_64-[0-9a-f]{16}\.zip", told[0][1])
    assert {name for name, _ in told} <= set(template("fleet.yaml")["Parameters"])


def test_the_same_files_give_the_same_key(tmp_path):
    first, again = run(tmp_path / "a"), run(tmp_path / "b")
    assert first[1:] == again[1:]
    assert run(tmp_path / "c", config=CONFIG + "# another\n")[1] != first[1]


def test_each_region_has_a_closed_bucket_with_the_package(tmp_path):
    with buckets() as server:
        server.buckets["nearside-code-123456789012-us-east-1"] = "us-east-1"
        code, said, data = run(tmp_path, "eu-west-1", "us-east-1", port=server.server_port)
    assert code == 0, said
    assert server.buckets == {
        "nearside-code-123456789012-eu-west-1": "eu-west-1",
        "nearside-code-123456789012-us-east-1": "us-east-1",
    }
    assert server.closed == {"nearside-code-123456789012-eu-west-1"}, "the other one was there"
    key = re.search(r"CodeKey,ParameterValue=(\S+)", said)[1]
    assert {name: key for name in server.buckets} == dict(server.objects.keys())
    assert set(server.objects.values()) == {data}


def test_what_would_not_run_is_refused(tmp_path):
    refusals = {
        "text": (b"#!/bin/sh\n" + bytes(64), CONFIG, "no 64-bit little-endian ELF"),
        "loader": (elf(segment=3), CONFIG, "dynamic loader"),
        "machine": (elf(machine=40), CONFIG, "machine 40"),
        "metrics": (elf(), CONFIG.split("[cloudwatch]")[0], "no [cloudwatch]"),
        "interval": (elf(), CONFIG.replace('interval = "1m"', 'interval = "10s"'), "probe.interval is not 1m"),
    }
    for name, (binary, config, cause) in refusals.items():
        code, said, data = run(tmp_path / name, binary=binary, config=config)
        assert (code, data) == (1, b"") and cause in said, f"{name}: {said}"
    code, said, _ = run(tmp_path / "vantage", "ap-south-1")
    assert code == 1 and "no [[vantage]] has the id of ap-south-1" in said
    code, said, _ = run(tmp_path / "away", "eu-west-1")
    assert code == 1 and "aws sts get-caller-identity failed" in said


def test_bootstrap_starts_the_probe_with_what_lies_beside_it(tmp_path):
    probe = tmp_path / "probe"
    probe.write_text('#!/bin/sh\necho "$PWD" "$@"\n')
    probe.chmod(0o755)

    def started(**more):
        environment = {"PATH": os.environ["PATH"], "LAMBDA_TASK_ROOT": str(tmp_path), **more}
        bootstrap = DEPLOY / "lambda/bootstrap"
        return subprocess.run(
            [bootstrap], capture_output=True, text=True, timeout=10, env=environment, check=True
        ).stdout.split()

    words = ["/tmp", "lambda", "--config", f"{tmp_path}/nearside.toml"]
    assert started() == words and started(NEARSIDE_STORE="") == words
    assert started(NEARSIDE_STORE="cloudwatch:Near") == [*words, "--store", "cloudwatch:Near"]


def test_scripts_are_sound():
    shellcheck = pathlib.Path(sys.executable).parent / "shellcheck"
    scripts = [DEPLOY / "lambda/bootstrap", *sorted((DEPLOY / "terraform/advisor").glob("*.sh"))]
    assert len(scripts) == 3
    subprocess.run([shellcheck, "--shell=sh", *scripts], check=True, timeout=30)
    subprocess.run([shellcheck, DEPLOY / "static.sh"], check=True, timeout=30)
