"""From the start of a process to the moment at which its first sample reaches a server, many times over."""

import socket
import statistics
import subprocess
import sys
import time

RUNS = 40
TIMEOUT_S = 10


def once(binary: str, server: socket.socket) -> float:
    """Milliseconds from the start of the process to its connection's arrival here."""
    url = f"http://127.0.0.1:{server.getsockname()[1]}/"
    start = time.perf_counter()
    process = subprocess.Popen(
        [binary, "once", url, "--json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        connection, _ = server.accept()
        arrived = time.perf_counter()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        connection.close()
        if process.wait(TIMEOUT_S) != 0:
            raise SystemExit(f"{binary} once failed")
    finally:
        process.kill()
        process.wait()
    return (arrived - start) * 1000


def measured(binary: str) -> list[float]:
    """The times of all starts, in ms, sorted."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT_S)
        return sorted(once(binary, server) for _ in range(RUNS))


def told(binary: str, times: list[float]) -> str:
    """The same in a line."""
    p90 = times[int(0.9 * (len(times) - 1))]
    return (
        f"{binary}: start to first sample p50 {statistics.median(times):.1f} ms, "
        f"p90 {p90:.1f} ms, max {times[-1]:.1f} ms ({RUNS} starts)"
    )


if __name__ == "__main__":
    print(told(sys.argv[1], measured(sys.argv[1])))
