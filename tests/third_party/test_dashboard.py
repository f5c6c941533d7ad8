"""The dashboard as people drive it: in tmux, on the running lab, keys sent and screens captured."""

import datetime
import os
import pathlib
import pty
import re
import select
import subprocess
import termios
import time

import pytest

import lab as labs

# How long a screen may take to show what it should; the first figures wait for the first samples.
SHOWN_S = 30


class Terminal:
    """A shell in a tmux server of its own."""

    def __init__(self, folder, columns=120, rows=40):
        self.socket = str(folder / "tmux")
        self.environment = labs.clean_environment(TERM="xterm-256color", PS1="ready$ ")
        shell = "bash --norc --noprofile -i"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), shell)
        self.tmux("set-option", "-g", "default-terminal", "tmux-256color")
        self.tmux("set-option", "-g", "status", "off")

    def tmux(self, *arguments):
        done = subprocess.run(
            ["tmux", "-S", self.socket, *arguments],
            env=self.environment, capture_output=True, text=True, timeout=20, check=True,
        )
        return done.stdout

    def type(self, line):
        self.tmux("send-keys", "-l", line)
        self.tmux("send-keys", "Enter")

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def screen(self, *more):
        return self.tmux("capture-pane", "-p", *more)

    def shows(self, pattern, most=SHOWN_S):
        """Waits until the screen matches; returns it."""
        until = time.monotonic() + most
        while True:
            screen = self.screen()
            if re.search(pattern, screen):
                return screen
            assert time.monotonic() < until, f"{pattern!r} is not shown:\n{screen}"
            time.sleep(0.05)

    def resize(self, columns, rows):
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def end(self):
        self.tmux("kill-server")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A lab with a slow backend, a store that is being filled, and how to call the advisor."""
    running = labs.Lab("demo")
    folder = tmp_path_factory.mktemp("dashboard")
    call = (
        f"AWS_ENDPOINT_URL_ROUTE_53={running.facts['route53']} {labs.program('advisor')}"
        f" --config {running.facts['config']} --store sqlite:{folder}"
    )
    yield call, folder
    assert running.stop() == 0, "the lab does not end well by SIGTERM"


@pytest.fixture
def terminal(tmp_path):
    opened = Terminal(tmp_path)
    yield opened
    opened.end()


def samples(screen):
    """How many samples the chosen cell has."""
    return int(re.search(r" n ([\d,]+)", screen)[1].replace(",", ""))


def test_a_driven_session_on_the_running_lab(world, terminal):
    call, _ = world
    terminal.type(f"{call}/nearside.sqlite probe --tui")
    first = terminal.shows(r" n [1-9]")
    for name in ("1 Matrix", "6 Log", "ap-southeast-1", "us-east-1", "? help"):
        assert name in first, first
    # Live: within a second there is more, although no window of the store has to close for that.
    more = time.monotonic() + 1.5
    while samples(terminal.screen()) <= samples(first):
        assert time.monotonic() < more, "nothing new within 1.5 s"
        time.sleep(0.05)

    terminal.shows(r"Route 53: [a-z]+-[a-z]+-\d \(")
    terminal.keys("j", "l", "v")
    terminal.shows("95th percentile")
    terminal.keys("Enter")
    cell = terminal.shows("History, cold")
    for word in ("Phases", "connect", "tls", "process", "Failures", "Response, cold"):
        assert word in cell, cell
    terminal.keys("c", "c")
    terminal.shows("History, warm")
    terminal.keys("3")
    world_map = terminal.shows("Who is sent where")
    assert re.search("[\u2801-\u28ff]", world_map), "the coast lines are braille"
    assert "◆apse1" in world_map, world_map
    terminal.keys("4")
    terminal.shows(r"Why [a-z]+-[a-z]+-\d: ")
    terminal.keys("5")
    terminal.shows("Nothing to change|to apply:")
    terminal.keys("6")
    terminal.shows(r"series|windows closed| ms")
    terminal.keys("?")
    terminal.shows("freeze the picture")
    terminal.keys("x", "1", "/")
    terminal.type("eu >")
    filtered = terminal.shows("filter: eu")
    assert "eu-west-1" in filtered and "sa-east-1" not in filtered, filtered
    terminal.keys("Escape")
    terminal.shows("sa-east-1")
    terminal.keys("f")
    terminal.shows("FROZEN")
    terminal.keys("f")

    terminal.resize(80, 24)
    small = terminal.shows(r"6 Log")
    assert max(len(line) for line in small.splitlines()) <= 80
    terminal.resize(20, 5)
    terminal.shows("70x16 shows more|p50")
    terminal.resize(200, 60)
    terminal.shows("History")

    terminal.keys("C-z")
    terminal.shows("Stopped")
    terminal.type("fg")
    terminal.shows("1 Matrix")
    terminal.keys("q")
    terminal.shows("quitting stops it")
    terminal.keys("n")
    terminal.keys("q")
    terminal.shows("quitting stops it")
    terminal.keys("y")
    terminal.shows(r"\d+ samples")
    terminal.type("echo ended $?; stty -a")
    after = terminal.shows(r"ended 0[\s\S]*icanon")
    assert re.search(r" echo ", after) and "-icanon" not in after, after


def test_the_store_alone_without_colours_and_by_signal(world, terminal):
    call, folder = world
    terminal.type(f"NO_COLOR=1 {call}/other.sqlite tui")
    terminal.shows("does not exist")
    terminal.keys("q")
    terminal.type(f"NO_COLOR=1 {call}/nearside.sqlite tui & echo $! > {folder}/pid; fg")
    terminal.shows(r" n [1-9]")
    coloured = re.compile("\u001b\\[[0-9;]*(3[0-7]|4[0-7]|9[0-7]|38;|48;)[0-9;]*m")
    assert not coloured.search(terminal.screen("-e")), "NO_COLOR has colours"
    pid = int((folder / "pid").read_text())
    os.kill(pid, 15)
    terminal.type("echo ended $?")
    terminal.shows("ended 0")
    # What is typed after the key that quits is the shell's.
    for turn in range(5):
        terminal.type(f"clear; {call}/nearside.sqlite tui")
        terminal.shows(r" n [1-9]")
        terminal.keys("q")
        terminal.type(f"echo shell got $(({turn} + 40))")
        terminal.shows(f"shell got {turn + 40}", most=10)


def test_cloudwatch_is_shown_with_its_price_and_its_errors(lab, client, terminal, tmp_path):
    cloudwatch = client("cloudwatch", region="eu-west-1")
    minute = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0)
    vantages = [one["id"] for one in lab.facts["vantages"]]
    endpoints = [one["region"] for one in lab.facts["endpoints"]]
    datums = [
        {
            "MetricName": "Response", "Unit": "Milliseconds",
            "Timestamp": minute - datetime.timedelta(minutes=back),
            "Values": [80.0 + back, 123.0, 150.0], "Counts": [1, 4, 1],
            "Dimensions": [
                {"Name": "connection", "Value": "cold"}, {"Name": "target", "Value": endpoint},
                {"Name": "vantage", "Value": vantage},
            ],
        }
        for back in (1, 2, 3) for vantage in vantages for endpoint in endpoints
    ]
    for at in range(0, len(datums), 1000):
        cloudwatch.put_metric_data(Namespace="Shown", MetricData=datums[at:at + 1000])
    config = tmp_path / "fleet.toml"
    text = pathlib.Path(lab.facts["config"]).read_text()
    # Windows and blocks of CloudWatch are whole minutes, as the defaults are.
    text = re.sub(r"(?m)^(window|block|volatility_history) *=.*\n", "", text)
    config.write_text(text + "\n[cloudwatch]\nnamespace = 'Shown'\nregion = 'eu-west-1'\n")

    def call(address):
        return (
            f"cd {tmp_path}; AWS_ENDPOINT_URL_ROUTE_53={lab.facts['route53']}"
            f" AWS_ENDPOINT_URL_CLOUDWATCH={address} {labs.program('advisor')}"
            f" --config {config} --store cloudwatch:Shown tui"
        )

    terminal.type(call(lab.facts["cloudwatch"]))
    shown = terminal.shows(r"123\.0")
    assert re.search(r"CloudWatch every 5 min: at most \d+\.\d\d USD a month", shown), shown
    terminal.keys("Enter")
    cell = terminal.shows("History, cold")
    assert "p99" in cell and "of 18 samples" in cell, cell
    terminal.keys("6")
    terminal.shows(r"CloudWatch namespace Shown in eu-west-1 was read, for 0\.\d+ USD")
    terminal.keys("q")
    terminal.shows(r"\S+[#$]\s*\Z")
    # Nobody listens there: the screen stays, and says so.
    terminal.type("clear; " + call("http://127.0.0.1:9"))
    terminal.shows(r"! .*CloudWatch namespace Shown in eu-west-1")
    terminal.keys("6")
    terminal.shows(r"× .*CloudWatch namespace Shown in eu-west-1")
    terminal.keys("q")
    terminal.shows(r"\S+[#$]\s*\Z")
    terminal.type("echo ended $?")
    terminal.shows("ended 0", most=10)


def test_one_frame_is_printed_as_text(world):
    call, _ = world
    done = subprocess.run(
        f"{call}/nearside.sqlite tui --frame 100x30 --keys 2", shell=True, env=labs.clean_environment(),
        capture_output=True, text=True, timeout=60, check=True,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 30 and max(map(len, lines)) <= 100, done.stdout
    assert "Phases" in done.stdout and "\u001b" not in done.stdout, done.stdout
    refused = subprocess.run(
        f"{call}/nearside.sqlite tui", shell=True, env=labs.clean_environment(), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )
    assert refused.returncode == 2 and "hint: `advisor tui --frame" in refused.stderr, refused


def test_a_panic_gives_the_terminal_back():
    pid, screen = pty.fork()
    if pid == 0:
        path = labs.program("examples/panics")
        os.execve(path, [path], {"TERM": "xterm-256color"})
    written = b""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if select.select([screen], [], [], 0.2)[0]:
            try:
                written += os.read(screen, 65536)
            except OSError:
                break
        if b"panicked" in written and b"\n" in written.split(b"panicked")[1]:
            break
    local = termios.tcgetattr(screen)[3]
    os.waitpid(pid, 0)
    os.close(screen)
    assert b"\x1b[?1049h" in written, "it took the screen"
    message = written.index(b"panicked")
    assert written.rindex(b"\x1b[?1049l", 0, message) > written.index(b"\x1b[?1049h"), written
    assert b"\x1b[?25h" in written[:message], "the cursor is shown again"
    assert local & termios.ICANON and local & termios.ECHO, "the terminal is not raw any more"
