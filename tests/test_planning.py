"""The planner's bytes against those counted in live engines and forwards, its estimates against numbers by hand.

Run as a script it counts live engines on rank 0 of eight, whose collectives torch's "fake" backend stands in for.
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from deepspeed.utils.timer import SynchronizedWallClockTimer
from launcher import ROOT
from transformers import AutoConfig, AutoModelForCausalLM

import kid.fused.loss
from kid.config import RunConfig
from kid.data.batching import Sample, collate
from kid.errors import InputError
from kid.methods import METHODS
from kid.models import DTYPES, ResponseModel, add_lora
from kid.planning.costs import Cost, Speeds, forward_tokens, gathering, reducing
from kid.planning.engines import accumulated, training_lines, weight_lines, window
from kid.planning.plan import Machine, Models, chunk_bytes, find_cure, predict, taken
from kid.planning.rehearsal import Layout, rehearse_student
from kid.planning.shapes import Shape, build, find_shape
from kid.pretrained import Pretrained, TokenIds
from kid.step import ITS_OWN, KD, micro_batch_loss, passes

GIB = 2**30
RANKS = 8
VOCABULARY = 4096
TRUNK = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 4, "num_attention_heads": 4}
FAMILIES = {
    "qwen2": {**TRUNK, "num_key_value_heads": 4, "tie_word_embeddings": True},
    "llama": {**TRUNK, "num_key_value_heads": 2, "tie_word_embeddings": False},
    "codegen": {"n_embd": 64, "n_inner": 160, "n_layer": 4, "n_head": 4, "rotary_dim": 8, "n_positions": 512},
}
# Every third parameter's size is no multiple of the ranks' number; a few stay gathered.
ZERO = {"reduce_bucket_size": 20000, "stage3_param_persistence_threshold": 100}
STUDENT_CASES = [
    ("qwen2", 2, 4, "bf16"), ("llama", 2, 0, "bf16"), ("codegen", 2, 4, "fp32"), ("qwen2", 3, 4, "bf16"),
    ("llama", 3, 4, "fp32"), ("codegen", 3, 0, "bf16"), ("qwen2", 1, 4, "bf16"),
]  # fmt: skip
TEACHER_CASES = [("qwen2", 3), ("codegen", 3), ("llama", 0)]


def shape(family: str) -> Shape:
    return Shape(family, AutoConfig.for_model(family, vocab_size=VOCABULARY, **FAMILIES[family]))


def deepspeed_values(stage: int) -> dict:
    zero = {"stage": stage, **(ZERO if stage else {})}
    return {"zero_optimization": zero, "optimizer": {"type": "AdamW", "params": {"torch_adam": True}}}


def settings(**changes) -> RunConfig:
    return replace(RunConfig(dtype="fp32", lora_rank=4, batch_size=16, micro_batch_size=2, teacher="t"), **changes)


def size(tensors) -> int:
    """Bytes of their storages, each once."""
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


def live_student(family: str, stage: int, lora_rank: int, dtype: str, folder: Path) -> dict[str, int]:
    """Bytes of a student's engine on rank 0, by the planner's names, after one micro-batch and its update."""
    from kid.engine import student_engine

    config = settings(student=str(folder / family), lora_rank=lora_rank, dtype=dtype, output=str(folder / "run"))
    config = replace(config, batch_size=2 * config.batch_size)  # two micro-batches a step
    engine = student_engine(config, folder / family, deepspeed_values(stage), 10)
    optimizer, parameters = engine.optimizer, list(engine.module.parameters())
    found = {}
    if stage == 3:
        found["weights (this rank's part)"] = sum(p.ds_tensor.numel() * p.ds_tensor.element_size() for p in parameters)
        small = [p for p in parameters if p.ds_persist]
        found["small weights, always gathered"] = sum(p.ds_numel * p.ds_tensor.element_size() for p in small)
    else:
        found["weights"] = size(parameters)
    # What gives gradients a place in the buckets, whose buffers stages 1 and 2 let go after the micro-batch.
    name = "_DeepSpeedZeroOptimizer_Stage3__add_grad_to_ipg_bucket" if stage == 3 else "setup_buckets"
    make, buckets = getattr(optimizer, name), []

    def look(*given):
        make(*given)
        buffers = [bucket.buffer for bucket in optimizer.ipg_buckets.values()]
        buckets.append(size(t for own in buffers for t in (own if isinstance(own, list) else [own])))

    setattr(optimizer, name, look)
    ids = torch.arange(16).view(2, 8)
    for _ in range(2):
        states = engine(ids, torch.ones_like(ids), torch.arange(8).expand(2, -1), torch.arange(4), None, logits=False)
        engine.backward(states.float().sum())
        if stage == 3:
            own = [optimizer.grad_partitions_flat_buffer]
        elif stage == 2:  # of one micro-batch, then of both
            own = {**optimizer.all_grad_tensors, **optimizer.averaged_gradients}[0]
        else:
            own = [p.grad for p in parameters if p.grad is not None]
        held = sum(gradient.numel() * gradient.element_size() for gradient in own)
        found["gradients"] = max(found.get("gradients", 0), held)
        engine.step()
    found["reduce buckets"] = max(buckets)
    flat = optimizer.fp32_partitioned_groups_flat if stage == 3 else optimizer.single_partition_of_fp32_groups
    found["master weights"] = size(flat)
    moments = [t for state in optimizer.optimizer.state.values() for t in state.values() if torch.is_tensor(t)]
    found["optimizer moments"] = size(t for t in moments if t.numel() > 1)  # the counter of steps is none
    return found


def live_teacher(family: str, stage: int, folder: Path) -> dict[str, int]:
    from kid.engine import teacher_engine

    config = settings(student="s", teacher=str(folder / family), dtype="bf16", output=str(folder / "run"))
    base = folder / family
    engine = teacher_engine(config, Pretrained(base, None, base), deepspeed_values(stage))
    parameters = list(engine.module.parameters())
    if stage == 0:
        return {"weights": size(parameters)}
    small = sum(p.ds_numel for p in parameters if p.ds_persist)
    return {
        "weights (this rank's part)": sum(p.ds_tensor.numel() * 2 for p in parameters),
        "small weights, always gathered": 2 * small,
    }


def main() -> None:
    import deepspeed
    from torch.testing._internal.distributed.fake_pg import FakeStore

    folder = Path(sys.argv[1])
    torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=RANKS)
    deepspeed.init_distributed("gloo", verbose=False)
    for family in FAMILIES:
        AutoModelForCausalLM.from_config(shape(family).config).save_pretrained(folder / family)
    found = {str(case): live_student(*case, folder) for case in STUDENT_CASES}
    found |= {str(case): live_teacher(*case, folder) for case in TEACHER_CASES}
    (folder / "bytes.json").write_text(json.dumps(found))


@pytest.fixture(scope="module")
def live(tmp_path_factory) -> dict[str, dict[str, int]]:
    folder = tmp_path_factory.mktemp("engines")
    ranks = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": str(RANKS), "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    environment = {**os.environ, **ranks, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, __file__, folder], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "bytes.json").read_text())


@pytest.mark.parametrize("case", STUDENT_CASES, ids=str)
def test_a_students_engine_holds_what_is_predicted(live, case):
    """Weights, adapters, master weights, moments, gradients and buckets, each within 5 %."""
    family, stage, lora_rank, dtype = case
    module, values = build(shape(family).config, dtype, lora_rank, True), deepspeed_values(stage)
    lines = weight_lines(module, values, dtype, RANKS) + training_lines(module, values, dtype, RANKS, accumulation=2)
    predicted = {line.name: line.gpu for line in lines if not line.name.startswith("update")}
    if stage == 2:  # predicted for the rank that has most
        sizes = [p.numel() for p in module.parameters() if p.requires_grad]
        part = predicted["master weights"] // 4
        held = [accumulated(sizes, part, rank) * DTYPES[dtype].itemsize for rank in range(RANKS)]
        assert predicted["gradients"] == max(held)
        predicted["gradients"] = held[0]
    assert predicted == pytest.approx(live[str(case)], rel=0.05)


@pytest.mark.parametrize("case", TEACHER_CASES, ids=str)
def test_a_teachers_engine_holds_what_is_predicted(live, case):
    family, stage = case
    lines = weight_lines(build(shape(family).config, "bf16", 0, False), deepspeed_values(stage), "bf16", RANKS)
    assert {line.name: line.gpu for line in lines} == pytest.approx(live[str(case)], rel=0.05)


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
        Sample([*common, 5 + row, *torch.randint(3, 4000, (layout.own - 1 - row,)).tolist()],
               torch.randint(3, 4000, (layout.output,)).tolist())
        for row in range(layout.rows)
    ]  # fmt: skip
    batch = collate(samples, [0.1] * layout.rows, list(range(layout.rows)), 0, share)
    chunks, project = {}, kid.fused.loss.project

    def watched(hidden, head, out, tile):
        if watching:
            chunks[out.untyped_storage().data_ptr()] = out.untyped_storage().nbytes()
        project(hidden, head, out, tile)

    monkeypatch.setattr(kid.fused.loss, "project", watched)
    timers, tokens = SynchronizedWallClockTimer(), TokenIds(mask=1, eos=0, pad=0, count=4000)
    counted, watching = Counted(student), []
    losses = kid.step.losses

    def training(*given, **more):
        watching.append(True)  # the chunks of predictions are freed by now
        return losses(*given, **more)

    monkeypatch.setattr(kid.step, "losses", training)
    with counted:
        loss, _ = micro_batch_loss(config, source, student, teacher, batch, 0, tokens, timers)
        loss.backward()
    return sum(counted.sizes.values()) + sum(chunks.values())


LOOKS = [
    ("sft", "qwen2", {}), ("rkd", "qwen2", {}), ("rkd", "llama", {"prefix": False}), ("kid", "qwen2", {}),
    ("kid", "llama", {}), ("kid", "codegen", {}), ("kid", "qwen2", {"prefix": False}),
    ("kid", "llama", {"batching": "schema"}), ("kid", "codegen", {"batching": "schema"}), ("gkd-rkl", "llama", {}),
    ("kid", "qwen2", {"fused": False}), ("rkd", "llama", {"lora_rank": 0}), ("gkd-jsd", "codegen", {"fused": False}),
    ("gkd-jsd", "qwen2", {"batching": "schema"}), ("kid", "qwen2", {"mle_on": "gold", "mask_strategy": "hard"}),
    ("rkd", "qwen2", {"prefix": False, "activation_checkpointing": True}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "family", "changes"), LOOKS)
def test_saved_activations_and_chunks_of_logits_are_as_predicted(method, family, changes, monkeypatch):
    """Within 5 %; the chunk is smaller than the micro-batch, whose logits would be 256 rows."""
    config = settings(method=method, logit_memory_mb=16, **changes)
    source = METHODS[method].sources[0]
    share = config.batching == "schema"
    layout = Layout(2, 48, 24, 128) if share else Layout(2, 0, 72, 128)
    plan = [run for run in passes(config, source) if run.reads != ITS_OWN]
    counted = live_losses(config, source, family, layout, share, monkeypatch)
    common = None if config.fused or method == "sft" else VOCABULARY
    mine = taken(config, shape(family), layout, plan, share=share, apart=False, common=common)
    predicted = mine.saved
    if config.fused:
        student = build(shape(family).config, "fp32", config.lora_rank, True)
        teacher = build(shape(family).config, "fp32", 0, False) if method != "sft" else None
        rows = layout.rows * layout.output
        trained = [run for run in plan if run.trains]
        for run in trained:
            predicted += 4 * rows * 64 + (4 * VOCABULARY * 64 if config.lora_rank == 0 else 0)
            predicted += chunk_bytes(config, student, teacher if KD in run.gives else None, rows, "cpu")
    assert predicted == pytest.approx(counted, rel=0.05)


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
    predicted = taken(config, shape(family), layout, plan, share=False, apart=False, common=None)
    assert vars(predicted) == pytest.approx(vars(found), rel=0.02)


def test_what_a_layer_saves():
    """Qwen in bf16, by hand: of each token and layer six tensors of the hidden size and four of the MLP's, seven of
    LoRA's rank, the two norms' inputs and scales in fp32, a logarithm for each head, a row of the attention mask."""
    config = settings(method="sft", teacher="", dtype="bf16", lora_rank=64, prefix=False)
    layout = Layout(2, 0, 1024, 128)
    plan = [run for run in passes(config, "gold")]
    saved = taken(config, find_shape("Qwen1.5-0.5B", "s"), layout, plan, share=False, apart=False, common=None).saved
    columns = 1024 + 128 - 1
    a_token = 6 * 2 * 1024 + 4 * 2 * 2816 + 7 * 2 * 64 + 2 * 4 * (1024 + 1) + 4 * 16 + 2 * columns
    assert saved == pytest.approx(24 * 2 * columns * a_token, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("Qwen/Qwen1.5-0.5B", 463_987_712), ("Qwen/Qwen1.5-1.8B", 1_836_828_672), ("qwen1.5-4b", 3_950_369_280),
        ("Qwen/Qwen1.5-7B", 7_721_324_544), ("Qwen1.5-14B", 14_167_290_880), ("Qwen1.5-32B", 32_512_218_112),
        ("codegen-350M-multi", 356_712_448), ("Llama-2-7b-hf", 6_738_415_616),
        ("TinyLlama-1.1B-intermediate-step-1431k-3T", 1_100_048_384),
    ],
)  # fmt: skip
def test_the_papers_models_have_as_many_parameters_as_published(name, parameters):
    module = build(find_shape(name, "--student").config, "bf16", 0, True)
    assert sum(p.numel() for p in module.parameters()) == parameters


def test_an_adapter_stands_on_its_bases_shape_and_others_are_refused(tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "Qwen/Qwen1.5-4B", "r": 64}))
    found = find_shape(str(tmp_path), "--teacher")
    assert (found.config.hidden_size, found.adapter_rank) == (2560, 64)
    with pytest.raises(InputError, match=r"--teacher runs/none is neither a folder .* Qwen/Qwen1\.5-32B"):
        find_shape("runs/none", "--teacher")


def test_what_is_gathered_at_once():
    """While 5 is used, 3 and 4 follow until 6 elements are there; then 3 + 4 + 2, 4 + 2 + 1, 2 + 1, 1."""
    assert window([5, 3, 4, 2, 1], prefetch=6) == 12
    assert window([5, 3, 4, 2, 1], prefetch=0) == 5


def test_tokens_that_run():
    """Two rows of 10 prompt tokens, 8 of them shared, and 4 output tokens, of which the last predicts nothing."""
    layout = Layout(rows=2, shared=8, own=2, output=4)
    plain = settings(prefix=False)
    assert forward_tokens(plain, layout, 3, share=False, apart=False) == (3, 3 * 2 * 13)
    assert forward_tokens(settings(), layout, 1, share=False, apart=False) == (1, 2 * 13)
    assert forward_tokens(settings(), layout, 2, share=False, apart=True) == (3, 2 * 9 + 2 * 2 * 4)
    assert forward_tokens(settings(), layout, 2, share=True, apart=True) == (4, 8 + 2 * 1 + 2 * 2 * 4)


@pytest.mark.parametrize(("stage", "times"), [(0, 2), (1, 3), (2, 4), (3, 3)])
def test_bytes_of_gradients_and_updated_weights(stage, times):
    """Three micro-batches: summed once at stages 0 and 1, scattered each at 2 and 3; 1 and 2 gather the new weights."""
    module = build(shape("llama").config, "bf16", 0, True)
    elements = sum(p.numel() for p in module.parameters())
    values = deepspeed_values(stage)
    assert reducing(module, values, "bf16", 3, ranks=4) == 2 * times * elements * 3 / 4


def test_bytes_of_gathered_weights():
    module = build(shape("llama").config, "bf16", 0, False)
    norms, head = 9 * 64, VOCABULARY * 64
    elements = sum(p.numel() for p in module.parameters()) - norms
    found = gathering(module, deepspeed_values(3), "bf16", forwards=2, heads=1, ranks=8)
    assert found == 2 * (2 * (elements - head) + head) * 7 / 8
    assert gathering(module, deepspeed_values(0), "bf16", 2, 1, 8) == 0


def test_seconds_are_those_of_the_slowest():
    speeds = Speeds(peak=100.0, mfu=0.5, network=10.0)
    assert Cost(operations=100, collective=5).seconds(speeds) == 2
    assert Cost(operations=100, collective=50, decoding=1).seconds(speeds) == 6


def big(**changes) -> tuple[RunConfig, Models]:
    models = Models(find_shape("Qwen1.5-0.5B", "--student"), find_shape("Qwen1.5-32B", "--teacher"))
    folder = ROOT / "ds_configs"
    files = {"deepspeed": str(folder / "student_zero3.json"), "teacher_deepspeed": str(folder / "teacher_zero3.json")}
    return RunConfig(**{"method": "rkd", "teacher": "t", **files, **changes}), models


def test_a_32b_teacher_beside_the_smallest_student():
    """Its bf16 weights are 60.6 GB; an eighth of them lies on each of eight GPUs, or in the host's memory."""
    config, models = big()
    found = predict(config, models, Machine(8, 80 * GIB))
    lines = {line.name: line for line in found.lines}
    assert lines["teacher: weights (this rank's part)"].gpu / GIB == pytest.approx(60.558 / 8, rel=1e-3)
    assert found.first_over(Machine(8, 80 * GIB)) is None
    offload = str(ROOT / "ds_configs" / "teacher_zero3_offload.json")
    moved = predict(replace(config, teacher_deepspeed=offload), models, Machine(8, 80 * GIB))
    assert moved.gpu == pytest.approx(found.gpu - 60.558 / 8 * GIB, rel=1e-3)
    assert moved.host == pytest.approx(found.host + 60.558 * GIB, rel=1e-3)
    small_host = Machine(8, 80 * GIB, 64 * GIB)
    assert moved.first_over(small_host).startswith(
        "host memory: teacher: weights (this rank's part) (60.6 GB on a node"
    )
    assert find_cure(replace(config, teacher_deepspeed=offload), models, small_host).endswith("teacher_zero3.json")


def test_the_first_thing_that_does_not_fit_and_its_cure():
    config, models = big()
    whole = replace(config, teacher_deepspeed=str(ROOT / "ds_configs" / "teacher_whole.json"))
    machine = Machine(8, 40 * GIB)
    assert predict(whole, models, machine).first_over(machine).startswith("teacher: weights (60.6 GB on each GPU")
    assert find_cure(whole, models, machine) == "--teacher-deepspeed teacher_zero3.json"
    assert find_cure(whole, models, Machine(8, 3 * GIB)) is None


def test_the_script_writes_its_predictions_and_says_what_is_wrong(tmp_path):
    def plan(*flags):
        command = [sys.executable, ROOT / "train" / "plan.py", "--gpus", "8", "--gpu-memory", "80", *flags]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    models = ["--student", "Qwen1.5-0.5B", "--teacher", "Qwen1.5-1.8B", "--method", "rkd"]
    done = plan(*models, "--json", str(tmp_path / "plan.json"))
    assert done.returncode == 0, done.stderr
    (record,) = json.loads((tmp_path / "plan.json").read_text())["methods"]
    held = sum(line["gpu"] for line in [*record["held"], *record["phases"][record["peak_phase"]]])
    assert record["fits"] and record["gpu_bytes"] == held + 2 * GIB
    assert f"{record['gpu_bytes'] / GIB:.1f}" in done.stdout
    wrong = plan(*models, "--mfu", "40")
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: --mfu 40 is out of range")


if __name__ == "__main__":
    main()
