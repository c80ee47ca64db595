"""The scripts of bench/ import each other and `parts` by name, as they do when they are run."""

import sys

from helpers.launcher import ROOT

sys.path.insert(0, str(ROOT / "bench"))
