"""A base with persistent buffers, trained, resumed and exported on two ranks; and the learning rate of every step."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.launcher import ROOT
from helpers.run_files import metrics
from helpers.tiny_configs import SCALARS, write_buffered
from safetensors.torch import load_file

from kid.models.pretrained import load_tokenizer

STAGES = {"zero2": "student_zero2.json", "zero3": "student_zero3.json"}
LAST = "checkpoints/step-4"


@pytest.fixture(scope="module")
def entries(flags, tiny_models, tmp_path_factory) -> list[dict]:
    """Trainings of all weights with ZeRO-2 and ZeRO-3, of an adapter from a teacher whole or sharded."""
    folder = tmp_path_factory.mktemp("buffers")
    tokenizer = load_tokenizer(tiny_models / "student", "--student")
    rows = {"vocab_size": len(tokenizer), "vocab_size_per_layer_input": len(tokenizer)}
    write_buffered(folder / "base", **rows)
    tokenizer.save_pretrained(folder / "base")
    shared = {name[2:].replace("-", "_"): value for name, value in zip(flags[::2], flags[1::2], strict=True)}
    shared |= {"student": str(folder / "base"), "lora_dropout": 0, "max_steps": 4, "warmup_ratio": 0.5}
    full = {"method": "sft", "lora_rank": 0, "save_steps": 2}
    whole = {"teacher": str(folder / "base"), "teacher_deepspeed": str(ROOT / "ds_configs" / "teacher_whole.json")}
    sharded = {**whole, "teacher_deepspeed": str(ROOT / "ds_configs" / "teacher_zero3.json")}
    runs = {name: {**full, "deepspeed": str(ROOT / "ds_configs" / file)} for name, file in STAGES.items()}
    runs |= {"whole": {"method": "rkd", **whole}, "sharded": {"method": "rkd", **sharded}}
    return [{**shared, **run, "output": str(folder / name)} for name, run in runs.items()]


def train(entries: list[dict], launch) -> None:
    file = Path(entries[0]["output"]).with_name("list.json")
    file.write_text(json.dumps(entries))
    done = launch(2, ROOT / "tests" / "helpers" / "train_many.py", file)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def runs(entries, launch) -> Path:
    train(entries, launch)
    return Path(entries[0]["output"]).parent


@pytest.mark.parametrize("stage", STAGES)
def test_a_model_is_exported_with_the_buffers_of_its_base(runs, stage):
    base = load_file(runs / "base" / "model.safetensors")
    for folder in ("model", "models/step-2"):
        exported = load_file(runs / stage / folder / "model.safetensors")
        assert exported.keys() == base.keys()
        assert {name: exported[name].item() for name in SCALARS} == pytest.approx(SCALARS)


def test_the_stages_compute_the_same(runs):
    first, second = metrics(runs / "zero2"), metrics(runs / "zero3")
    assert [row["loss"] for row in first] == pytest.approx([row["loss"] for row in second], rel=1e-4)


@pytest.mark.parametrize("teacher", ["whole", "sharded"])
def test_a_teacher_has_its_buffers(runs, teacher):
    """Student and teacher are one model before the first step, so nothing is between them."""
    rows = metrics(runs / teacher)
    assert rows[0]["kd"] == pytest.approx(0, abs=1e-6) and rows[-1]["kd"] > 1e-6


def test_every_step_of_the_documented_schedule_also_after_resuming(runs, entries, launch, tmp_path):
    """Two steps of warm-up in four, resumed after the second."""
    again = [{**entry, "resume": True, "output": str(tmp_path / Path(entry["output"]).name)} for entry in entries[:2]]
    for name in STAGES:
        shutil.copytree(runs / name, tmp_path / name)
        shutil.rmtree(tmp_path / name / LAST)
        shutil.rmtree(tmp_path / name / "model")
    train(again, launch)
    for name in STAGES:
        rows = metrics(tmp_path / name)
        assert rows == metrics(runs / name)
        assert [row["lr"] for row in rows] == pytest.approx([1e-2 * share for share in (0.5, 1, 0.75, 0.25)])
        resumed, before = (load_file(at / name / "model" / "model.safetensors") for at in (tmp_path, runs))
        assert all(resumed[key].equal(before[key]) for key in before)
