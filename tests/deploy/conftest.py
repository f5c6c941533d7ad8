"""What the tests of deploy/ share: where things lie, and templates with their functions resolved."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
