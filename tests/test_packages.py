"""The house: imports run down the list of packages only, and DeepSpeed is imported only where an engine is."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.launcher import ROOT

# From the top floor down; a package may import from those that come after it, and from the ground.
PACKAGES = (
    "export", "planning", "report", "training", "run", "evaluation", "models", "minibench", "prompting", "data", "sql",
    "losses", "config",
)  # fmt: skip
SINGLE_MODULES = {"prompting"}  # a floor of one module
GROUND = ("errors", "files", "progress", "randomness", "build_lock", "terminal", "console")
# At the top of a module; kid/models/zero3.py imports it where it meets a partitioned weight.
WITH_DEEPSPEED = {"kid.models.engine", "kid.training.trainer"}
MODULES = sorted(path for path in (ROOT / "kid").rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            # `from kid.losses import torch_rows`: the module may be the name.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor(module: str) -> int:
    """How far down a module is; the ground is the lowest."""
    name = module.split(".")[1]
    if name in GROUND:
        return len(PACKAGES)
    assert name in PACKAGES, f"{module} is in no package of the list"
    return PACKAGES.index(name)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_imports_run_down(path):
    if path == ROOT / "kid" / "__init__.py":
        return
    for imported in imports(path):
        if imported.startswith("kid."):
            assert floor(imported) >= floor(module_of(path)), f"{module_of(path)} imports {imported}, a floor above"


def test_every_package_is_in_the_list():
    folders = {path.parent.name for path in (ROOT / "kid").glob("*/__init__.py")}
    assert folders == set(PACKAGES) - SINGLE_MODULES


@pytest.mark.slow
def test_deepspeed_is_imported_where_engines_are():
    script = """
import importlib, sys
for module in sys.argv[1:]:
    importlib.import_module(module)
    assert "deepspeed" not in sys.modules, module
"""
    modules = [module_of(path).removesuffix(".__init__") for path in MODULES]
    with_engines = {m for m in modules if m.startswith("kid.training.")} | WITH_DEEPSPEED
    without = sorted({*modules} - with_engines)
    assert len(without) > 80
    done = subprocess.run([sys.executable, "-c", script, *without], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    at_the_top = {module_of(path) for path in MODULES if re.search(r"^(import|from) deepspeed", path.read_text(), re.M)}
    assert at_the_top == WITH_DEEPSPEED


def test_no_test_module_imports_another():
    for path in (ROOT / "tests").rglob("*.py"):
        for imported in imports(path):
            parts = imported.split(".")
            assert not any(part.startswith("test_") or part == "conftest" for part in parts), f"{path}: {imported}"
