"""Real jobs under the launcher: ZeRO-3 over two ranks changes nothing but the cost."""

import json
import math

import pytest
import torch
from helpers.launcher import ROOT, run_script
from helpers.run_files import adapter, metrics, one_line
from peft import PeftModel
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModelForCausalLM

STEPS = 6  # of kid_run


def test_run_directory(kid_run):
    rows = metrics(kid_run)
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert all(row["kd"] > 0 and row["mle"] > 0 and row["grad_norm"] > 0 for row in rows)
    # A fifth of the tokens is masked; a student that has learnt next to nothing gets most of those wrong.
    assert all(0 < row["error_rate"] <= 0.3 and row["error_rate"] < row["masked_error_rate"] <= 1 for row in rows)
    assert sum(row["masked_error_rate"] for row in rows) / len(rows) > 0.5
    assert [row["epoch"] for row in rows] == [pytest.approx(step / 3) for step in range(1, STEPS + 1)]
    assert [row["step"] for row in rows if "validation_loss" in row] == [3, 6]
    # Two steps of warm-up, then half a cosine over the other four, which would end in the one after.
    expected = [0.5, 1, *[0.5 * (1 + math.cos(math.pi * step / 5)) for step in range(1, 5)]]
    assert [row["lr"] for row in rows] == pytest.approx([1e-2 * ratio for ratio in expected])
    assert rows[-1]["mle"] < rows[0]["mle"]
    assert {path.name for path in (kid_run / "adapters").iterdir()} == {"step-2", "step-4", "step-6"}
    assert {path.name for path in (kid_run / "checkpoints").glob("step-*")} == {"step-4", "step-6"}
    events = EventAccumulator(str(kid_run / "tensorboard")).Reload()
    assert [(e.step, pytest.approx(e.value)) for e in events.Scalars("train/loss")] == [
        (row["step"], row["loss"]) for row in rows
    ]
    environment = json.loads((kid_run / "environment.json").read_text())
    assert environment["world_size"] == 2 and environment["packages"]["torch"] == torch.__version__


def test_checkpoints_leave_frozen_weights_out(kid_run, tiny_models):
    base = (tiny_models / "student" / "model.safetensors").stat().st_size
    for file in (kid_run / "checkpoints" / "step-6").glob("*model_states.pt"):
        weights = torch.load(file, weights_only=False)["module"]
        assert any("lora_" in name for name in weights)
        # A tied head is named, but holds nothing.
        assert all("lora_" in name or weight.numel() == 0 for name, weight in weights.items())
        assert file.stat().st_size < base / 2


def test_adapter_loads_with_peft_and_changes_the_base(kid_run, tiny_models):
    base = AutoModelForCausalLM.from_pretrained(tiny_models / "student")
    ids = torch.arange(3, 13)[None]
    before = base(ids).logits
    after = PeftModel.from_pretrained(base, kid_run / "adapter")(ids).logits
    assert (after - before).abs().max() > 1e-3
    settings = json.loads((kid_run / "adapter" / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == str((tiny_models / "student").resolve())
    final, last = adapter(kid_run), adapter(kid_run, "adapters/step-6")
    assert final and all(torch.equal(final[name], last[name]) for name in final)


def test_kid_at_ratio_zero_writes_the_losses_of_rkd(distil, launch, tmp_path):
    flags = {name[2:].replace("-", "_"): value for name, value in zip(distil[::2], distil[1::2], strict=True)}
    both = [{"method": "kid", "mask_ratio": 0, "output": str(tmp_path / "zero")}]
    both += [{"method": "rkd", "output": str(tmp_path / "rkd")}]
    (tmp_path / "list.json").write_text(json.dumps([{**flags, **run} for run in both]))
    done = launch(2, ROOT / "tests" / "helpers" / "train_many.py", tmp_path / "list.json")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = metrics(tmp_path / "rkd")
    assert rows == metrics(tmp_path / "zero") and all(row["kd"] > 0 for row in rows)
    ours, theirs = adapter(tmp_path / "zero"), adapter(tmp_path / "rkd")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_one_rank_with_twice_the_accumulation_agrees(kid_run, kid_flags, launch, tmp_path):
    done = launch(1, *kid_flags, "--output", tmp_path / "one")
    assert done.returncode == 0, done.stdout + done.stderr
    for one, two in zip(metrics(tmp_path / "one"), metrics(kid_run), strict=True):
        assert one.pop("source") == two.pop("source")
        assert one == pytest.approx(two, rel=1e-5)
    ours, theirs = adapter(tmp_path / "one"), adapter(kid_run)
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, rtol=1e-3, atol=1e-5)


def test_another_config_in_the_same_directory_is_refused(kid_run, kid_flags, launch):
    before = {path: path.stat().st_mtime_ns for path in kid_run.rglob("*")}
    said = one_line(launch(2, *kid_flags, "--output", kid_run, "--resume", "--seed", "8", "--mask-ratio", "0.3"))
    assert "mask_ratio (0.2 there, 0.3 here), seed (7 there, 8 here)" in said
    assert before == {path: path.stat().st_mtime_ns for path in kid_run.rglob("*")}


def test_a_directory_with_a_run_is_refused_without_resume(kid_run, kid_flags, launch):
    assert "holds a run; add --resume" in one_line(launch(2, *kid_flags, "--output", kid_run))


def test_a_finished_run_is_left_as_it_is(kid_run, kid_flags, launch):
    before = {path: path.stat().st_mtime_ns for path in kid_run.rglob("*")}
    done = launch(2, *kid_flags, "--output", kid_run, "--resume")
    assert done.returncode == 0 and "is finished: 6 steps done" in done.stdout
    assert before == {path: path.stat().st_mtime_ns for path in kid_run.rglob("*")}


def test_fine_tuning_all_weights_exports_a_model(flags, launch, minibench, tmp_path):
    place = flags.index("--lora-rank")
    of_lora = {*range(place, place + 4)}  # its rank and its dropout
    flags = [flag for number, flag in enumerate(flags) if number not in of_lora]
    done = launch(2, "train/sft.py", *flags, "--lora-rank", "0", "--output", tmp_path / "full")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = metrics(tmp_path / "full")
    assert rows[-1]["loss"] < rows[0]["loss"] and all(row["kd"] == 0 for row in rows)
    predictions = tmp_path / "preds.sql"
    flags = ["--model", tmp_path / "full" / "model", "--data", minibench, "--output", predictions]
    flags += ["--split", "valid", "--max-completion-length", "5", "--batch-size", "64"]
    assert not run_script("eval/predict.py", *flags).returncode
    assert len(predictions.read_text().split("\n")) == 401


def test_three_steps_on_spider(real_data, tiny_models, distil, launch, tmp_path):
    """Real questions and databases; one training database is not in every copy."""
    more = ["--data", real_data / "spider", "--missing-database", "skip", "--max-steps", "3", "--method", "kid"]
    done = launch(2, "train/distill.py", *distil, *more, "--benchmark", "spider", "--output", tmp_path / "spider")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = metrics(tmp_path / "spider")
    assert len(rows) == 3 and all(row["kd"] > 0 and row["error_rate"] > 0 for row in rows)
