"""Tokens that were added to a tokenizer but not to its model, or to one of two tokenizers, and who reads them."""

import json
import shutil
from pathlib import Path

import pytest
from helpers.launcher import ROOT
from helpers.small_benchmark import edit
from safetensors.torch import load_file, save_file

from kid.config.recipe import resolve_config
from kid.data.teacher_outputs import outputs_header, prompt_hash
from kid.errors import InputError
from kid.models.pretrained import find_teacher, fingerprint, load_tokenizer
from kid.training.inputs import read_inputs, read_teacher_inputs

CPU = str(ROOT / "ds_configs" / "cpu.json")


@pytest.fixture
def flags(minibench, tiny_models, tmp_path, monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    paths = {"data": minibench, "student": tiny_models / "student", "teacher": tiny_models / "teacher"}
    values = {name: str(path) for name, path in paths.items()} | {"output": str(tmp_path / "run"), "dtype": "fp32"}
    return {**values, "method": "kid", "deepspeed": CPU, "teacher_deepspeed": CPU, "max_completion_length": 200}


def read(flags, **changes):
    return read_inputs(resolve_config(None, {**flags, **changes}))


def with_token(model: Path, folder: Path, rows: int = 0, **special: str) -> str:
    """A copy of a model whose tokenizer has one more special token; rows: keep only these of the embedding."""
    shutil.copytree(model, folder)
    tokenizer = load_tokenizer(folder, "--student")
    tokenizer.add_special_tokens(special)
    tokenizer.save_pretrained(folder)
    if rows:
        weights = load_file(folder / "model.safetensors")
        weights["model.embed_tokens.weight"] = weights["model.embed_tokens.weight"][:rows].clone()
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        edit(folder / "config.json", lambda values: values.update(vocab_size=rows))
    return str(folder)


def test_a_padding_token_beyond_the_models_rows_is_not_used(flags, tiny_models, tmp_path):
    tokens = len(load_tokenizer(tiny_models / "student", "--student"))
    student = with_token(tiny_models / "student", tmp_path / "padded", tokens, pad_token="[NEW]")
    with pytest.raises(InputError, match="the mask token has id"):  # it is the first of those that can be the mask
        read(flags, student=student)
    inputs = read(flags, student=student, mask_token="<|endoftext|>")
    assert inputs.tokenizer.pad_token_id == tokens and inputs.tokens.pad == inputs.tokens.eos < tokens


def test_a_mask_token_beyond_the_models_rows_is_refused_where_it_is_read(flags, tiny_models, tmp_path):
    tokens = len(load_tokenizer(tiny_models / "student", "--student"))
    student = with_token(tiny_models / "student", tmp_path / "masked", tokens, mask_token="[MASK]")
    with pytest.raises(InputError, match=rf"the mask token has id {tokens}, but the model has {tokens} rows; name"):
        read(flags, student=student)
    read(flags, student=student, method="rkd")
    read(flags, student=student, mask_token="<|endoftext|>")


def test_a_mask_token_that_the_teacher_lacks_is_refused_if_the_teacher_reads_it(flags, tiny_models, tmp_path):
    student = with_token(tiny_models / "student", tmp_path / "masked", mask_token="[MASK]")
    read(flags, student=student)
    with pytest.raises(InputError, match=r"mask-only shows the mask token \[MASK\] to --teacher"):
        read(flags, student=student, rewrite="mask-only")


def test_outputs_of_a_teacher_with_further_tokens_are_refused(flags, tiny_models, tmp_path):
    train, path = read(flags).train, tmp_path / "outputs.jsonl"
    given = {"method": "f-distill", "teacher_outputs": str(path)}
    config = resolve_config(None, {**flags, **given})
    first = outputs_header(config, fingerprint(find_teacher(flags["teacher"], "--teacher")))
    tokens = len(load_tokenizer(tiny_models / "student", "--student"))
    for last in (tokens - 1, tokens):
        lines = [{"prompt": prompt_hash(sample.prompt_ids), "ids": [5, 6]} for sample in train.samples]
        lines[3]["ids"] = [7, last]
        path.write_text("".join(json.dumps(line) + "\n" for line in [first, *lines]))
        if last < tokens:
            read(flags, **given)
    with pytest.raises(InputError, match=rf"has 1 outputs with tokens that only the teacher's .* first id {tokens};"):
        read(flags, **given)


def test_decoded_outputs_must_fit_into_a_models_positions(flags, tiny_models, tmp_path):
    train = read(flags).train
    longest = max(map(sum, zip(train.prompt_lengths, train.completion_lengths, strict=True)))

    def short(name: str) -> dict:
        model = tmp_path / name
        shutil.copytree(tiny_models / name, model)
        edit(model / "config.json", lambda values: values.update(max_position_embeddings=longest))
        return {**flags, name: str(model)}

    student, teacher = short("student"), short("teacher")
    read(student)
    with pytest.raises(InputError, match=r"--student .* has an output of up to 200; give --max-prompt-length"):
        read(student, eval_ex_steps=5, eval_split="train")
    read(teacher, eval_ex_steps=5, eval_split="train")  # the teacher decodes nothing
    config = resolve_config(None, {**teacher, "teacher_outputs": "o.jsonl", "method": "f-distill"})
    read_teacher_inputs(config, decodes=False)
    with pytest.raises(InputError, match=r"--teacher .* has an output of up to 200"):
        read_teacher_inputs(config, decodes=True)
