"""A teacher's stored hidden states change nothing but the cost, and are refused where they do not fit."""

import copy
import json
from dataclasses import replace

import pytest
import torch
from helpers.shared_prompts import ARCHITECTURES, HOW, SAMPLES, assert_same, of_family, step_of
from helpers.steps import EOS, PAD, STEP, configuration, model
from transformers import AutoModelForCausalLM, Gemma2Config

from kid.config.methods import GOLD, METHODS
from kid.config.recipe import merge_config, resolve_config
from kid.data.batching import Dataset
from kid.data.teacher_states import (
    HEAD,
    HEADER,
    SHARD_SAMPLES,
    TeacherStates,
    check_header,
    layout_of,
    read_header,
    shard_name,
    states_header,
)
from kid.errors import InputError
from kid.losses.head import Head
from kid.minibench.tiny_models import MODELS, write_tiny_model
from kid.models.hashes import write_hashes
from kid.models.pretrained import load_tokenizer
from kid.models.response_model import ResponseModel
from kid.models.stored_teacher import head_bytes, load_stored_teacher
from kid.training.inputs import name_teacher, read_teacher_states
from kid.training.teacher_states import check_folder, is_whole, lack_of_space, store_teacher_states, write_shards

pytestmark = pytest.mark.usefixtures("one_rank")


class Ids:
    """As much of a tokenizer as a header takes."""

    eos_token_id, added_tokens_decoder = EOS, {}

    @staticmethod
    def get_vocab() -> dict[str, int]:
        return {"a": 0, "b": 1}


# One database's after the other's, and more than a shard holds.
MANY = Dataset(SAMPLES * 10, [f"db{place % 3}" for place in range(10 * len(SAMPLES))], [])


def stored(config, teacher, folder, dataset=None):
    """(what stands in for the teacher, its states), by way of the files."""
    dataset = dataset or Dataset(SAMPLES, ["db"] * len(SAMPLES), [])
    layout = layout_of(dataset)
    folder.mkdir(exist_ok=True)
    write_shards(config, teacher, dataset, layout, list(range(len(layout.shards))), folder, PAD)
    (folder / HEAD).write_bytes(head_bytes(teacher.head))
    return load_stored_teacher(folder / HEAD, torch.device("cpu")), TeacherStates(folder, layout)


def step_from_states(config, student, teacher, folder, step=STEP):
    """(sums, gradients) of a step without the teacher."""
    head, states = stored(config, teacher, folder)
    return step_of(config, GOLD, student, head, step, states=states)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(("step", "micro_batch_size"), [(STEP - 1, 2), (STEP, 4), (STEP, 2)])  # the last batch has 3
@pytest.mark.parametrize(
    "changes",
    [{}, {"reduction": "token", "temperature": 2.0, "kd_weight": 0.7}, {"divergence": "jsd"}, {"prefix": "off"}],
)
@pytest.mark.parametrize("method", ["fkd", "rkd"])
def test_a_step_is_that_with_the_teacher(method, changes, step, micro_batch_size, how, tmp_path):
    """With vocabularies of different sizes, and rows that only fill the batch."""
    student, teacher = model(0, 16, 40), model(1, 24, 44)
    config = configuration(method, **changes, **how, micro_batch_size=micro_batch_size)
    plain = step_of(config, GOLD, student, teacher, step)
    assert_same(step_from_states(config, student, teacher, tmp_path, step), plain, 1e-5)


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_every_family(family, tmp_path):
    student, teacher = of_family(family, 0, lora=True), of_family(family, 1, lora=True)
    config = configuration("rkd", micro_batch_size=4)
    assert_same(step_from_states(config, student, teacher, tmp_path), step_of(config, GOLD, student, teacher), 1e-5)


def test_in_micro_batches_of_the_same_rows_the_bits_are_the_same(tmp_path):
    student, teacher = model(0, 16, 40), model(1, 24, 44)
    config = configuration("rkd", batching="schema", micro_batch_size=1)
    sums, gradients = step_from_states(config, student, teacher, tmp_path)
    plain_sums, plain = step_of(config, GOLD, student, teacher)
    assert sums == plain_sums
    assert all(torch.equal(gradient, gradients[name]) for name, gradient in plain.items())


def flat(gradients):
    return torch.cat([gradient.double().flatten() for gradient in gradients.values()])


def test_in_bf16_the_difference_is_rounding(tmp_path):
    rounded = [of_family("qwen", seed, lora=seed == 0, dtype=torch.bfloat16) for seed in (0, 1)]
    exact = [ResponseModel(copy.deepcopy(each.model)).double() for each in rounded]
    config = configuration("rkd", micro_batch_size=4)
    head, states = stored(config, rounded[1], tmp_path)
    assert states[0].dtype == head.head.weight.dtype == torch.bfloat16
    exact_sums, exact_gradients = step_of(config, GOLD, *exact)
    exact_gradient, errors = flat(exact_gradients), {}
    runs = {"stored": step_of(config, GOLD, rounded[0], head, states=states), "plain": step_of(config, GOLD, *rounded)}
    for name, (sums, gradients) in runs.items():
        of_gradient = (flat(gradients) - exact_gradient).norm() / exact_gradient.norm()
        errors[name] = abs(sums["loss"] / exact_sums["loss"] - 1), of_gradient.item()
    assert errors["stored"][0] < 0.02 and errors["stored"][1] < max(0.02, 2 * errors["plain"][1]), errors


def test_a_head_is_read_back_with_its_bias_scale_and_cap(tmp_path):
    torch.manual_seed(0)
    weight, bias = torch.randn(5, 3), torch.randn(5)
    for head in (Head(weight), Head(weight, bias, 0.1, 30.0), Head(weight.bfloat16(), None, 1 / 3)):
        (tmp_path / HEAD).write_bytes(head_bytes(head))
        found = load_stored_teacher(tmp_path / HEAD, torch.device("cpu")).head
        assert (found.scale, found.soft_cap) == (head.scale, head.soft_cap)
        assert torch.equal(found.weight, head.weight) and found.weight.dtype == head.weight.dtype
        assert (found.bias is None) == (head.bias is None) and (head.bias is None or torch.equal(found.bias, bias))
    (tmp_path / HEAD).write_bytes(b"torn")
    with pytest.raises(InputError, match=r"head\.safetensors cannot be read .*create it again"):
        load_stored_teacher(tmp_path / HEAD, torch.device("cpu"))


def test_a_capped_head_gives_the_same_losses(tmp_path):
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=40, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, head_dim=8, final_logit_softcapping=3.0, attn_implementation="eager",
        layer_types=["full_attention"] * 2,
    )  # fmt: skip
    teacher = ResponseModel(AutoModelForCausalLM.from_config(config))
    student, config = model(0, 16, 40), configuration("fkd", micro_batch_size=4)
    assert_same(step_from_states(config, student, teacher, tmp_path), step_of(config, GOLD, student, teacher), 1e-5)


def test_every_sample_has_a_place_and_only_what_is_missing_runs(tmp_path):
    teacher, config = model(1, 24, 44), configuration("rkd", micro_batch_size=4)
    layout = layout_of(MANY)
    assert sorted(layout.order) == list(range(len(MANY.samples))) and layout.lengths == [
        len(sample.completion_ids) for sample in MANY.samples
    ]
    assert [MANY.db_ids[index] for index in layout.order] == sorted(MANY.db_ids)
    assert [len(shard) for shard in layout.shards] == [SHARD_SAMPLES, len(MANY.samples) - SHARD_SAMPLES]
    _, states = stored(config, teacher, tmp_path, MANY)
    assert [len(states[index]) for index in range(len(MANY.samples))] == layout.lengths
    # The same sample has the same states, wherever it stands.
    for index in range(len(SAMPLES)):
        for again in range(index, len(MANY.samples), len(SAMPLES)):
            torch.testing.assert_close(states[again], states[index], rtol=1e-4, atol=1e-5)
    (tmp_path / shard_name(1)).unlink()
    first = (tmp_path / shard_name(0)).stat().st_mtime_ns
    assert is_whole(tmp_path, 0, layout) and not is_whole(tmp_path / "other", 1, layout)
    write_shards(config, teacher, MANY, layout, [1], tmp_path, PAD)
    assert is_whole(tmp_path, 1, layout) and (tmp_path / shard_name(0)).stat().st_mtime_ns == first
    others = layout_of(replace(MANY, samples=[*MANY.samples[:-1], SAMPLES[4]]))
    assert not all(is_whole(tmp_path, number, others) for number in range(2))


PATHS = {"student": "s", "data": "d", "output": "o"}


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("fkd", "rkd")])
def test_methods_whose_outputs_change_refuse_them(method):
    flags = {"method": method, **PATHS, "teacher_states": "f"}
    if METHODS[method].needs_teacher:
        flags["teacher"] = "t"
    if method == "f-distill":
        flags["teacher_outputs"] = "o.jsonl"
    why = "has no teacher" if method == "sft" else "has new outputs in every step"
    with pytest.raises(InputError, match=f"--teacher-states f: method {method} {why}"):
        resolve_config(None, flags)


def test_logits_are_not_stored():
    with pytest.raises(InputError, match="--teacher-states f: --fused off uses the teacher's logits"):
        resolve_config(None, {"method": "rkd", **PATHS, "teacher_states": "f", "fused": "off"})


CHANGES = [
    ({"teacher": "U"}, "it was made with another teacher"),
    ({"tokenizer": "q"}, "it was made with another tokenizer"),
    ({"dtype": "bf16"}, "it was made with another --dtype"),
    ({"prompts": "q"}, "its prompts differ: the data, the tokenizer, the prompt format or --max-prompt-length"),
    ({"outputs": "q"}, "its outputs differ"),
    ({"format": 0}, "another version"),
]


@pytest.mark.parametrize(("changes", "message"), CHANGES)
def test_states_of_something_else_are_refused(changes, message, tmp_path):
    config = configuration("rkd", dtype="fp32")
    here = states_header(config, "T", Ids, layout_of(MANY))
    (tmp_path / HEADER).write_text(json.dumps({**here, **changes}))
    with pytest.raises(InputError, match=f"does not fit: {message}"):
        check_header(tmp_path, read_header(tmp_path), here, "do this")
    with pytest.raises(InputError, match="choose another folder, or remove this one"):
        check_folder(tmp_path, here)


def test_a_run_reads_complete_states_only(tmp_path):
    """And has the name and the fingerprint of the teacher out of them, wherever that is now."""
    teacher = model(1, 24, 44)
    config = configuration("rkd", dtype="fp32", teacher="gone/teacher", teacher_states=str(tmp_path / "states"))
    with pytest.raises(InputError, match=r"header\.json: No such file .*create it with train/teacher_states\.py"):
        read_teacher_states(config, Ids, MANY, "")
    stored(config, teacher, tmp_path / "states", MANY)
    folder, header = tmp_path / "states", states_header(config, "T", Ids, layout_of(MANY))
    (folder / HEADER).write_text(json.dumps(header))
    assert not check_folder(folder, header)
    with pytest.raises(InputError, match=r"is not complete; run train/teacher_states\.py again"):
        read_teacher_states(config, Ids, MANY, "")
    write_hashes(folder)
    assert check_folder(folder, header)
    train, teacher_hash = read_teacher_states(config, Ids, MANY, "")
    assert teacher_hash == "T" and len(train.teacher_states[3]) == len(MANY.samples[3].completion_ids)
    assert name_teacher(replace(config, teacher="")).teacher == "gone/teacher"
    read_teacher_states(config, Ids, MANY, "gone/teacher")  # is not here; its name is right
    with pytest.raises(InputError, match=r"--teacher other/one does not exist, and .* are from gone/teacher; remove"):
        read_teacher_states(config, Ids, MANY, "other/one")
    tokenizer = load_tokenizer(MODELS / "student", "--student")
    write_tiny_model(tmp_path / "another", tokenizer, hidden=32, layers=1, heads=2, seed=0)
    with pytest.raises(InputError, match="does not fit: it was made with another teacher"):
        read_teacher_states(config, Ids, MANY, str(tmp_path / "another"))
    damaged = bytearray((folder / shard_name(1)).read_bytes())
    damaged[-1] ^= 1
    (folder / shard_name(1)).write_bytes(damaged)
    with pytest.raises(InputError, match=f"{shard_name(1)} has changed since it was written"):
        read_teacher_states(config, Ids, MANY, "")
    # The script makes that shard again, and no other.
    assert not check_folder(folder, header)
    assert [is_whole(folder, number, layout_of(MANY)) for number in (0, 1)] == [True, False]


def test_the_names_of_databases_count(tmp_path):
    """The shards are in their order."""
    config, renamed = (
        configuration("rkd"),
        replace(MANY, db_ids=["z" if name == "db0" else name for name in MANY.db_ids]),
    )
    one, other = (states_header(config, "T", Ids, layout_of(data)) for data in (MANY, renamed))
    with pytest.raises(InputError, match="its prompts differ"):
        check_header(tmp_path, one, other, "do this")


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    assert not check_folder(tmp_path, {}) and not check_folder(tmp_path / "new", {})
    (tmp_path / f".{HEADER}.123").touch()  # of an attempt that was killed
    assert not check_folder(tmp_path, {})
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(InputError, match="holds files that are not teacher states; choose another folder"):
        check_folder(tmp_path, {})


def test_a_disk_without_room_is_one_line(tmp_path):
    assert lack_of_space(tmp_path / "not" / "there", 1) == ""
    found = lack_of_space(tmp_path / "not" / "there", 1e18)
    assert "needs 1000000000.0 GB, but only " in found and "GB are free; free space or" in found


def test_the_root_is_no_folder_for_them(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    with pytest.raises(InputError, match="--teacher-states / cannot be used; give a folder below it"):
        store_teacher_states(merge_config(None, {"teacher_states": "/"}))


def test_the_launcher_starts_it(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(InputError, match="start this script with the launcher: deepspeed"):
        store_teacher_states(merge_config(None, {"teacher_states": "f"}))
