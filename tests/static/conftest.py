"""Where the static programs lie, and how a lab is started: by the static `advisor` too."""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
STATIC = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "static"

sys.path[:0] = [str(ROOT / "tests/third_party"), str(ROOT / "tests/bench"), str(ROOT / "deploy/lambda")]
os.environ["NEARSIDE_BIN"] = str(STATIC / "x86_64")
