"""Where the static programs lie, and the lab that they meet: the ordinary build's, unless `advisor` is static too."""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
STATIC = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "static"
PROBE = STATIC / "x86_64" / "probe"
# `tests/run --full` builds both programs.
PROGRAMS = os.environ.get("NEARSIDE_STATIC", "probe").split()
if "advisor" in PROGRAMS:
    os.environ["NEARSIDE_BIN"] = str(STATIC / "x86_64")

sys.path[:0] = [str(ROOT / "tests" / folder) for folder in ("third_party", "bench")]
