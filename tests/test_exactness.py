"""Each claim of the Exactness table names tests that exist and that `make test-all` runs."""

import ast
import re

import pytest
from helpers.launcher import ROOT

PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
SECTION = re.search(r"^## Exactness\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)[1]
CLAIMS = [line.strip("|").split(" | ")[:2] for line in SECTION.splitlines() if line.startswith("| ")][1:]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def recipe(target: str) -> str:
    """The commands of one of the Makefile's targets."""
    return re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)[1]


def functions(path) -> dict[str, str]:
    """Name -> decorators of a file's tests."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    return {node.name: " ".join(map(ast.unparse, node.decorator_list)) for node in tests}


def test_the_table_is_read():
    assert len(CLAIMS) > 30


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim[0][:50])
def test_a_claim_names_tests_that_run(claim):
    _, column = claim
    if column.strip() == "`make slurm-test`":
        assert "pytest tests/slurm" in recipe("slurm-test")
        return
    named = re.findall(r"tests/[\w/]+\.py(?:::\w+)?", column)
    assert named, column
    for name in named:
        file, _, function = name.partition("::")
        found = functions(ROOT / file)
        assert found and (not function or function in found), name
        assert "mark.gpu" not in (found[function] if function else ""), name


def test_test_all_leaves_nothing_out():
    (command,) = [line for line in recipe("test-all").splitlines() if "pytest" in line]
    assert not re.search(r" -m (?!pytest)| -k |--ignore|--deselect", command), command
