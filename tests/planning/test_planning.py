"""The planner's bytes against those counted in live engines (live_engines.py), forwards and backwards."""

import json
import os
import subprocess
import sys

import pytest
import torch
from deepspeed.utils.timer import SynchronizedWallClockTimer
from helpers.launcher import ROOT
from helpers.live_engines import (
    FAMILIES,
    LAYOUT,
    RANKS,
    STEP_CASES,
    STEP_MODEL,
    STUDENT_CASES,
    TEACHER_CASES,
    VOCABULARY,
    deepspeed_values,
    settings,
    shape,
)
from transformers import AutoModelForCausalLM

import kid.losses.fused
from kid.config.methods import METHODS
from kid.config.run_config import RunConfig
from kid.data.batching import Sample, collate
from kid.models.loading import DTYPES, add_lora
from kid.models.pretrained import TokenIds
from kid.models.response_model import ResponseModel
from kid.planning.costs import reduction_bytes, step_cost
from kid.planning.engines import accumulated_elements, training_memory, weight_memory
from kid.planning.plan import chunk_bytes, memory_use
from kid.planning.rehearsal import Layout, rehearse_student
from kid.planning.shapes import build, find_shape
from kid.training.passes import KD, OWN_TOKENS, passes
from kid.training.step import micro_batch_loss


@pytest.fixture(scope="module")
def live(tmp_path_factory) -> dict[str, dict[str, int]]:
    folder = tmp_path_factory.mktemp("engines")
    ranks = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": str(RANKS), "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    environment = {**os.environ, **ranks, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, ROOT / "tests" / "helpers" / "live_engines.py", folder]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "bytes.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("case", STUDENT_CASES, ids=str)
def test_a_students_engine_holds_what_is_predicted(live, case):
    """Weights, adapters, master weights, moments, gradients and buckets, and what is received, each within 5 %."""
    family, stage, lora_rank, dtype = case
    module, values = build(shape(family).config, dtype, lora_rank, True), deepspeed_values(stage)
    lines = weight_memory(module, values, dtype, RANKS) + training_memory(module, values, dtype, RANKS, accumulation=2)
    predicted = {line.name: line.gpu for line in lines if not line.name.startswith("update")}
    if stage == 2:  # predicted for the rank that has most
        sizes = [p.numel() for p in module.parameters() if p.requires_grad]
        part = predicted["master weights"] // 4
        held = [accumulated_elements(sizes, part, rank) * DTYPES[dtype].itemsize for rank in range(RANKS)]
        assert predicted["gradients"] == max(held)
        predicted["gradients"] = held[0]
    predicted["received"] = reduction_bytes(module, values, dtype, accumulation=2, ranks=RANKS)
    assert predicted == pytest.approx(live[str(case)], rel=0.05)


@pytest.mark.parametrize("case", TEACHER_CASES, ids=str)
def test_a_teachers_engine_holds_what_is_predicted(live, case):
    family, stage = case
    lines = weight_memory(build(shape(family).config, "bf16", 0, False), deepspeed_values(stage), "bf16", RANKS)
    assert {line.name: line.gpu for line in lines} == pytest.approx(live[str(case)], rel=0.05)


@pytest.mark.parametrize("case", STEP_CASES, ids=str)
def test_a_step_receives_what_is_predicted(live, case):
    """Within 15 %: what ZeRO-3 leaves gathered from pass to pass is known roughly."""
    method, changes = case
    config, zero = settings(method=method, dtype="bf16", **changes), deepspeed_values(3)
    student, teacher = (build(STEP_MODEL.config, "bf16", rank, rank > 0) for rank in (config.lora_rank, 0))
    share = config.batching == "schema"
    cost = step_cost(
        config, METHODS[method].sources[0], student, teacher, (zero, zero), LAYOUT, share, RANKS, accumulation=1
    )
    assert cost.collective == pytest.approx(live[str(case)], rel=0.15)


class Counted(torch.autograd.graph.saved_tensors_hooks):
    """Storages that autograd has saved, without the weights."""

    def __init__(self, module):
        self.sizes = {}
        weights = {p.data_ptr() for p in module.parameters()}

        def pack(tensor):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                self.sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        super().__init__(pack, lambda tensor: tensor)


def live_losses(config: RunConfig, source: str, family: str, layout: Layout, share: bool, monkeypatch) -> int:
    """Bytes that autograd has saved and chunks of logits, of a micro-batch, with padding, run for real."""
    torch.manual_seed(0)
    student = AutoModelForCausalLM.from_config(shape(family).config, dtype=torch.float32)
    if config.activation_checkpointing:
        student.gradient_checkpointing_enable({"use_reentrant": False})
    student = ResponseModel(add_lora(student, config.lora_rank, 8, 0.0, 0) if config.lora_rank else student).train()
    teacher = None
    if METHODS[config.method].needs_teacher:
        teacher = ResponseModel(AutoModelForCausalLM.from_config(shape(family).config).requires_grad_(False)).eval()
    common = torch.randint(3, 4000, (layout.shared,)).tolist()
    samples = [
        Sample([*common, 5 + row, *torch.randint(3, 4000, (layout.unshared - 1 - row,)).tolist()],
               torch.randint(3, 4000, (layout.output,)).tolist())
        for row in range(layout.rows)
    ]  # fmt: skip
    batch = collate(samples, [0.1] * layout.rows, list(range(layout.rows)), 0, share)
    chunks, project = {}, kid.losses.fused.project

    def watched(hidden, head, out, tile):
        if watching:
            chunks[out.untyped_storage().data_ptr()] = out.untyped_storage().nbytes()
        project(hidden, head, out, tile)

    monkeypatch.setattr(kid.losses.fused, "project", watched)
    timers, tokens = SynchronizedWallClockTimer(), TokenIds(mask=1, eos=0, pad=0, count=4000)
    counted, watching = Counted(student), []
    losses = kid.training.step.losses

    def training(*given, **more):
        watching.append(True)  # the chunks of predictions are freed by now
        return losses(*given, **more)

    monkeypatch.setattr(kid.training.step, "losses", training)
    with counted:
        loss, _ = micro_batch_loss(config, source, student, teacher, batch, 0, tokens, timers)
        loss.backward()
    return sum(counted.sizes.values()) + sum(chunks.values())


LOOKS = [
    ("sft", "qwen2", {}), ("rkd", "llama", {"prefix": False}), ("rkd", "llama", {"lora_rank": 0}),
    ("rkd", "qwen2", {"prefix": False, "activation_checkpointing": True}), ("gkd-rkl", "llama", {}),
    ("kid", "codegen", {}), ("kid", "llama", {"batching": "schema"}), ("kid", "qwen2", {"fused": False}),
    ("kid", "qwen2", {"mle_on": "gold", "mask_strategy": "hard"}),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("method", "family", "changes"), LOOKS)
def test_saved_activations_and_chunks_of_logits_are_as_predicted(method, family, changes, monkeypatch):
    """Within 5 %; the chunk is smaller than the micro-batch, whose logits would be 256 rows."""
    config = settings(method=method, logit_memory_mb=16, **changes)
    source = METHODS[method].sources[0]
    share = config.batching == "schema"
    layout = Layout(2, 48, 24, 128) if share else Layout(2, 0, 72, 128)
    plan = [this for this in passes(config, source) if this.reads != OWN_TOKENS]
    counted = live_losses(config, source, family, layout, share, monkeypatch)
    teacher_head_rows = None if config.fused or method == "sft" else VOCABULARY
    mine = memory_use(
        config, shape(family), layout, plan, share=share, separately=False, teacher_head_rows=teacher_head_rows
    )
    predicted = mine.saved
    if config.fused:
        student = build(shape(family).config, "fp32", config.lora_rank, True)
        teacher = build(shape(family).config, "fp32", 0, False) if method != "sft" else None
        rows = layout.rows * layout.output
        trained = [this for this in plan if this.needs_gradient]
        for this in trained:
            predicted += 4 * rows * 64 + (4 * VOCABULARY * 64 if config.lora_rank == 0 else 0)
            predicted += chunk_bytes(config, student, teacher if KD in this.gives else None, rows, "cpu")
    assert predicted == pytest.approx(counted, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_fake_tensors_of_few_layers_tell_the_peaks_of_real_ones(family):
    """Those of four layers with memory, to the byte or nearly."""
    config, layout = settings(method="kid"), Layout(2, 0, 72, 128)
    plan = tuple(passes(config, "imperfect"))
    real = AutoModelForCausalLM.from_config(shape(family).config, dtype=torch.float32)
    real = ResponseModel(add_lora(real, 4, 8, 0.0, 0)).train()
    # Padded, as batches of real data are: without padding there is no attention mask.
    samples = [Sample([1] * (72 - row), [0] * 128) for row in range(2)]
    found = rehearse_student(config, real, collate(samples, [1.0, 1.0], [0, 1], 0), plan, None)
    predicted = memory_use(config, shape(family), layout, plan, share=False, separately=False, teacher_head_rows=None)
    assert vars(predicted) == pytest.approx(vars(found), rel=0.02)


def test_what_a_layer_saves():
    """Qwen in bf16, by hand: of each token and layer six tensors of the hidden size and four of the MLP's, seven of
    LoRA's rank, the two norms' inputs and scales in fp32, a logarithm for each head, a row of the attention mask."""
    config = settings(method="sft", teacher="", dtype="bf16", lora_rank=64, prefix=False)
    layout = Layout(2, 0, 1024, 128)
    plan = [this for this in passes(config, "gold")]
    saved = memory_use(
        config, find_shape("Qwen1.5-0.5B", "s"), layout, plan, share=False, separately=False, teacher_head_rows=None
    ).saved
    columns = 1024 + 128 - 1
    token_bytes = 6 * 2 * 1024 + 4 * 2 * 2816 + 7 * 2 * 64 + 2 * 4 * (1024 + 1) + 4 * 16 + 2 * columns
    assert saved == pytest.approx(24 * 2 * columns * token_bytes, rel=1e-3)
