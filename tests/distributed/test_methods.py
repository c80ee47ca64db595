"""All nine methods, and each model family, under the launcher with two ZeRO-3 ranks; all in one launch."""

import json
import math
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import torch
from helpers.launcher import ROOT, launch_command
from helpers.run_files import metrics, timed_metrics
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from kid.config.methods import METHODS
from kid.data.teacher_outputs import prompt_hash
from kid.minibench.tiny_models import write_tiny_model
from kid.models.pretrained import load_tokenizer

STEPS = 20
FEW = 8  # of a method of which only the way is tested
NEARER = ("fkd", "rkd", "kid")
FAMILIES = ("qwen2", "llama", "codegen")
FAMILY_METHODS = ("kid", "gkd-rkl")
# Other ways to the same gradients: of a step with prompts run once, and of one with whole sequences and random batches.
OTHERWISE = {
    "zero2": {"deepspeed": str(ROOT / "ds_configs" / "student_zero2.json")},
    "accumulated": {"batching": "random", "micro_batch_size": 1},
    "random": {"batching": "random", "prefix": "off"},
}
KID_VARIANTS = {
    "hard": {"mask_strategy": "hard"},
    "easy-sample": {"mask_strategy": "easy", "fill": "sample"},
    "mask-only": {"rewrite": "mask-only", "mask_strategy": "uniform"},
    "gold-mle": {"mle_on": "gold", "divergence": "skew-rkl"},
    "bf16": {"dtype": "bf16"},
    "fused": {"mask_strategy": "easy", "logit_memory_mb": 16},
    "plain": {"mask_strategy": "easy", "fused": "off"},
    "whole": {"prefix": "off", "lora_dropout": 0},
    "checkpointed": {"prefix": "off", "lora_dropout": 0, "activation_checkpointing": "yes"},
}


@pytest.fixture(scope="module")
def runs(minibench, tiny_models, launch, tmp_path_factory) -> Path:
    """The folder of all runs. The student is a CodeGen whose head has a bias towards EOS: its outputs end after some
    tokens, few or many. The teacher is base + adapter."""
    folder = tmp_path_factory.mktemp("methods")
    zero = folder / "zero3.json"
    settings = {"stage": 3, "stage3_param_persistence_threshold": 0}
    zero.write_text(
        json.dumps({"zero_optimization": settings, "optimizer": {"type": "AdamW", "params": {"torch_adam": True}}})
    )
    data = folder / "data"
    shutil.copytree(minibench, data)
    questions = json.loads((data / "train_spider.json").read_text())
    schemas = json.loads((data / "tables.json").read_text())
    columns = {schema["db_id"]: len(schema["column_names"]) for schema in schemas}
    short = [question for question in questions if len(question["query"]) < 200]
    short.sort(key=lambda question: columns[question["db_id"]])
    (data / "train_spider.json").write_text(json.dumps(short[:80]))  # twenty steps an epoch
    tokenizer = load_tokenizer(tiny_models / "student", "--student")
    for family in FAMILIES:
        for name, hidden, padding in (("student", 32, 8), ("teacher", 48, 128)):  # another number of vocabulary rows
            sizes = {"hidden": hidden, "layers": 2, "heads": 4, "seed": 0, "family": family, "padding": padding}
            write_tiny_model(folder / f"{family}-{name}", tokenizer, **sizes)
    model = AutoModelForCausalLM.from_pretrained(folder / "codegen-student")
    with torch.no_grad():
        model.lm_head.bias[tokenizer.eos_token_id] += 4.5
    model.save_pretrained(folder / "student")
    tokenizer.save_pretrained(folder / "student")
    common = {
        "data": str(data), "deepspeed": str(zero), "dtype": "fp32", "lora_rank": 4, "lr": 1e-2, "batch_size": 4,
        "micro_batch_size": 2, "max_new_tokens": 40, "max_steps": STEPS, "seed": 3, "lora_dropout": 0.05,
    }  # fmt: skip
    teacher = {"teacher": str(folder / "teacher" / "adapter"), "teacher_deepspeed": str(zero)}
    outputs = {"teacher_outputs": str(folder / "outputs.jsonl")}
    entries = [
        {**common, "method": "sft", "student": str(folder / "codegen-teacher"), "output": str(folder / "teacher")},
        {"script": "generate", **teacher, **outputs, "data": str(data), "dtype": "fp32", "micro_batch_size": 16,
         "max_new_tokens": 40},
    ]  # fmt: skip
    student = {"student": str(folder / "student")}
    for method, row in METHODS.items():
        more = {**(teacher if row.needs_teacher else {}), **(outputs if method == "f-distill" else {})}
        more |= {"max_steps": STEPS if method in NEARER or len(row.sources) > 1 else FEW}
        entries.append({**common, **student, **more, "method": method, "output": str(folder / method)})
    for name, changes in KID_VARIANTS.items():
        more = {**teacher, **changes, "max_steps": 3}
        entries.append({**common, **student, **more, "method": "kid", "output": str(folder / name)})
    for method, row in METHODS.items():
        more = {**(teacher if row.needs_teacher else {}), **(outputs if method == "f-distill" else {})}
        more |= {"method": method, "lora_dropout": 0, "batching": "schema", "max_steps": 2}
        for prefix in ("on", "off"):
            where = str(folder / f"{method}-prefix-{prefix}")
            entries.append({**common, **student, **more, "prefix": prefix, "output": where, "gradients": True})
        for name in OTHERWISE if method in FAMILY_METHODS else ():
            where = str(folder / f"{method}-{name}")
            entries.append({**common, **student, **more, **OTHERWISE[name], "output": where, "gradients": True})
    for family in FAMILIES:
        for method in FAMILY_METHODS:
            more = {"student": str(folder / f"{family}-student"), "teacher": str(folder / f"{family}-teacher")}
            more |= {"teacher_deepspeed": str(zero), "max_steps": 3, "output": str(folder / f"{family}-{method}")}
            more |= {"micro_batch_size": 1}
            entries.append({**common, **more, "method": method})
        full = {"student": str(folder / f"{family}-student"), "lora_rank": 0, "max_steps": 2}
        entries.append({**common, **full, "method": "sft", "output": str(folder / f"{family}-full")})
    (folder / "list.json").write_text(json.dumps(entries))
    done = launch(2, ROOT / "tests" / "helpers" / "train_many.py", folder / "list.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "of the prompt tokens are not computed, because a micro-batch shares its schema" in done.stdout
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_a_method_trains(runs, method):
    rows = timed_metrics(runs / method)
    row = METHODS[method]
    assert len(rows) in (STEPS, FEW) and {line["source"] for line in rows} == set(row.sources)
    for line in rows:
        assert math.isfinite(line["loss"]) and line["grad_norm"] > 0
        assert (line["kd"] > 0) == row.needs_teacher
        assert (line["mle"] > 0) == (line["source"] in ("gold", "imperfect"))
        assert line["loss"] == pytest.approx(line["kd"] + line["mle"])
        assert (line["error_rate"] > 0) == (method == "kid")
        assert line["masked_error_rate"] + line["masked_gold_rate"] == (1 if method == "kid" else 0)
        assert (line["seconds_decode"] > 0) == (line["source"] == "on-policy")
    adapter = load_file(runs / method / "adapter" / "adapter_model.safetensors")
    assert any(weight.abs().max() > 0 for name, weight in adapter.items() if "lora_B" in name)


def test_distilling_brings_the_student_nearer(runs):
    """Over 20 steps the divergence falls, whichever it is."""
    for method in NEARER:
        kds = [line["kd"] for line in metrics(runs / method)]
        assert sum(kds[-5:]) < sum(kds[:5]), method


@pytest.mark.parametrize("method", ["f-distill", "imitkd", "gkd-fkl", "gkd-rkl", "gkd-jsd"])
def test_ranks_decode_outputs_of_different_lengths(runs, method):
    """And so many different numbers of forwards, between collectives that both must join."""
    first, second = (json.loads((runs / method / f"lengths-{rank}.json").read_text()) for rank in (0, 1))
    steps = sum(line["source"] == "on-policy" for line in metrics(runs / method))
    assert len(first) == len(second) == steps
    assert any(max(one) != max(two) for one, two in zip(first, second, strict=True))
    assert min(map(min, first + second)) >= 1 and max(map(max, first + second)) <= 40


@pytest.mark.parametrize("name", KID_VARIANTS)
def test_a_variant_of_kid_trains(runs, name):
    rows = metrics(runs / name)
    assert len(rows) == 3 and all(row["kd"] > 0 and row["mle"] > 0 and row["error_rate"] > 0 for row in rows)
    if name == "mask-only":
        assert all(row["masked_gold_rate"] == 0 for row in rows)


def assert_trained_alike(one: Path, other: Path) -> None:
    """The first step starts from the same weights; a step of Adam moves them by 1e-2, also where rounding decides."""
    for step, (a, b) in enumerate(zip(metrics(one), metrics(other), strict=True)):
        for key in ("loss", "kd", "mle", "error_rate", "grad_norm"):
            assert a[key] == pytest.approx(b[key], rel=1e-4 if step else 1e-5), key
    a, b = (load_file(run / "adapter" / "adapter_model.safetensors") for run in (one, other))
    for name, weight in b.items():
        torch.testing.assert_close(a[name], weight, rtol=1e-3, atol=1e-3)


def test_the_fused_losses_train_the_same_adapter(runs):
    assert_trained_alike(runs / "fused", runs / "plain")


def test_activations_computed_anew_train_the_same_adapter(runs):
    assert_trained_alike(runs / "checkpointed", runs / "whole")


@pytest.mark.parametrize("method", METHODS)
def test_prompts_run_once_train_the_same_adapter(runs, method):
    """On two ranks whose micro-batches share schemas of their own."""
    assert_trained_alike(runs / f"{method}-prefix-on", runs / f"{method}-prefix-off")
    shared = [line["shared_tokens"] for line in metrics(runs / f"{method}-prefix-on")]
    assert min(shared) > 0 and not any(line["shared_tokens"] for line in metrics(runs / f"{method}-prefix-off"))
    assert_same_gradients(runs / f"{method}-prefix-on", runs / f"{method}-prefix-off")


def assert_same_gradients(one: Path, other: Path) -> None:
    a, b = (torch.load(run / "gradients.pt") for run in (one, other))
    assert a.keys() == b.keys() and all("lora" in name for name in a)
    largest = max(gradient.norm() for gradient in b.values())
    for name, gradient in b.items():
        assert (a[name] - gradient).norm() <= 1e-5 * gradient.norm() + 1e-6 * largest, name


@pytest.mark.parametrize("method", FAMILY_METHODS)
def test_other_ways_to_the_same_gradients(runs, method):
    """In ZeRO-2; and in two micro-batches a rank, where decoding runs prompts of its own."""
    assert_same_gradients(runs / f"{method}-zero2", runs / f"{method}-prefix-off")
    assert_same_gradients(runs / f"{method}-accumulated", runs / f"{method}-random")


@pytest.mark.parametrize("method", FAMILY_METHODS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_trains(runs, family, method):
    rows = metrics(runs / f"{family}-{method}")
    assert len(rows) == 3 and all(math.isfinite(row["loss"]) and row["kd"] > 0 for row in rows)
    student, teacher = (
        json.loads((runs / f"{family}-{kind}" / "config.json").read_text()) for kind in ("student", "teacher")
    )
    assert student["vocab_size"] < teacher["vocab_size"]
    model = AutoModelForCausalLM.from_pretrained(runs / f"{family}-student")
    PeftModel.from_pretrained(model, runs / f"{family}-{method}" / "adapter")


@pytest.mark.parametrize("family", FAMILIES)
def test_full_fine_tuning_trains_the_head_too(runs, family):
    before = AutoModelForCausalLM.from_pretrained(runs / f"{family}-student").get_output_embeddings()
    after = AutoModelForCausalLM.from_pretrained(runs / f"{family}-full" / "model").get_output_embeddings()
    assert not torch.equal(after.weight, before.weight)
    assert (after.bias is not None) == (family == "codegen")
    assert after.bias is None or not torch.equal(after.bias, before.bias)


def test_teacher_outputs(runs):
    """One for each prompt, decoded by the adapter's teacher, and what f-distill trains on."""
    lines = [json.loads(line) for line in (runs / "outputs.jsonl").read_text().splitlines()]
    assert len(lines) == 81 and lines[0]["max_new_tokens"] == 40 and lines[0]["sample_temperature"] == 1.0
    assert len({line["prompt"] for line in lines[1:]}) == 80 and not (runs / "outputs.jsonl.parts").exists()
    tokenizer = load_tokenizer(runs / "student", "--student")
    for line in lines[1:]:
        ended = line["ids"][-1] == tokenizer.eos_token_id
        assert ended or len(line["ids"]) == 40
        assert line["text"] == tokenizer.decode(line["ids"], skip_special_tokens=True)
    assert all(len(line["prompt"]) == len(prompt_hash([1])) for line in lines[1:])


def test_generation_goes_on_where_it_was(runs, launch, tmp_path):
    """Half of the outputs are there, the last of them cut off; one rank with a whole teacher, which is stopped once,
    makes the others, and the file is the one that two ranks with a ZeRO-3 teacher made in one go."""
    whole = (runs / "outputs.jsonl").read_text()
    first, *lines = whole.splitlines(keepends=True)
    parts = tmp_path / "f.jsonl.parts"
    parts.mkdir()
    (parts / "header.json").write_text(first)
    (parts / "rank-0.jsonl").write_text("".join(lines[1:40:2]) + lines[41][:20])
    (parts / "rank-1.jsonl").write_text("".join(lines[:40:2]))
    flags = [
        "--teacher",
        runs / "teacher" / "adapter",
        "--data",
        runs / "data",
        "--teacher-outputs",
        tmp_path / "f.jsonl",
    ]
    flags += ["--teacher-deepspeed", "ds_configs/teacher_whole.json", "--dtype", "fp32", "--max-new-tokens", "40"]
    command = ["train/generate.py", *flags, "--micro-batch-size", "7"]
    with subprocess.Popen(launch_command(1, *command[:-1], "1"), cwd=ROOT, stdout=subprocess.PIPE, text=True) as job:
        before = (parts / "rank-0.jsonl").stat().st_size
        while (parts / "rank-0.jsonl").stat().st_size <= before:
            assert job.poll() is None
            time.sleep(0.05)
        (rank,) = (p for p in psutil.Process(job.pid).children(recursive=True) if "--local_rank=0" in p.cmdline())
        rank.terminate()
        assert "teacher outputs: stopped by SIGTERM; run the same command again to resume" in job.stdout.read()
    assert job.returncode == 75 and not (tmp_path / "f.jsonl").exists()
    done = launch(1, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "80 outputs" in done.stdout and (tmp_path / "f.jsonl").read_text() == whole and not parts.exists()
    again = launch(1, *command)
    assert again.returncode == 0 and "is finished: it holds the outputs of all 80 prompts" in again.stdout


def test_the_teachers_adapter_is_used(runs):
    """kid from base + adapter is not kid from the bare base: at the first step only the teacher differs."""
    base = AutoModelForCausalLM.from_pretrained(runs / "codegen-teacher")
    ids = torch.arange(3, 13)[None]
    plain = base(ids).logits
    assert not torch.equal(PeftModel.from_pretrained(base, runs / "teacher" / "adapter")(ids).logits, plain)
