"""The report's page in Chromium, headless: what it does there, and how it looks.

The pages are made by `cargo test -p reports` (a fortnight of a small service; its last
week as CloudWatch tells it; one with a split label and compared labels; one whose every text is hostile; one
without data). Each is opened 390 and 1,440 pixels wide, light and dark, over the DevTools
protocol. There must be no console message, no exception, no dialog and no request but for the page
itself; nothing may be wider than the window; every figure must be there once, large enough to read.
The page's one script sorts tables; without it the page must look the same to the last dot. Screenshots and an A4 print are left in target/report-in-browser.
"""

import base64
import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
SHOTS = TARGET / "report-in-browser"
PAGES = ["fortnight", "fleet", "compared", "hostile", "empty"]
WIDTHS = [390, 1440]
SCHEMES = ["light", "dark"]
LIMIT_S = 30
TEXT_MIN_PX = 8.0

LOOK = """(() => {
  const box = e => e.getBoundingClientRect();
  const shown = e => e.getClientRects().length > 0;
  const figures = [...document.querySelectorAll('figure')].map(figure => {
    const charts = [...figure.querySelectorAll('svg')].filter(shown);
    const chart = charts[0];
    const scale = chart ? box(chart).width / chart.viewBox.baseVal.width : 0;
    const letters = chart ? [...chart.querySelectorAll('text')] : [];
    const sizes = letters.map(t => parseFloat(t.getAttribute('font-size')) * scale);
    return {charts: charts.length, width: chart ? box(chart).width : 0,
            height: chart ? box(chart).height : 0, shapes: chart ? chart.children.length : 0,
            least: Math.min(...sizes), label: chart ? chart.getAttribute('aria-label') : ''};
  });
  const unpainted = [...document.querySelectorAll('svg *')].filter(shown).filter(e =>
    e.getAttribute('fill') && e.getAttribute('fill') !== 'none'
    && getComputedStyle(e).fill === 'none').length;
  return JSON.stringify({figures, unpainted, scroll: document.documentElement.scrollWidth,
    inner: window.innerWidth, background: getComputedStyle(document.body).backgroundColor,
    ink: getComputedStyle(document.body).color, scripts: document.scripts.length,
    title: document.title, heading: document.querySelector('h1').textContent,
    answer: document.querySelectorAll('.answer p').length,
    foreign: document.querySelectorAll('script[src],iframe,img,object,embed,link[rel=stylesheet]').length});
})()"""

# The texts of the first column of numbers that is not sorted yet, after so many clicks on its head.
SORTED = """(clicks => {
  const head = [...document.querySelectorAll('th.n')].find(head => {
    const rows = [...head.closest('table').tBodies[0].rows];
    return new Set(rows.map(row => row.cells[head.cellIndex].textContent)).size > 3;
  });
  for (let n = 0; n < clicks; n++) head.click();
  const column = [...head.closest('table').tBodies[0].rows].map(row => row.cells[head.cellIndex].textContent);
  return JSON.stringify({column, order: head.getAttribute('aria-sort')});
})"""


class Browser:
    """Chromium behind two pipes; a message ends with a zero byte."""

    def __init__(self, folder):
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        assert program, "chromium is not installed"
        to_read, self.write = os.pipe()
        self.read, to_write = os.pipe()

        def pipes():
            # Chromium reads from 3 and writes to 4.
            a, b = os.dup(to_read), os.dup(to_write)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--disable-extensions", "--disable-dev-shm-usage", "--hide-scrollbars",
             "--remote-debugging-pipe", f"--user-data-dir={folder}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            close_fds=False, preexec_fn=pipes)
        os.close(to_read)
        os.close(to_write)
        self.buffer, self.number, self.events = b"", 0, []
        self.session = None

    def message(self, until):
        while b"\0" not in self.buffer:
            left = until - time.monotonic()
            ready = select.select([self.read], [], [], max(left, 0))[0]
            assert ready, f"chromium said nothing within {LIMIT_S} s"
            more = os.read(self.read, 1 << 20)
            assert more, "chromium ended"
            self.buffer += more
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def ask(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + LIMIT_S
        while True:
            told = self.message(until)
            if told.get("id") == self.number:
                assert "error" not in told, f"{method}: {told}"
                return told["result"]
            self.events.append(told)

    def wait(self, method):
        until = time.monotonic() + LIMIT_S
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.message(until))

    def open(self):
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.ask(f"{domain}.enable")

    def end(self):
        self.session = None
        try:
            self.ask("Browser.close")
        except (AssertionError, OSError):
            self.process.kill()
        self.process.wait(timeout=LIMIT_S)


def make_pages():
    subprocess.run(["cargo", "test", "--release", "--locked", "-q", "-p", "reports", "--test",
                    "report", "pages_for_a_browser"], cwd=ROOT, check=True, timeout=900)
    pages = TARGET / "tmp" / "report-pages"
    assert all((pages / f"{name}.html").exists() for name in PAGES), pages
    return pages


def loaded(browser, page, width, scheme):
    """Opens a page; gives what it is like there, and what happened."""
    browser.ask("Emulation.setDeviceMetricsOverride", width=width, height=900,
                deviceScaleFactor=1, mobile=width < 600)
    browser.ask("Emulation.setEmulatedMedia", media="screen",
                features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.events.clear()
    browser.ask("Page.navigate", url=page.as_uri())
    browser.wait("Page.loadEventFired")
    seen = json.loads(browser.ask("Runtime.evaluate", expression=LOOK)["result"]["value"])
    return seen, list(browser.events)


def judge(name, page, width, seen, events):
    quiet = ["Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded",
             "Page.javascriptDialogOpening"]
    loud = [event for event in events if event.get("method") in quiet]
    assert not loud, f"{name}: {loud}"
    asked = [event["params"]["request"]["url"] for event in events
             if event.get("method") == "Network.requestWillBeSent"]
    assert [url for url in asked if url != page.as_uri() and not url.startswith("data:")] == [], asked
    assert page.as_uri() in asked, "the page itself is seen, so that others would be"
    assert seen["scroll"] <= seen["inner"] == width, f"{name}: {seen['scroll']} px in {width}"
    assert (seen["scripts"], seen["foreign"]) == (1, 0), seen
    assert seen["answer"] == 3 and seen["heading"], seen
    assert seen["unpainted"] == 0, f"{name}: {seen['unpainted']} shapes have no colour"
    for figure in seen["figures"]:
        assert figure["charts"] == 1, f"{name}: {figure}"
        assert figure["width"] >= min(300, width - 80) and figure["height"] >= 60, figure
        assert figure["shapes"] > 5 and figure["label"], figure
        assert figure["least"] >= TEXT_MIN_PX, figure


def luminance(colour):
    """Of `rgb(r, g, b)` or `color(srgb r g b)`, 0 to 255."""
    parts = [float(part) for part in re.findall(r"[\d.]+", colour)[:3]]
    scale = 1 if colour.startswith("rgb") else 255
    return sum(weight * part * scale for weight, part in zip((0.2126, 0.7152, 0.0722), parts))


def picture(browser):
    size = browser.ask("Page.getLayoutMetrics")["cssContentSize"]
    clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 12_000), "scale": 1}
    shot = browser.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
    return base64.b64decode(shot["data"])


def judge_script(browser, page):
    """It sorts, and the page does not need it."""
    width = WIDTHS[-1]
    loaded(browser, page, width, "light")
    with_script = picture(browser)
    browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    loaded(browser, page, width, "light")
    assert picture(browser) == with_script, "without script it looks otherwise"
    assert clicked(browser, 1)["order"] is None, "scripts are not off"
    browser.ask("Emulation.setScriptExecutionDisabled", value=False)
    loaded(browser, page, width, "light")
    falling = clicked(browser, 1)
    numbers = [float(text) for text in falling["column"] if re.fullmatch(r"-?[\d.]+", text)]
    assert falling["order"] == "descending" and len(numbers) > 3, falling
    assert numbers == sorted(numbers, reverse=True), falling
    rising = clicked(browser, 1)
    again = [float(text) for text in rising["column"] if re.fullmatch(r"-?[\d.]+", text)]
    assert rising["order"] == "ascending" and again == sorted(numbers), rising
    print(f"sorted {len(numbers)} rows both ways; without script the page looks the same")


def clicked(browser, times):
    told = browser.ask("Runtime.evaluate", expression=f"{SORTED}({times})")
    return json.loads(told["result"]["value"])


def shoot(browser, name):
    (SHOTS / f"{name}.png").write_bytes(picture(browser))


def printed(browser):
    """The page on A4 (inches); how many sheets it takes."""
    browser.ask("Emulation.setEmulatedMedia", media="", features=[])
    made = browser.ask("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=True,
                       preferCSSPageSize=True)
    pdf = base64.b64decode(made["data"])
    (SHOTS / "fortnight.pdf").write_bytes(pdf)
    assert b"/MediaBox [0 0 594.95996 841.91998]" in pdf or b"/MediaBox [0 0 595" in pdf, "not A4"
    return pdf.count(b"/Type /Page\n")


def main():
    pages = make_pages()
    SHOTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(folder)
        try:
            browser.open()
            for name in PAGES:
                page = pages / f"{name}.html"
                grounds = []
                for width in WIDTHS:
                    for scheme in SCHEMES:
                        seen, events = loaded(browser, page, width, scheme)
                        judge(f"{name} {width} {scheme}", page, width, seen, events)
                        ground, ink = luminance(seen["background"]), luminance(seen["ink"])
                        assert (ground > ink) == (scheme == "light"), seen
                        grounds.append(seen["background"])
                        shoot(browser, f"{name}-{width}-{scheme}")
                        print(f"{name}, {width} px, {scheme}: {len(seen['figures'])} figures, "
                              f"no message, no request")
                assert len(set(grounds)) == 2, grounds
                if name == "fortnight":
                    assert len(seen["figures"]) >= 6, seen["figures"]
                    judge_script(browser, page)
                    print(f"printed on {printed(browser)} sheets of A4")
        finally:
            browser.end()
    print(f"screenshots are in {SHOTS}")


if __name__ == "__main__":
    sys.exit(main())
