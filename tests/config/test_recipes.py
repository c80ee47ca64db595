"""The recipes: one for each run of the paper, each short, complete but for --data, with the settings of Table 9."""

import subprocess
import sys

import pytest
import yaml
from helpers.launcher import ROOT

from kid.config.methods import METHODS
from kid.config.recipe import read_recipe, resolve_config
from kid.planning.plan import Machine, Models, estimate_run
from kid.planning.shapes import find_shape

FOLDER = ROOT / "train" / "recipes"
RECIPES = {str(path.relative_to(FOLDER)).removesuffix(".yaml"): path for path in sorted(FOLDER.glob("[ft]*/*.yaml"))}
# Tables 3 and 4 have columns of models trained on BIRD, with and without its external knowledge.
PLACES = ("teacher", "teacher_outputs", "output")
BIRD = ("bird-with-evidence", "bird-without-evidence")
TABLE_9 = {
    "qwen": {"epochs": 8, "max_prompt_length": 1024, "max_completion_length": 128, "lora_rank": 64},
    "codegen": {"epochs": 8, "max_prompt_length": 1024, "max_completion_length": 128, "lora_rank": 8},
    "llama": {"epochs": 4, "max_prompt_length": 2048, "max_completion_length": 256, "lora_rank": 64},
}
SHARED = {"lr": 2e-4, "batch_size": 16, "lora_alpha": 32}
BY_TABLE = {
    "table2": {f"{teacher}-gkd-{kind}" for teacher in ("1.8b", "4b", "7b") for kind in ("fkl", "jsd")},
    "table3": {"sft"}
    | {f"teacher-{teacher}" for teacher in ("1.8b", "4b", "7b")}
    | {
        f"{teacher}-{method}"
        for teacher in ("1.8b", "4b", "7b")
        for method in ("fkd", "rkd", "f-distill", "imitkd", "gkd-rkl", "kid")
    },
    "table4": {
        f"{pair}-{run}" for pair in ("codegen", "tinyllama") for run in ("sft", "teacher", "rkd", "gkd-rkl", "kid")
    },
    "table5": {f"{pair}-{run}" for pair in ("codegen", "tinyllama") for run in ("vanilla", "mask-only")},
    # 14B is no run of the paper: it stands between 7B and 32B in slurm/sizes.txt.
    "table6": {"teacher-32b", "32b-fkd", "32b-rkd", "32b-kid", "teacher-14b", "14b-kid"},
    "figure4": {f"{pair}-{run}" for pair in ("codegen", "tinyllama") for run in ("uniform", "hard", "easy")},
    "figure5": {f"{pair}-{run}" for pair in ("codegen", "tinyllama") for run in ("0.1", "0.3", "0.4", "0.5")},
}


def test_every_run_of_the_paper_has_one():
    assert set(RECIPES) == {f"{folder}/{name}" for folder, names in BY_TABLE.items() for name in names}


@pytest.mark.slow
def test_the_runs_on_bird_are_those_on_spider_but_for_the_data():
    for table in ("table3", "table4"):
        for folder in BIRD:
            assert {path.stem for path in (FOLDER / table / folder).glob("*.yaml")} == BY_TABLE[table]
            for path in (FOLDER / table / folder).glob("*.yaml"):
                here, there = read_recipe(path), read_recipe(RECIPES[f"{table}/{path.stem}"])
                changed = {key: value for key, value in here.items() if there.get(key) != value}
                places = {key: there[key].replace("runs/", f"runs/{folder}/", 1) for key in PLACES if key in there}
                evidence = {} if folder == "bird-with-evidence" else {"evidence": False}
                assert {"evidence": True, **changed} == {"evidence": True, "benchmark": "bird", **evidence, **places}
                assert resolve_config(path, {"data": "d"}).evidence == (folder == "bird-with-evidence")
                assert len(path.read_text().splitlines()) <= 7


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_short_and_lacks_nothing_but_the_data(name):
    config = resolve_config(RECIPES[name], {"data": "d"})
    family = next(family for family in TABLE_9 if family in config.student.lower())
    for key, value in {**TABLE_9[family], **SHARED}.items():
        assert getattr(config, key) == value, key
    lines = RECIPES[name].read_text().splitlines()
    assert len(lines) <= 7 and lines[0].startswith("# ")
    last = name.rpartition("/")[2].partition("-")[2]
    assert last not in METHODS or config.method == last


def test_a_students_teacher_is_what_a_teachers_recipe_leaves():
    values = {name: read_recipe(path) for name, path in RECIPES.items()}
    made = {f"{recipe['output']}/adapter" for recipe in values.values() if recipe["method"] == "sft"}
    assert {recipe["teacher"] for recipe in values.values() if "teacher" in recipe} <= made
    outputs = [recipe["output"] for recipe in values.values()]
    assert len(set(outputs)) == len(outputs)


def test_the_ablations_recipes_differ_from_kid_in_one_key():
    for name, path in RECIPES.items():
        folder, _, run = name.partition("/")
        if folder in ("table5", "figure4", "figure5"):
            kid = read_recipe(RECIPES[f"table4/{run.partition('-')[0]}-kid"])
            differ = {key for key, value in read_recipe(path).items() if kid.get(key) != value}
            assert differ - {"output"} == {
                {"table5": "rewrite", "figure4": "mask_strategy", "figure5": "mask_ratio"}[folder]
            }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "shown", "hidden"),
    [
        ("distill.py", ["table3/1.8b-kid.yaml", "figure5/codegen-0.3.yaml"], ["table3/sft.yaml"]),
        ("sft.py", ["table3/sft.yaml", "table6/teacher-32b.yaml"], ["table3/1.8b-kid.yaml"]),
        ("generate.py", ["table3/4b-f-distill.yaml"], ["table3/1.8b-kid.yaml"]),
    ],
)
def test_help_lists_the_scripts_recipes(script, shown, hidden):
    done = subprocess.run([sys.executable, f"train/{script}", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    assert all(f"train/recipes/{recipe} " in done.stdout for recipe in shown)
    assert not any(f"train/recipes/{recipe} " in done.stdout for recipe in hidden)


def test_recipes_hold_no_key_twice():
    """YAML would take the last without a word."""
    for path in FOLDER.rglob("*.yaml"):
        keys = [line.partition(":")[0] for line in path.read_text().splitlines() if not line.startswith("#")]
        assert len(set(keys)) == len(keys) and set(yaml.safe_load(path.read_text())) == set(keys)


INSTRUCT = {
    "qwen2.5-coder": ({"0.5b", "1.5b"}, {"7b", "14b", "32b"}),
    "qwen3": ({"0.6b"}, {"8b", "32b"}),
    "llama3": ({"1b"}, {"8b", "70b"}),
    "smollm2-360m": ({"360m"}, {"1.7b"}),
}
ON_24_GB = {"qwen2.5-coder": ("0.5b-from-7b", "teacher-7b"), "smollm2-360m": ("360m-from-1.7b", "teacher-1.7b")}


@pytest.mark.parametrize("family", INSTRUCT)
def test_the_recipes_of_instruction_tuned_models(family):
    """Students and teachers are of one family, in the form of their chat template, and each teacher has its recipe."""
    students, teachers = INSTRUCT[family]
    paths = {path.stem: path for path in (FOLDER / family).glob("*.yaml")}
    pairs = {f"{student}-from-{teacher}" for student in students for teacher in teachers}
    large = pairs | {f"teacher-{teacher}" for teacher in teachers}
    assert set(paths) == large | {f"{name}-24gb" for name in ON_24_GB.get(family, ())}
    made = {f"{read_recipe(path)['output']}/adapter" for name, path in paths.items() if name.startswith("teacher")}
    for name, path in paths.items():
        config = resolve_config(path, {"data": "d"})
        assert (config.prompt, config.chat_template, config.method) == (
            "ddl", "auto", "sft" if name.startswith("teacher") else "kid"
        )  # fmt: skip
        assert name.split("-")[name.startswith("teacher")] in config.student.lower()
        assert config.method == "sft" or config.teacher in made


@pytest.mark.slow
@pytest.mark.parametrize("family", INSTRUCT)
def test_they_fit_on_eight_gpus_of_80_gb_or_one_of_24_by_the_planners_estimate(family):
    for path in (FOLDER / family).glob("*.yaml"):
        config = resolve_config(path, {"data": "d"})
        small, teacher = path.stem.endswith("-24gb"), None
        if config.method == "kid":
            recipe = path.parent / f"teacher-{path.stem.removesuffix('-24gb').rpartition('-')[2]}.yaml"
            teacher = find_shape(read_recipe(recipe)["student"], "--teacher")
        machine = Machine(1, 24 * 2**30) if small else Machine(8, 80 * 10**9)
        found = estimate_run(config, Models(find_shape(config.student, "--student"), teacher), machine)
        assert found.first_excess(machine) is None, (path.name, found.gpu)
