"""Whatever is wrong with the input is said in one line, with what, where and what to do; nothing is written."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from helpers.launcher import ROOT
from helpers.small_benchmark import edit

from kid.config.recipe import resolve_config
from kid.errors import InputError
from kid.training.inputs import read_inputs

CPU = str(ROOT / "ds_configs" / "cpu.json")


@pytest.fixture
def flags(minibench, tiny_models, tmp_path, monkeypatch):
    """A good configuration, to be spoilt; as rank 0 of 2 would see it."""
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    shutil.copytree(minibench, tmp_path / "data")
    return {
        "method": "kid",
        "student": str(tiny_models / "student"),
        "teacher": str(tiny_models / "teacher"),
        "data": str(tmp_path / "data"),
        "output": str(tmp_path / "run"),
        "deepspeed": CPU,
        "teacher_deepspeed": CPU,
        "dtype": "fp32",
        "max_completion_length": 200,  # no output is longer
    }


@pytest.fixture
def db_ids(flags, tmp_path) -> list[str]:
    """Of the training databases, in order."""
    questions = json.loads((tmp_path / "data" / "train_spider.json").read_text())
    return sorted({question["db_id"] for question in questions})


def read(flags, **changes):
    return read_inputs(resolve_config(None, {**flags, **changes}))


def test_good_input_is_read_and_nothing_is_written(flags, tmp_path):
    inputs = read(flags, eval_steps=5)
    assert inputs.total_steps > 0 and len(inputs.train.samples) == 1000 and len(inputs.validation.samples) <= 64
    assert not (tmp_path / "run").exists()


def test_a_run_knows_its_training_set(flags, tmp_path):
    """If it did not, a resumed run would continue with different samples."""
    first, questions = read(flags).identity, tmp_path / "data" / "train_spider.json"
    edit(questions, lambda items: items[7].update(question=items[8]["question"]))
    second = read(flags).identity
    assert [key for key in first if first[key] != second[key]] == ["training set"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"student": "/gone/model"}, "--student /gone/model does not exist; give a model's folder or a hub id"),
        ({"student": "."}, "has no config.json"),
        ({"data": "/gone/data"}, "data folder /gone/data does not exist"),
        ({"deepspeed": "gone.json"}, "--deepspeed gone.json: No such file or directory; see ds_configs/"),
        ({"mask_token": "<s>"}, "--mask-token '<s>' is not a token"),
        ({"batch_size": 6}, "use 4 or 8"),
        ({"max_completion_length": 1}, "leaves no train sample; raise it"),
        (
            {"schema_filter": "lexcal"},
            "--schema-filter lexcal: No such file or directory; give none, lexical or a file",
        ),
        ({"strict_length": True, "max_completion_length": 12}, "outputs over 12 tokens ("),
    ],
)
def test_wrong_values(flags, changes, message):
    with pytest.raises(InputError) as caught:
        read(flags, **changes)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_teacher_with_another_tokenizer(flags, tiny_models):
    with pytest.raises(InputError, match=r"has another tokenizer than --student .*: 100 ids differ and 498 are shared"):
        read(flags, teacher=str(tiny_models / "stranger"))


def test_weights_that_are_missing_or_cut_off(flags, tiny_models, tmp_path):
    shutil.copytree(tiny_models / "teacher", tmp_path / "teacher")
    file = tmp_path / "teacher" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"model.safetensors cannot be read .*download the model again"):
        read(flags, teacher=str(tmp_path / "teacher"))
    file.unlink()
    with pytest.raises(InputError, match="has no weights"):
        read(flags, teacher=str(tmp_path / "teacher"))


@pytest.mark.parametrize("given", ["student", "teacher"])
def test_sequences_longer_than_a_models_positions(flags, tiny_models, tmp_path, given):
    train = read(flags).train
    lengths = list(zip(train.prompt_lengths, train.completion_lengths, strict=True))
    longest, output = max(map(sum, lengths)), max(lengths, key=sum)[1]

    def with_positions(count):
        model = shutil.copytree(tiny_models / given, tmp_path / f"{given}-{count}", dirs_exist_ok=True)
        edit(model / "config.json", lambda values: values.update(max_position_embeddings=count))
        return {**flags, given: str(model)}

    read(with_positions(longest))  # fits exactly
    short = with_positions(longest - 1)
    with pytest.raises(InputError) as error:
        read(short)
    assert f"--{given} {short[given]} reads at most {longest - 1} tokens" in str(error.value)
    assert f"has an output of {output}; give --max-prompt-length {longest - 1 - output}, or another" in str(error.value)
    # A student's own outputs may have any length up to the limit.
    with pytest.raises(InputError, match=r"has an output of up to 200; give --max-prompt-length"):
        read(with_positions(longest), method="gkd-rkl")
    with pytest.raises(InputError, match="give lower --max-prompt-length and --max-completion-length"):
        read(with_positions(output))


def test_an_adapter_is_no_student(flags, tmp_path):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match=r"--student .* is an adapter; merge it"):
        read(flags, student=str(tmp_path / "adapter"))


def test_a_teachers_adapter_whose_base_is_gone(flags, tmp_path):
    (tmp_path / "adapter").mkdir()
    settings = tmp_path / "adapter" / "adapter_config.json"
    for text in ("{}", "[]", "{", '{"base_model_name_or_path": null}'):
        settings.write_text(text)
        with pytest.raises(InputError, match=r"adapter_config.json names no base"):
            read(flags, teacher=str(tmp_path / "adapter"))
    settings.write_text('{"base_model_name_or_path": "/gone/base"}')
    with pytest.raises(InputError, match="adapter: its base /gone/base does not exist"):
        read(flags, teacher=str(tmp_path / "adapter"))


def test_a_teachers_adapter_without_weights(flags, tiny_models, tmp_path):
    (tmp_path / "adapter").mkdir()
    base = {"base_model_name_or_path": str(tiny_models / "teacher")}
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(base))
    with pytest.raises(InputError, match="adapter has no weights"):
        read(flags, teacher=str(tmp_path / "adapter"))


@pytest.mark.slow
def test_missing_databases_are_all_named_and_may_be_skipped(flags, db_ids, tmp_path):
    gone = db_ids[3:5]
    for db_id in gone:
        (tmp_path / "data" / "database" / db_id / f"{db_id}.sqlite").unlink()
    with pytest.raises(InputError, match=rf"no database for 2 of 125 db_ids .*: {', '.join(gone)}; put each at"):
        read(flags)
    inputs = read(flags, missing_database="skip")
    assert inputs.train.remarks == ["16 questions skipped: no database"] and len(inputs.train.samples) == 984
    inputs = read(flags, missing_database="schema-only")
    assert inputs.train.remarks == [f"16 prompts use tables.json only, without the missing databases {', '.join(gone)}"]


def test_truncated_json(flags, tmp_path):
    path = tmp_path / "data" / "train_spider.json"
    path.write_text(path.read_text()[:5000])
    with pytest.raises(InputError, match=r"not valid JSON: .*train_spider.json, line \d+, after \d+ complete items"):
        read(flags)


def test_a_database_that_is_none(flags, db_ids, tmp_path):
    (tmp_path / "data" / "database" / db_ids[0] / f"{db_ids[0]}.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(InputError, match=rf"{db_ids[0]}.sqlite: file is not a database"):
        read(flags)


def test_a_db_id_without_schema(flags, db_ids, tmp_path):
    path = tmp_path / "data" / "tables.json"
    path.write_text(path.read_text().replace(f'"db_id": "{db_ids[0]}"', '"db_id": "circus"'))
    with pytest.raises(InputError, match=rf"db_id without schema in .*tables.json: {db_ids[0]}; fix this"):
        read(flags)


def test_deepspeed_keys_that_the_run_sets(flags, tmp_path):
    path = tmp_path / "ds.json"
    path.write_text('{"zero_optimization": {"stage": 3}, "train_batch_size": 4}')
    with pytest.raises(InputError, match="remove 'train_batch_size'"):
        read(flags, deepspeed=str(path))
    path.write_text('{"zero_optimization": {"stage": 3}, "optimizer": {"type": "AdamW", "params": {"lr": 1e-3}}}')
    with pytest.raises(InputError, match="remove 'lr'"):
        read(flags, deepspeed=str(path))
    path.write_text('{"zero_optimization": {"stage": 2}}')
    with pytest.raises(InputError, match=r"stage is 2; it must be one of \(0, 3\)"):
        read(flags, teacher_deepspeed=str(path))
    path.write_text('{"zero_optimization": {"stage": 3}, "optimizer": {"params": {"torch_adam": true}}}')
    with pytest.raises(InputError, match="optimizer has no type"):
        read(flags, deepspeed=str(path))
    for text in ("[]", '{"optimizer": null}'):
        path.write_text(text)
        with pytest.raises(InputError, match="is not a DeepSpeed configuration"):
            read(flags, deepspeed=str(path))
    path.write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        read(flags, deepspeed=str(path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--mask-ration", "0.2"],
            "unrecognized arguments: --mask-ration 0.2; see --help (did you mean --mask-ratio?)",
        ),
        (["--method", "kd"], "--method: method = 'kd' is unknown; choose one of sft, fkd, rkd,"),
        (["--mask-ratio", "1.5"], "--mask-ratio: mask_ratio = 1.5 is out of range; it must be from 0 to 1"),
        (["--config", "gone.yaml"], "recipe gone.yaml: No such file or directory"),
        (["--lr"], "argument --lr: expected one argument; see --help"),
    ],
)
@pytest.mark.parametrize("script", ["distill.py"])
def test_wrong_flags_end_a_script_with_one_line_and_status_2(script, arguments, message, tmp_path):
    base = ["--student", "s", "--teacher", "t", "--data", "d", "--output", str(tmp_path / "run")]
    environment = {key: value for key, value in os.environ.items() if key != "RANK"}
    done = subprocess.run(
        [sys.executable, "train/" + script, *base, *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == f"error: {message}\n" or done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1 and not (tmp_path / "run").exists()


def test_an_output_that_is_a_file(flags, tmp_path):
    (tmp_path / "file").write_text("mine")
    for output in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match=r"file is not a folder that you can write to"):
            read(flags, output=str(output))


def test_a_schema_without_a_key(flags, tmp_path):
    path = tmp_path / "data" / "tables.json"
    path.write_text(path.read_text().replace('"primary_keys"', '"primary"'))
    with pytest.raises(InputError, match=r"tables.json, db_id \w+ lacks primary_keys"):
        read(flags)


def test_sft_takes_no_recipe_of_another_method(tmp_path):
    recipe = ROOT / "train" / "recipes" / "table3" / "1.8b-kid.yaml"
    done = subprocess.run(
        [sys.executable, "train/sft.py", "--config", recipe], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "method = 'kid', but this script only supports sft" in done.stderr


def test_sft_has_no_flags_of_a_teacher():
    done = subprocess.run(
        [sys.executable, "train/sft.py", "--teacher", "t"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "unrecognized arguments: --teacher t" in done.stderr
    assert "(--teacher is not a flag of train/sft.py; remove it)" in done.stderr


def test_generate_names_the_flag_that_does_not_belong_to_it():
    command = [sys.executable, "train/generate.py", "--teacher", "t", "--data", "d", "--mask_ratio", "0.3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "(--mask-ratio is not a flag of train/generate.py; remove it)" in done.stderr
