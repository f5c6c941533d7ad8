"""A running `advisor lab`, as any program would start and stop it. It asserts nothing of the product.

Every wait is bounded: for the first line, for an answer, for the end after SIGTERM.
"""

import json
import os
import pathlib
import selectors
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_S = 60
END_S = 15
# Route 53 refills 10 requests a second for an account; the lab does so too.
REQUESTS_A_SECOND = 9


def program(name):
    """The built program NAME; the test command says where it lies."""
    folder = os.environ.get("NEARSIDE_BIN") or str(ROOT / "target" / "release")
    path = pathlib.Path(folder) / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not built: run tests/run, or cargo build --release")
    return str(path)


def clean_environment(**more):
    """The environment without what would lead a client away from loopback."""
    dropped = ("AWS_", "NEARSIDE_")
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(dropped) and not key.lower().endswith("_proxy")
    }
    kept.update(
        AWS_ACCESS_KEY_ID="lab",
        AWS_SECRET_ACCESS_KEY="lab",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_EC2_METADATA_DISABLED="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    )
    kept.update(more)
    return kept


class Lab:
    """The lab as a process, from its first line of JSON to SIGTERM."""

    def __init__(self, scenario, seed=1):
        self.folder = tempfile.TemporaryDirectory(prefix="nearside-lab-")
        self.log = open(os.path.join(self.folder.name, "stderr"), "w+b")
        command = [
            program("advisor"), "lab", "--json", "--seed", str(seed),
            "--scenario", str(scenario), "--dir", os.path.join(self.folder.name, "lab"),
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log,
            env=clean_environment(),
        )
        try:
            self.facts = json.loads(self._first_line())
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.port = int(self.facts["endpoints"][0]["url"].split(":")[2].split("/")[0])
        self.dns_host, dns_port = self.facts["dns"].rsplit(":", 1)
        self.dns_port = int(dns_port)

    def _first_line(self):
        os.set_blocking(self.process.stdout.fileno(), False)
        waiting = selectors.DefaultSelector()
        waiting.register(self.process.stdout, selectors.EVENT_READ)
        line, until = b"", time.monotonic() + START_S
        while not line.endswith(b"\n"):
            left = until - time.monotonic()
            if left <= 0 or self.process.poll() is not None:
                raise RuntimeError(f"the lab said nothing in {START_S} s: {self.stderr()}")
            if waiting.select(min(left, 0.5)):
                line += self.process.stdout.read() or b""
        return line

    def stderr(self):
        """What the lab has said beside its facts."""
        self.log.flush()
        with open(self.log.name, "rb") as text:
            return text.read().decode(errors="replace")

    def subnet(self, vantage, family=4):
        """The prefix that a vantage asks DNS from."""
        found = [one for one in self.facts["vantages"] if one["id"] == vantage]
        return found[0][f"subnet{family}"]

    def stop(self):
        """Ends the lab by SIGTERM; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.process.stdout.close()
            self.log.close()
            self.folder.cleanup()


def run(command, timeout=30, **more):
    """A program's exit code, stdout and stderr. It is killed when its time is over."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
        env=clean_environment(**more), check=False,
    )
    return done.returncode, done.stdout, done.stderr


def until(seconds, every, ask, describe):
    """Asks until the answer is truthy; fails when the time is over."""
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < end, f"{describe}: not within {seconds} s"
        time.sleep(every)


class Pace:
    """Keeps an API client under the rate that it would be throttled at."""

    def __init__(self):
        self.next = 0.0

    def __call__(self, **_):
        now = time.monotonic()
        wait = self.next - now
        self.next = max(now, self.next) + 1 / REQUESTS_A_SECOND
        if wait > 0:
            time.sleep(wait)
