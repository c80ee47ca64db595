"""What is installed: the ranges of pyproject.toml hold the exact sets of requirements*.txt, and a wheel works."""

import ast
import shutil
import subprocess
import sys
import tomllib

import pytest
from helpers.launcher import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def pinned(file: str) -> dict[str, str]:
    """Name -> exact version."""
    lines = [line.split("#")[0].strip() for line in (ROOT / file).read_text(encoding="utf-8").splitlines()]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines if line)}


@pytest.mark.parametrize(
    ("file", "declared"),
    [
        ("requirements.txt", [*PROJECT["dependencies"], *EXTRAS["dev"]]),
        ("requirements-bench.txt", EXTRAS["bench"]),
        ("requirements-cuda.txt", EXTRAS["gpu"]),
    ],
)
def test_the_exact_set_is_within_the_ranges(file, declared):
    ranges = {canonicalize_name(one.name): one.specifier for one in map(Requirement, declared)}
    exact = pinned(file)
    assert exact.keys() == ranges.keys()
    assert [name for name, version in exact.items() if version not in ranges[name]] == []


def test_what_is_imported_is_declared():
    """By the library's name where it differs from the module's."""
    names = {"yaml": "pyyaml", "markupsafe": "jinja2", "huggingface_hub": "transformers", "safetensors": "transformers"}
    names |= {"tokenizers": "transformers", "mlflow": "mlflow-skinny"}
    declared = {canonicalize_name(Requirement(one).name) for one in [*PROJECT["dependencies"], *EXTRAS["dev"]]}
    for path in (ROOT / "kid").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            for module in {module.split(".")[0] for module in modules} - {*sys.stdlib_module_names, "kid"}:
                assert canonicalize_name(names.get(module, module)) in declared, f"{path}: {module}"


USE = """
import sys
from pathlib import Path

import kid
from kid.data.questions import find_databases, load_questions
from kid.evaluation.execution_accuracy import percent_correct, score_predictions
from kid.export.card import CARD
from kid.minibench.build import build_minibench
from kid.minibench.tiny_models import MODELS
from kid.report.page import Section, to_html

if __name__ == "__main__":
    assert Path(kid.__file__).is_relative_to(sys.argv[1]), kid.__file__
    assert (MODELS / "teacher" / "model.safetensors").is_file()
    assert "<h2" in to_html("Report", [Section("First")]) and CARD.get_template("card.md.jinja")
    build_minibench(Path("data"), 0, 16, 0.0, 2)
    questions = load_questions("spider", "valid", "data")[:5]
    found = find_databases("spider", "valid", "data", [question.db_id for question in questions])
    databases = {db_id: [path] for db_id, path in found.items()}
    answers = [question.query for question in questions[:-1]] + ["SELECT 1, 2, 3, 4, 5, 6, 7"]
    print(percent_correct(score_predictions(questions, answers, databases, workers=1)))
"""


@pytest.mark.slow
def test_a_wheel_imports_reads_its_files_and_scores(tmp_path):
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    tree = tmp_path / "tree"  # a build leaves folders of its own in it
    shutil.copytree(ROOT / "kid", tree / "kid", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    command = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", tmp_path, tree]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("kid-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "-q", "--target", tmp_path / "site", wheel], check=True)
    (tmp_path / "use.py").write_text(USE)
    command = [sys.executable, "use.py", tmp_path / "site"]
    environment = {"PYTHONPATH": str(tmp_path / "site"), "KID_CACHE": str(tmp_path / "cache"), "PATH": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "80.0\n"
