"""Runs the dashboard in a terminal of its own and prints what it takes. Called by tui.sh."""

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time

ADVISOR, MONTH, STORE, SECONDS = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
TICKS = os.sysconf("SC_CLK_TCK")
COLUMNS, ROWS = 200, 60


class Dashboard:
    """`advisor tui` in a pseudo-terminal."""

    def __init__(self):
        environment = {
            "PATH": os.environ["PATH"],
            "TERM": "xterm-256color",
            # Nothing answers here: the zone is not part of what is measured.
            "AWS_ENDPOINT_URL_ROUTE_53": "http://127.0.0.1:9",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
        }
        self.began = time.monotonic()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            arguments = [ADVISOR, "--config", f"{STORE}/nearside.toml"]
            arguments += ["--store", f"sqlite:{STORE}/nearside.sqlite", "tui"]
            os.execve(ADVISOR, arguments, environment)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))

    def read(self, wait):
        """What is written within `wait` seconds at most."""
        ready, _, _ = select.select([self.fd], [], [], wait)
        return os.read(self.fd, 1 << 20) if ready else b""

    def until(self, wanted, most):
        """Seconds until this stands in what was written, from the call on."""
        began, seen = time.monotonic(), b""
        while wanted not in seen:
            if time.monotonic() - began > most:
                sys.exit(f"{wanted!r} was not drawn within {most} s: {seen[-2000:]!r}")
            seen += self.read(0.5)
        return time.monotonic() - began

    def key(self, key):
        """Seconds from a key to the first byte that it changes on the screen."""
        while self.read(0.05):
            pass
        began = time.monotonic()
        os.write(self.fd, key)
        while not self.read(1.0):
            pass
        return time.monotonic() - began

    def cpu_s(self):
        fields = open(f"/proc/{self.pid}/stat", encoding="ascii").read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mb(self, name):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

    def quit(self):
        os.write(self.fd, b"q")
        while True:
            try:
                if not self.read(1.0):
                    break
            except OSError:
                break
        os.waitpid(self.pid, 0)


def first_frames():
    """Milliseconds from the start to a figure on the screen, five times."""
    found = []
    for _ in range(5):
        dashboard = Dashboard()
        # The level of a figure is drawn with the first figures, and in the legend before.
        dashboard.until(b"p10", 10)
        found.append((time.monotonic() - dashboard.began) * 1000)
        dashboard.quit()
    return sorted(found)


def main():
    def row(what, figure, bound):
        print(f"{what:<52} {figure:>14}   {bound}")

    frames = first_frames()
    row("first frame with figures, ms (median, worst)", f"{frames[2]:.0f}, {frames[-1]:.0f}", "< 150")
    dashboard = Dashboard()
    dashboard.until(b"p10", 10)
    keys = [k for _ in range(8) for k in (b"j", b"l", b"v", b"s", b"k", b"2", b"1", b"c")]
    took = sorted(dashboard.key(key) * 1000 for key in keys)
    middle, last = took[len(took) // 2], took[-1]
    row("a key to its first change, ms (median, worst of 64)", f"{middle:.1f}, {last:.1f}", "< 16")
    for size, what in [((60, 200), "200x60"), ((24, 80), "80x24")]:
        fcntl.ioctl(dashboard.fd, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        follow = subprocess.Popen([MONTH, "follow", STORE, "1000", str(SECONDS + 4)])
        end = time.monotonic() + 3
        while time.monotonic() < end:
            dashboard.read(0.2)
        before, began, written = dashboard.cpu_s(), time.monotonic(), 0
        while time.monotonic() - began < SECONDS:
            written += len(dashboard.read(0.2))
        share = (dashboard.cpu_s() - before) / (time.monotonic() - began) * 100
        follow.wait()
        row(f"1,000 cells at 1 update/s, {what}: % of a core", f"{share:.1f}", "< 3")
        row("  bytes to the terminal a second", f"{written / SECONDS:.0f}", "")
    row("memory, MB (now, peak)", f"{dashboard.memory_mb('VmRSS'):.0f}, {dashboard.memory_mb('VmHWM'):.0f}", "< 40")
    dashboard.quit()


main()
