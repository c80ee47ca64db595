"""The picture in README.md is the one that its script draws."""

import runpy
from xml.etree import ElementTree

from helpers.launcher import ROOT


def test_the_picture_of_a_step_is_up_to_date():
    drawn = runpy.run_path(str(ROOT / "docs" / "draw_step.py"))["draw"]()
    assert (ROOT / "docs" / "step.svg").read_text(encoding="utf-8") == drawn
    words = "".join(ElementTree.fromstring(drawn).itertext())
    assert "[MASK]" in words and "reverse KL(student, teacher)" in words
