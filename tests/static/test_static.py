"""What deploy/static.sh built, run as a user or as Lambda would: every program here is a static one."""

import http.server
import json
import os
import re
import subprocess
import threading
import time

import lab as labs
import package
import pytest
import start
from conftest import STATIC

BYTES_MAX = 15_000_000
START_MS_MAX = 50
ROUNDS = 3


@pytest.fixture(scope="module")
def lab():
    """The lab, out of the static `advisor`."""
    running = labs.Lab("calm")
    yield running
    assert running.stop() == 0


@pytest.mark.parametrize("machine, name", [("x86_64", "x86_64"), ("aarch64", "arm64")])
def test_a_package_can_be_made_of_each(machine, name):
    """The packaging step reads the ELF header itself: the machine, and that there is no loader."""
    binary = (STATIC / machine / "probe").read_bytes()
    assert package.architecture(binary) == name and len(binary) < BYTES_MAX
    print(f"probe for {machine}: {len(binary) / 1e6:.1f} MB, "
          f"advisor: {(STATIC / machine / 'advisor').stat().st_size / 1e6:.1f} MB")
    assert package.architecture((STATIC / machine / "advisor").read_bytes()) == name


@pytest.mark.parametrize("name", ["probe", "advisor"])
def test_it_starts_where_there_is_nothing_else(name, tmp_path):
    program = tmp_path / name
    os.link(labs.program(name), program)
    # Without a dynamic loader there is nothing that the environment could lead astray.
    code, out, said = labs.run([program, "--version"], LD_LIBRARY_PATH="/nonexistent")
    assert code == 0 and re.fullmatch(rf"{name} \d+\.\d+\.\d+\n", out), out + said
    told = subprocess.run(["ldd", program], capture_output=True, text=True, timeout=30, check=False)
    assert "not a dynamic executable" in told.stdout + told.stderr


def test_one_sample_over_tls(lab):
    endpoint = lab.facts["endpoints"][0]
    own = endpoint["alias"]["dns_name"].rstrip(".")
    to = endpoint["url"].split("//")[1].split("/")[0]
    code, out, said = labs.run([
        labs.program("probe"), "once", endpoint["url"], "--cacert", lab.facts["ca"], "--json",
    ])
    assert code == 0, f"{own} {to}: {said}"
    sample, = json.loads(out)["samples"]
    assert sample["outcome"] == {"kind": "ok", "status": 200} and sample["tls_version"] == "1.3"
    assert {"connect", "tls", "processing"} <= set(sample["phases_us"])


def test_start_to_first_sample():
    times = start.measured(labs.program("probe"))
    print(start.told(labs.program("probe"), times))
    assert times[len(times) // 2] < START_MS_MAX


class Runtime(http.server.ThreadingHTTPServer):
    """Lambda's runtime API for a few invocations; what was answered is kept."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.given, self.told, self.done = 0, [], threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    """One request of the function."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Says nothing."""

    def answer(self, code, headers, body):
        """Sends an answer."""
        self.send_response(code)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        """The next invocation, or none: then the function waits, as a frozen one does."""
        assert self.path == "/2018-06-01/runtime/invocation/next"
        at, self.server.given = self.server.given, self.server.given + 1
        if at >= ROUNDS:
            self.server.done.set()
            time.sleep(30)
            return
        deadline_ms = int((time.time() + 60) * 1000)
        headers = {"lambda-runtime-aws-request-id": f"id-{at}", "lambda-runtime-deadline-ms": str(deadline_ms)}
        self.answer(200, headers, b"{}")

    def do_POST(self):
        """What the function says of an invocation."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.told.append((self.path, json.loads(body)))
        self.answer(202, {}, b"")


def test_a_function_measures_a_round_for_each_invocation(lab, tmp_path):
    config = tmp_path / "nearside.toml"
    with open(lab.facts["config"], encoding="utf-8") as text:
        config.write_text(text.read() + "\n[cloudwatch]\nnamespace = 'Nearside'\nregion = 'eu-west-1'\n")
    with Runtime() as runtime:
        environment = labs.clean_environment(
            AWS_LAMBDA_RUNTIME_API=f"127.0.0.1:{runtime.server_address[1]}",
            AWS_REGION="us-east-1", AWS_LAMBDA_FUNCTION_MEMORY_SIZE="1769",
        )
        command = [labs.program("probe"), "lambda", "--config", config]
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as function:
            try:
                assert runtime.done.wait(60), "the invocations did not end"
            finally:
                function.kill()
            lines = [json.loads(line) for line in function.stdout.read().splitlines() if line]
        runtime.shutdown()
    paths = [f"/2018-06-01/runtime/invocation/id-{at}/response" for at in range(ROUNDS)]
    assert [path for path, _ in runtime.told] == paths
    told = [(body["cold_start"], body["samples"], body["failures"]) for _, body in runtime.told]
    assert told == [(True, 8, 0)] + [(False, 8, 0)] * (ROUNDS - 1)
    assert sum("Response" in line for line in lines) == 8 * (ROUNDS - 1)
    assert sum("ColdStarts" in line for line in lines) == 1
