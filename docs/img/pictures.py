#!/usr/bin/env python3
"""Makes the pictures of the dashboard: real frames of the lab's world, as SVG.

    cargo build --release && docs/img/pictures.py

It starts the lab, measures for 80 s, lets Route 53 say which label it prefers, and prints one frame of
each view with `advisor tui --frame`. What the log shows is a page at an address where nobody listens.
"""

import html
import json
import os
import pathlib
import re
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ADVISOR = str(HERE.parents[1] / "target" / "release" / "advisor")
MEASURE = "80s"
MEASURE_LOG = "9s"
# Nobody listens there; those that read the configuration of the other pictures know nothing of it.
DEAD = """
[[target]]
id = "page"
kind = "static"
url = "https://127.0.0.1:9/"
"""
# The pair that the advice is about: reached by a filter.
CHOSEN = "/ap-southeast-1 > ap-southeast-1\n"
FRAMES = {
    "matrix": ("120x30", "jjj"),
    "cell": ("120x36", CHOSEN + "2"),
    "map": ("160x40", "3"),
    "advice": ("120x30", "4"),
    "plan": ("120x36", "5"),
    "log": ("120x24", "6"),
}
CELL_X, CELL_Y = 8.4, 17
INK, GROUND = "#d8dee9", "#15191f"
CODE = re.compile("\x1b\\[([0-9;]*)m")


def main():
    with tempfile.TemporaryDirectory() as folder:
        lab = subprocess.Popen(
            [ADVISOR, "lab", "--json", "--dir", f"{folder}/lab"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        try:
            facts = json.loads(lab.stdout.readline())
            environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
            environment.update(
                AWS_ENDPOINT_URL_ROUTE_53=facts["route53"],
                AWS_ACCESS_KEY_ID="lab", AWS_SECRET_ACCESS_KEY="lab", AWS_DEFAULT_REGION="us-east-1",
            )

            def advisor(*arguments, config=facts["config"], store="nearside"):
                common = ["--config", config, "--store", f"sqlite:{folder}/{store}.sqlite"]
                return subprocess.run(
                    [ADVISOR, *common, *arguments], env=environment, check=True, text=True,
                    stdout=subprocess.PIPE,
                ).stdout

            advisor("regret", "--install-shadow", "--yes")
            advisor("probe", "--for", MEASURE)
            failing = {"config": f"{folder}/failing.toml", "store": "failing"}
            text = pathlib.Path(facts["config"]).read_text()
            pathlib.Path(failing["config"]).write_text(text + DEAD)
            advisor("probe", "--for", MEASURE_LOG, **failing)
            for name, (size, keys) in FRAMES.items():
                shown = failing if name == "log" else {}
                frame = advisor("tui", "--frame", size, "--keys", keys, "--color", "always", **shown)
                (HERE / f"tui-{name}.svg").write_text(svg(frame, f"The dashboard: {name}"))
                print(f"tui-{name}.svg")
        finally:
            lab.terminate()
            lab.wait(timeout=15)


def svg(frame, title):
    """The frame as SVG: a ground for each run of coloured cells, and the text on it."""
    lines = frame.splitlines()
    columns = max(len(CODE.sub("", line)) for line in lines)
    width, height = columns * CELL_X + 16, len(lines) * CELL_Y + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}"'
        f' font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">',
        f"<title>{html.escape(title)}</title>",
        f'<rect width="100%" height="100%" rx="6" fill="{GROUND}"/>',
    ]
    for row, line in enumerate(lines):
        column, y = 0, 8 + row * CELL_Y
        for style, text in runs(line):
            x, wide = 8 + column * CELL_X, len(text) * CELL_X
            column += len(text)
            ink, ground = style["ink"] or INK, style["ground"]
            if style["reversed"]:
                ink, ground = ground or GROUND, style["ink"] or INK
            if ground:
                parts.append(
                    f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="{CELL_Y}" fill="{ground}"/>'
                )
            if text.strip():
                bold = ' font-weight="bold"' if style["bold"] else ""
                parts.append(
                    f'<text x="{x:.1f}" y="{y + 13}" fill="{ink}"{bold} xml:space="preserve"'
                    f' textLength="{wide:.1f}" lengthAdjust="spacingAndGlyphs">{html.escape(text)}</text>'
                )
    return "\n".join([*parts, "</svg>", ""])


def runs(line):
    """The texts between two codes, each with its style."""
    style = {"ink": None, "ground": None, "bold": False, "reversed": False}
    pieces = CODE.split(line)
    for index, piece in enumerate(pieces):
        if index % 2:
            style = parse(piece)
        elif piece:
            yield style, piece


def parse(code):
    """A style of the codes that `advisor tui` writes with 24 bits."""
    style = {"ink": None, "ground": None, "bold": False, "reversed": False}
    numbers = [int(number) for number in code.split(";") if number]
    while numbers:
        number = numbers.pop(0)
        if number in (38, 48):
            _, red, green, blue = (numbers.pop(0) for _ in range(4))
            style["ink" if number == 38 else "ground"] = f"#{red:02x}{green:02x}{blue:02x}"
        style["bold"] |= number == 1
        style["reversed"] |= number == 7
    return style


if __name__ == "__main__":
    main()
