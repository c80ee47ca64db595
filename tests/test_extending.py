"""The examples of docs/extending.md do what they say."""

import re

import pytest
from helpers.launcher import ROOT

from kid.config.benchmarks import BENCHMARKS
from kid.config.divergences import DIVERGENCES as DIVERGENCE_KEYS
from kid.config.mask_strategies import MASK_STRATEGIES
from kid.losses.divergence import DIVERGENCES

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^## (.+?)\n.*?^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
TABLES = (BENCHMARKS, DIVERGENCE_KEYS, MASK_STRATEGIES, DIVERGENCES)


@pytest.fixture
def tables_as_before():
    kept = [dict(table) for table in TABLES]
    yield
    for table, before in zip(TABLES, kept, strict=True):
        table.clear()
        table.update(before)


def test_there_is_an_example_of_each():
    assert list(EXAMPLES) == ["A divergence", "A benchmark", "A masking strategy", "A model family"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_short_and_runs(name, tables_as_before, tmp_path, monkeypatch):
    code = EXAMPLES[name]
    assert len([line for line in code.splitlines() if line.strip()]) <= 30
    monkeypatch.chdir(tmp_path)
    exec(compile(code, f"docs/extending.md, {name}", "exec"), {"__name__": "example"})
