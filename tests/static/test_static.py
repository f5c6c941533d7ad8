"""What deploy/static.sh built: its files, and the probe of this machine run as a user and as Lambda would."""

import contextlib
import http.server
import json
import re
import subprocess
import sys
import threading
import time
import zipfile

import lab as labs
import pytest
import start
from conftest import PROBE, PROGRAMS, ROOT, STATIC

PROBE_BYTES_MAX = 15_000_000
START_MS_MAX = 50
ROUNDS = 2
SAMPLES = 8  # Four endpoints, cold and warm.


@pytest.fixture(scope="module")
def lab():
    """The world that is measured."""
    running = labs.Lab("calm")
    yield running
    assert running.stop() == 0


def readelf(*words):
    """What readelf says."""
    code, out, said = labs.run(["readelf", "-W", *words])
    assert code == 0, said
    return out


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("arch, machine", [("x86_64", "X86-64"), ("aarch64", "AArch64")])
def test_a_program_needs_nothing_but_its_machine(name, arch, machine):
    program = STATIC / arch / name
    assert re.search(rf"Machine: .*\b{machine}$", readelf("-h", program), re.MULTILINE)
    segments = readelf("-l", program)
    assert "LOAD" in segments and "INTERP" not in segments and "DYNAMIC" not in segments
    assert ".symtab" not in readelf("-S", program), "it is not stripped"
    size = program.stat().st_size
    print(f"{program}: {size} bytes")
    assert name != "probe" or size < PROBE_BYTES_MAX


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_runs_on_this_machine(name):
    code, out, said = labs.run([STATIC / "x86_64" / name, "--version"])
    assert code == 0 and re.fullmatch(rf"{name} \d+\.\d+\.\d+\n", out), out + said


def test_one_sample_over_tls(lab):
    endpoint = lab.facts["endpoints"][0]
    own = f"{endpoint['region']}.{lab.facts['name']}"
    ask = ["dig", f"@{lab.dns_host}", "-p", str(lab.dns_port), "+short", "+time=5", own, "A"]
    to = f"{labs.run(ask)[1].strip()}:{lab.port}"
    words = ["--cacert", lab.facts["ca"], "--connect-to", to, "--json"]
    code, out, said = labs.run([PROBE, "once", endpoint["url"], *words])
    assert code == 0, said
    sample, = json.loads(out)["samples"]
    assert sample["outcome"] == {"kind": "ok", "status": 200} and sample["remote"] == to
    assert sample["tls_version"] == "1.3"
    assert {"connect", "tls", "processing", "transfer"} <= set(sample["phases_us"])


def test_start_to_first_sample():
    times = start.measured(PROBE)
    print(start.told(PROBE, times))
    # The machine may have other work: that lengthens starts, and shortens none.
    assert times[0] < START_MS_MAX


class Runtime(http.server.BaseHTTPRequestHandler):
    """Lambda's runtime API. The server keeps what it was asked and told."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Says nothing."""

    def answer(self, code, body, **headers):
        self.send_response(code)
        for name, value in {**headers, "content-length": len(body)}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        """The next invocation, or none any more: then the function waits, as a frozen one does."""
        self.server.asked.append(self.path)
        at = len(self.server.asked) - 1
        if at == ROUNDS:
            self.server.done.set()
            self.server.over.wait(60)
            return
        deadline_ms = int((time.time() + 60) * 1000)
        self.answer(200, b"{}", lambda_runtime_aws_request_id=f"id-{at}", lambda_runtime_deadline_ms=deadline_ms)

    def do_POST(self):
        """What the function says of an invocation."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.told.append((self.path, json.loads(body)))
        self.answer(202, b"")


@contextlib.contextmanager
def runtime():
    """A runtime API on loopback that ends with the block."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Runtime)
    server.asked, server.told = [], []
    server.done, server.over = threading.Event(), threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def function(lab, folder):
    """The function's folder, as Lambda unpacks it from what the packaging step wrote."""
    config = folder / "nearside.toml"
    with open(lab.facts["config"], encoding="utf-8") as text:
        once_a_minute = re.sub(r'^(interval\w*) = ".*"', r'\1 = "1m"', text.read(), flags=re.MULTILINE)
    config.write_text(f"{once_a_minute}\n[cloudwatch]\nnamespace = 'Nearside'\nregion = 'eu-west-1'\n")
    code, out, said = labs.run([
        sys.executable, ROOT / "deploy/lambda/package.py", "--binary", PROBE, "--config", config, "--out", folder,
    ])
    assert code == 0 and "ParameterKey=Architecture,ParameterValue=x86_64" in out, out + said
    packed, = folder.glob("*.zip")
    print(f"{packed.name}: {packed.stat().st_size} bytes")
    task = folder / "task"
    with zipfile.ZipFile(packed) as files:
        for one in files.infolist():
            (task / one.filename).parent.mkdir(exist_ok=True)
            (task / one.filename).write_bytes(files.read(one))
            (task / one.filename).chmod(one.external_attr >> 16 & 0o777)
    return task


def test_a_function_measures_a_round_for_each_invocation(lab, tmp_path):
    task = function(lab, tmp_path)
    with runtime() as server:
        environment = labs.clean_environment(
            AWS_LAMBDA_RUNTIME_API=f"127.0.0.1:{server.server_port}", AWS_REGION="us-east-1",
            AWS_LAMBDA_FUNCTION_NAME="nearside-probe", AWS_LAMBDA_FUNCTION_VERSION="$LATEST",
            AWS_LAMBDA_FUNCTION_MEMORY_SIZE="1769", LAMBDA_TASK_ROOT=str(task),
        )
        command = {"args": [task / "bootstrap"], "env": environment, "text": True}
        with subprocess.Popen(**command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as probe:
            try:
                ended = server.done.wait(60)
            finally:
                probe.kill()
            out, said = probe.communicate(timeout=10)
    assert ended, f"the invocations did not end: {said}"
    assert set(server.asked) == {"/2018-06-01/runtime/invocation/next"}
    paths = [f"/2018-06-01/runtime/invocation/id-{at}/response" for at in range(ROUNDS)]
    assert [path for path, _ in server.told] == paths, said
    # The first round, of a cold start, is measured and kept out of the series.
    told = [(body["cold_start"], body["samples"], body["failures"]) for _, body in server.told]
    assert told == [(True, SAMPLES, 0), (False, SAMPLES, 0)], said
    lines = [json.loads(line) for line in out.splitlines() if line]
    assert sum("ColdStarts" in line for line in lines) == 1
    assert sum("Response" in line for line in lines) == SAMPLES == len(lines) - 1
