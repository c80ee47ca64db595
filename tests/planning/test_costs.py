"""The planner's estimates, cures and shapes against numbers by hand and published ones, and its script."""

import json
import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location

import pytest
from helpers.launcher import ROOT, run_script
from helpers.live_engines import VOCABULARY, deepspeed_values, shape

from kid.config.keys import FIELDS, unused_reason
from kid.config.recipe import resolve_config
from kid.config.run_config import RunConfig
from kid.errors import InputError
from kid.planning.costs import Cost, Speeds, forward_tokens, gathered_bytes, reduction_bytes
from kid.planning.cures import CURES, candidate_configs, changed_flags, find_cure
from kid.planning.engines import peak_gathered_elements, prefetch_window
from kid.planning.plan import Machine, Models, estimate_run
from kid.planning.rehearsal import Layout
from kid.planning.shapes import build, find_shape

GIB = 2**30


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
    assert prefetch_window([5, 3, 4, 2, 1], prefetch=6) == 12
    assert prefetch_window([5, 3, 4, 2, 1], prefetch=0) == 5


def test_what_stays_gathered():
    """A teacher's weights leave at once; one pass of a student leaves some, up to a limit; several leave all."""
    module = build(shape("llama").config, "bf16", 0, True)
    head, layer = VOCABULARY * 64, 64 * (2 * 64 + 2 * 32 + 3 * 160)
    zero = {
        "stage3_param_persistence_threshold": 64, "stage3_prefetch_bucket_size": 0,
        "stage3_max_live_parameters": 50000, "stage3_max_reuse_distance": 9,
    }  # fmt: skip
    assert peak_gathered_elements(module, zero, trains=False, keeps_all=False, fused=True) == head
    assert peak_gathered_elements(module, zero, trains=True, keeps_all=False, fused=True) == 50000 + head
    everything = 2 * head + 4 * layer
    assert peak_gathered_elements(module, zero, trains=True, keeps_all=True, fused=True) == everything
    assert peak_gathered_elements(module, {**zero, "stage3_max_reuse_distance": 10**9}, True, False, True) == everything
    # The last weight before the head, which is prefetched behind it only where a forward uses it.
    zero["stage3_prefetch_bucket_size"] = 1
    assert peak_gathered_elements(module, zero, trains=False, keeps_all=False, fused=False) == 64 * 160 + head
    assert peak_gathered_elements(module, zero, trains=False, keeps_all=False, fused=True) == 64 * 64 + head


def test_tokens_that_run():
    """Two rows of 10 prompt tokens, 8 of them shared, and 4 output tokens, of which the last predicts nothing."""
    layout = Layout(rows=2, shared=8, unshared=2, output=4)
    assert forward_tokens(False, layout, 3, share=False, separately=False) == (3, 3 * 2 * 13)
    assert forward_tokens(True, layout, 1, share=False, separately=False) == (1, 2 * 13)
    assert forward_tokens(True, layout, 2, share=False, separately=True) == (3, 2 * 9 + 2 * 2 * 4)
    assert forward_tokens(True, layout, 2, share=True, separately=True) == (4, 8 + 2 * 1 + 2 * 2 * 4)


@pytest.mark.parametrize(("stage", "times"), [(0, 2), (1, 3), (2, 7), (3, 3)])
def test_bytes_of_gradients_and_updated_weights(stage, times):
    """Three micro-batches: summed once at stages 0 and 1, each at 2, scattered at 3; 1 and 2 gather new weights."""
    module = build(shape("llama").config, "bf16", 0, True)
    elements = sum(p.numel() for p in module.parameters())
    values = deepspeed_values(stage)
    assert reduction_bytes(module, values, "bf16", 3, ranks=4) == 2 * times * elements * 3 / 4


def test_bytes_of_gathered_weights():
    """Of a bf16 model whose norms are never let go, over eight ranks: 7/8 of what is gathered comes from others."""
    module = build(shape("llama").config, "bf16", 0, False)
    norms, head = 9 * 64, VOCABULARY * 64
    trunk = sum(p.numel() for p in module.parameters()) - norms - head
    values, passes = deepspeed_values(3), {"forwards": 2, "head_gathers": 1, "ranks": 8}
    assert gathered_bytes(module, values, "bf16", backwards=0, **passes) == 2 * (2 * trunk + head) * 7 / 8
    # What the first forward leaves serves the second, the embedding aside, and the backward.
    assert gathered_bytes(module, values, "bf16", backwards=1, **passes) == 2 * (trunk + 2 * head) * 7 / 8
    values["zero_optimization"] |= {"stage3_max_live_parameters": 1000, "stage3_max_reuse_distance": 1000}
    assert (
        gathered_bytes(module, values, "bf16", backwards=1, recomputed_forwards=1, **passes)
        == 2 * (4 * trunk + head) * 7 / 8
    )
    assert gathered_bytes(module, deepspeed_values(0), "bf16", backwards=1, **passes) == 0


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
    """Its bf16 weights are 60.6 GB; an eighth of them lies on each of eight GPUs, or in the host's memory, pinned: of
    each rank's parts the 26.8 MB of a layer's three largest take 64 MB each, q's and o's 8, k's and v's 2, and those
    of embedding and head 256 (MB of 2^20 bytes)."""
    config, models = big()
    found = estimate_run(config, models, Machine(8, 80 * GIB))
    lines = {line.name: line for line in found.lines}
    assert lines["teacher: weights (this rank's part)"].gpu / GIB == pytest.approx(60.558 / 8, rel=1e-3)
    assert found.first_excess(Machine(8, 80 * GIB)) is None
    offload = str(ROOT / "ds_configs" / "teacher_zero3_offload.json")
    moved = estimate_run(replace(config, teacher_deepspeed=offload), models, Machine(8, 80 * GIB))
    assert moved.gpu == pytest.approx(found.gpu - 60.558 / 8 * GIB, rel=1e-3)
    pinned = 64 * (3 * 64 + 2 * 8 + 2 * 2) + 2 * 256
    assert moved.host == found.host + 8 * pinned * 2**20
    small_host = Machine(8, 80 * GIB, 64 * GIB)
    assert moved.first_excess(small_host).startswith(
        "host memory: teacher: weights (this rank's part) (110.0 GB on a node"
    )
    assert find_cure(replace(config, teacher_deepspeed=offload), models, small_host).endswith("teacher_zero3.json")


@pytest.mark.slow
def test_the_first_thing_that_does_not_fit_and_its_cure():
    config, models = big()
    whole = replace(config, teacher_deepspeed=str(ROOT / "ds_configs" / "teacher_whole.json"))
    machine = Machine(8, 40 * GIB)
    assert (
        estimate_run(whole, models, machine).first_excess(machine).startswith("teacher: weights (60.6 GB on each GPU")
    )
    assert find_cure(whole, models, machine) == f"--teacher-deepspeed {config.teacher_deepspeed}"
    assert find_cure(whole, models, Machine(8, 3 * GIB)) is None


@pytest.mark.parametrize(("method", "cures"), [("kid", len(CURES)), ("sft", len(CURES) - 2)])
def test_training_takes_the_flags_of_every_cure(method, cures, monkeypatch):
    """And reads off them what was planned."""
    spec = spec_from_file_location("train_cli", ROOT / "train" / "cli.py")  # eval/ has a cli.py too
    cli = module_from_spec(spec)
    spec.loader.exec_module(cli)
    files = {"deepspeed": "student_zero2.json", "teacher_deepspeed": "teacher_whole.json"}
    start = {name: str(ROOT / "ds_configs" / file) for name, file in files.items()} | {"fused": "off"}
    start |= {"method": method, "student": "s", "data": "d", "output": "o", "teacher": "t"}
    start = {name: value for name, value in start.items() if not unused_reason(name, RunConfig(method=method))}
    words = [word for name, value in start.items() for word in (f"--{name.replace('_', '-')}", value)]
    config = resolve_config(None, start)
    configs = candidate_configs(config)
    assert len(configs) > cures
    for changed in configs:
        monkeypatch.setattr(sys, "argv", ["train.py", *words, *changed_flags(config, changed).split()])
        assert resolve_config(*cli.read_flags(cli.build_parser("", "", FIELDS, (), bool))) == changed


@pytest.mark.slow
def test_the_script_writes_its_predictions_and_says_what_is_wrong(tmp_path):
    def plan(*flags):
        return run_script("train/plan.py", "--gpus", "8", "--gpu-memory", "80", *flags)

    models = ["--student", "Qwen1.5-0.5B", "--teacher", "Qwen1.5-1.8B", "--method", "rkd"]
    done = plan(*models, "--json", str(tmp_path / "plan.json"))
    assert done.returncode == 0, done.stderr
    (record,) = json.loads((tmp_path / "plan.json").read_text())["methods"]
    held = sum(line["gpu"] for line in [*record["held"], *record["phases"][record["peak_phase"]]])
    assert record["fits"] and record["gpu_bytes"] == held + 2 * GIB
    assert f"{record['gpu_bytes'] / GIB:.1f}" in done.stdout
    wrong = plan(*models, "--mfu", "40")
    assert wrong.returncode == 2 and wrong.stderr.startswith("error: --mfu 40 is out of range")


@pytest.mark.slow
def test_a_stored_schema_is_neither_run_nor_gathered_for():
    """By hand: 3/4 of 100 prompt tokens are stored; 2 rows of 25 + 20 - 1 tokens are left, in one forward."""
    folder = ROOT / "ds_configs"
    models = Models(find_shape("Qwen1.5-0.5B", "--student"), find_shape("Qwen1.5-7B", "--teacher"))
    flags = {"method": "rkd", "student": "s", "teacher": "t", "data": "d", "output": "o", "max_prompt_length": 100}
    flags |= {"max_completion_length": 20, "teacher_deepspeed": str(folder / "teacher_whole.json")}
    config = resolve_config(None, flags | {"deepspeed": str(folder / "student_zero3.json")})
    found = estimate_run(config, models, Machine(8, 80 * GIB))
    # 32 layers, keys and values, 75 tokens, 4096 wide, 2 bytes
    assert found.schema_bytes == 32 * 2 * 75 * 4096 * 2
    assert found.stored_cost.uploaded == 2 * found.schema_bytes and found.cost.uploaded == 0
    trunk = 2 * 32 * (4 * 4096**2 + 3 * 4096 * 11008) + 2 * 32 * 4096 * 120  # operations of a token
    # Without a store prompts run apart, all but their last token, then the outputs.
    assert found.cost.operations - found.stored_cost.operations == 2 * ((99 + 20) - (25 + 19)) * trunk
    by_schema = estimate_run(replace(config, batching="schema"), models, Machine(8, 80 * GIB))
    assert by_schema.stored_cost.uploaded == found.schema_bytes  # one for both rows
    assert by_schema.cost.operations - by_schema.stored_cost.operations == 75 * trunk
    budgets = replace(config, teacher_prefix_gb=40.0, teacher_prefix_device_gb=5.0)
    budgeted = estimate_run(budgets, models, Machine(8, 80 * GIB))
    assert budgeted.host - found.host == 40 * 10**9 and budgeted.gpu - found.gpu == 5 * 10**9
    for off in ({"teacher_prefix_gb": 0.0}, {"prefix": False}, {"method": "sft"}):
        assert estimate_run(replace(config, **off), models, Machine(8, 80 * GIB)).stored_cost is None


def test_of_a_teacher_whose_states_are_stored_its_head_is_left():
    """By hand: 2 x 5120 x 152064 bytes of the 32B teacher's head, 5120 x 2 bytes for each of 2 x 20 output tokens."""
    config, models = big(max_completion_length=20, teacher_states="f", deepspeed="ds_configs/student_zero3.json")
    config = replace(config, deepspeed=str(ROOT / config.deepspeed))
    found, live = (
        estimate_run(each, models, Machine(1, 24 * GIB)) for each in (config, replace(config, teacher_states=None))
    )
    teacher = {line.name: line.gpu for line in found.lines if line.name.startswith("teacher")}
    assert teacher == {"teacher: head": 2 * 5120 * 152064}
    assert found.first_excess(Machine(1, 24 * GIB)) is None and live.first_excess(Machine(1, 24 * GIB)) is not None
    assert "teacher" not in found.phases and found.schema_bytes is None
    assert found.cost.uploaded == 8 * (2 * 20) * 5120 * 2 and live.cost.uploaded == 0  # 8 micro-batches
    assert found.cost.operations < live.cost.operations
