"""A merged export: the same logits as the adapter over its base, and a directory that others can load."""

import contextlib
import errno
import io
import json
import os
import resource
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.launcher import ROOT
from helpers.tiny_configs import SCALARS, write_buffered
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from kid.config.recipe import merge_config
from kid.config.run_config import RunConfig, dump_config
from kid.config.trained import EXPORT_FILE, trained_settings
from kid.data.batching import Sample
from kid.errors import InputError
from kid.evaluation.prediction import decode_candidates
from kid.export import run as export
from kid.export.card import EXAMPLE_PROMPT
from kid.export.run import atomic_directory, export_merged, export_record, find_trained_student, is_exported
from kid.minibench.tiny_models import train_tokenizer, write_tiny_model
from kid.models.hashes import HASHES_FILE, write_hashes
from kid.models.loading import add_adapter, add_lora, load_causal_lm
from kid.models.pretrained import load_tokenizer
from kid.sql.one_line import one_line

BASE_CARD = "---\nlicense: other\nlicense_name: a-research-license\nlicense_link: LICENSE\n---\n# A base\n"
SCALE = 32.0 / 4


def write_run(folder: Path, base: Path, dtype: str = "fp32", lora_rank: int = 4, kind: str | None = None) -> Path:
    """A run's directory as training leaves it; `kind` instead of adapter/ or model/."""
    config = RunConfig(student=str(base), teacher="/models/big-teacher", data="/data/spider", output=str(folder))
    config = RunConfig(**{**vars(config), "dtype": dtype, "lora_rank": lora_rank})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(dump_config(config))
    (folder / "environment.json").write_text('{"python": "3.11.7", "packages": {"torch": "2.13.0"}, "world_size": 8}')
    model = load_causal_lm(base, dtype, "eager")
    if lora_rank:
        model = add_lora(model, lora_rank, 32.0, 0.0, seed=0)
        model.peft_config["default"].base_model_name_or_path = str(base)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:  # B is 0 at first; all weights move a little
                parameter.add_(torch.randn_like(parameter) * 0.02)
    trained = folder / (kind or ("adapter" if lora_rank else "model"))
    model.save_pretrained(trained)
    load_tokenizer(base, "base").save_pretrained(trained)
    return folder


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([EXAMPLE_PROMPT, "select count(*) from singer where country = 'France'"] * 3, 400)


@pytest.fixture
def base(tokenizer, tmp_path) -> Path:
    """A model with tied embeddings, a chat template and a card."""
    folder = tmp_path / "base"
    write_tiny_model(folder, tokenizer, hidden=32, layers=2, heads=2, seed=0)
    (folder / "README.md").write_text(BASE_CARD)
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")
    return folder


def exported(run: Path, dtype: str = "fp32", step: int | None = None) -> Path:
    export_merged(find_trained_student(run, step), run / "merged", dtype, "python train/export.py run --merge")
    return run / "merged"


def stored(folder: Path) -> dict[str, torch.Tensor]:
    return {name: value for file in folder.glob("*.safetensors") for name, value in load_file(file).items()}


@torch.no_grad()
@pytest.mark.parametrize("family", ["qwen2", "llama", "codegen"])
def test_logits_are_those_of_the_adapter_over_its_base(family, tokenizer, tmp_path):
    write_tiny_model(tmp_path / "base", tokenizer, hidden=32, layers=2, heads=4, seed=0, family=family)
    run = write_run(tmp_path / "run", tmp_path / "base")
    merged = AutoModelForCausalLM.from_pretrained(exported(run))
    ids = torch.arange(5, 45).view(2, 20)
    base = load_causal_lm(tmp_path / "base", "fp32", "eager")
    alone = base(ids).logits
    adapted = add_adapter(base, run / "adapter").eval()(ids).logits
    assert (adapted - alone).abs().max() > 0.1
    torch.testing.assert_close(merged(ids).logits, adapted, rtol=0, atol=1e-5)
    tied = family == "qwen2"
    assert merged.config.tie_word_embeddings == tied
    assert (merged.get_input_embeddings().weight is merged.get_output_embeddings().weight) == tied
    assert stored(run / "merged").keys() == stored(tmp_path / "base").keys()  # as vLLM knows them from the base


@pytest.mark.parametrize("trained_in", ["fp32", "bf16"])
def test_weights_are_summed_in_fp32_and_rounded_once(trained_in, base, tmp_path):
    """Over the base as training had it, in the run's dtype."""
    run = write_run(tmp_path / "run", base, dtype=trained_in)
    before, adapter = stored(base), stored(run / "adapter")
    after = stored(exported(run, "bf16"))
    twice = 0
    for name, value in after.items():
        old = before[name].to(torch.bfloat16).float() if trained_in == "bf16" else before[name]
        a, b = (adapter.get(f"base_model.model.{name.replace('.weight', f'.lora_{x}.weight')}") for x in "AB")
        change = (b.float() @ a.float()) * SCALE if a is not None else torch.zeros_like(old)
        assert value.dtype == torch.bfloat16
        torch.testing.assert_close(value, (old + change).bfloat16(), rtol=0, atol=0)
        twice += (old.bfloat16() + change.bfloat16() != value).sum().item()
    assert twice > 100  # what rounding twice would have changed
    assert json.loads((run / "merged" / "config.json").read_text())["dtype"] == "bfloat16"


def test_a_run_of_all_weights_is_copied(base, tmp_path):
    run = write_run(tmp_path / "run", base, lora_rank=0)
    before, after = stored(run / "model"), stored(exported(run))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not torch.equal(after["model.norm.weight"], stored(base)["model.norm.weight"])
    assert "All weights, in fp32" in (run / "merged" / "README.md").read_text()


@torch.no_grad()
@pytest.mark.parametrize("lora_rank", [0, 4])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_persistent_buffers_are_exported_with_every_digit(dtype, lora_rank, tokenizer, tmp_path):
    write_buffered(tmp_path / "base", vocab_size=len(tokenizer), vocab_size_per_layer_input=len(tokenizer))
    tokenizer.save_pretrained(tmp_path / "base")
    run = write_run(tmp_path / "run", tmp_path / "base", lora_rank=lora_rank)
    merged = stored(exported(run, dtype))
    assert {name: merged[name].item() for name in SCALARS} == pytest.approx(SCALARS, rel=1e-6)
    assert merged.keys() == stored(tmp_path / "base").keys()
    read = AutoModelForCausalLM.from_pretrained(run / "merged").get_parameter("model.norm.weight")
    assert read.dtype == export.DTYPES[dtype]


def test_an_export_has_the_dropout_of_its_base(base, tmp_path):
    """It was off in training, but who trains the export should find what the base says."""
    settings = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**settings, "attention_dropout": 0.25}))
    merged = exported(write_run(tmp_path / "run", base))
    assert json.loads((merged / "config.json").read_text())["attention_dropout"] == 0.25


def test_shards_and_their_index(base, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "SHARD_SIZE", "50KB")
    run = write_run(tmp_path / "run", base)
    folder = exported(run)
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    files = {file.name: load_file(file) for file in folder.glob("*.safetensors")}
    assert len(files) > 2
    assert index["weight_map"] == {name: file for file, weights in files.items() for name in weights}
    assert index["metadata"]["total_size"] == sum(value.nbytes for value in stored(folder).values())
    assert AutoModelForCausalLM.from_pretrained(folder).num_parameters() == sum(
        v.numel() for v in stored(base).values()
    )


def test_the_other_files(base, tokenizer, tmp_path):
    folder = exported(write_run(tmp_path / "run", base))
    assert not list(folder.glob("adapter*"))
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (folder / name).read_bytes() == (base / name).read_bytes()
    decoding = GenerationConfig.from_pretrained(folder)
    assert (decoding.eos_token_id, decoding.pad_token_id) == (tokenizer.eos_token_id, tokenizer.pad_token_id)
    assert decoding.do_sample is False
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["Qwen2ForCausalLM"]
    assert (folder / "model.safetensors").stat().st_mode == (base / "README.md").stat().st_mode


@pytest.mark.parametrize("inside", [False, True])
def test_a_chat_template_of_ones_own_replaces_the_bases(base, tmp_path, inside):
    own, path = "{% for m in messages %}[{{ m.content }}]{% endfor %}", base / "tokenizer_config.json"
    if inside:  # as transformers 4 wrote it
        path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": "old"}))
    run = write_run(tmp_path / "run", base)
    config = merge_config(run / "config.yaml", {"chat_template": own, "prompt": "{{ ddl }}{{ question }}"})
    (run / "config.yaml").write_text(dump_config(config))
    folder = exported(run)
    assert AutoTokenizer.from_pretrained(folder).chat_template == own
    assert json.loads((folder / "tokenizer_config.json").read_text()).get("chat_template") == (own if inside else None)
    settings, _ = trained_settings(folder.rename(tmp_path / "moved"))
    assert (settings["prompt"], settings["chat_template"]) == ("{{ ddl }}{{ question }}", own)


def test_older_readers_find_what_newer_ones_read(base, tmp_path):
    """Transformers 4 knows nothing of `rope_parameters` and `dtype`, and would take its defaults."""
    config = json.loads((base / "config.json").read_text())
    rope = {"rope_theta": 1e6, "rope_type": "linear", "factor": 2.0}
    (base / "config.json").write_text(json.dumps(config | {"rope_parameters": rope}))
    folder = exported(write_run(tmp_path / "run", base), "bf16")
    written = json.loads((folder / "config.json").read_text())
    assert (written["rope_theta"], written["torch_dtype"]) == (1e6, "bfloat16")
    assert written["rope_scaling"] == {"rope_type": "linear", "factor": 2.0}
    found = AutoConfig.from_pretrained(folder)
    assert found.rope_parameters == AutoConfig.from_pretrained(base).rope_parameters == rope
    assert found.dtype == torch.bfloat16


def verdict(index: int, ex: bool, hardness: str) -> dict:
    return {"index": index, "ex": ex, "ts": ex and index < 2, "error": None, "hardness": hardness, "differs": []}


def test_the_card(base, tmp_path):
    run = write_run(tmp_path / "run", base)
    lines = [verdict(0, True, "easy"), verdict(1, False, "easy"), verdict(2, True, "extra")]
    (run / "scores").mkdir()
    scores = {"benchmark": "spider", "split": "dev", "evidence": True, "n": 3, "hardness": {}, "verdicts": lines}
    (run / "scores" / "dev.json").write_text(json.dumps(scores))
    assert not [
        line
        for line in export_merged(find_trained_student(run, None), run / "m", "fp32", "the command")
        if "score" in line
    ]
    card = ModelCard.load(run / "m" / "README.md")
    found = card.data.to_dict()
    assert found.pop("tags") == ["text-to-sql", "kid", "knowledge-distillation"]
    assert found == {
        "library_name": "transformers", "pipeline_tag": "text-generation", "datasets": ["spider"],
        "license": "other", "license_name": "a-research-license", "license_link": "LICENSE",
    }  # fmt: skip
    for line in (
        "| Spider-dev | all | 3 | 66.67 | 33.33 |",
        "| Spider-dev | easy | 2 | 50.00 | 50.00 |",
        "| Spider-dev | extra | 1 | 100.00 | 0.00 |",
        "`base`, trained for text-to-SQL by KID's method `kid`: imperfect outputs, rkl to the teacher `big-teacher`.",
        "| mask_ratio | 0.2 |",
        "| torch | 2.13.0 |",
        "Exported with `the command`.",
    ):
        assert line in card.text.splitlines(), line
    assert "/models" not in card.text  # where things lie is their owner's business


@pytest.mark.parametrize(("family", "reader"), [("qwen2", "PreTrainedTokenizerFast"), ("llama", "AutoTokenizer")])
def test_the_cards_code_answers_as_predict_does(family, reader, tokenizer, tmp_path, monkeypatch):
    """In transformers 5 AutoTokenizer reads any tokenizer of a Qwen2 as Qwen's own."""
    write_tiny_model(tmp_path / "base", tokenizer, hidden=32, layers=2, heads=4, seed=0, family=family)
    folder = exported(write_run(tmp_path / "run", tmp_path / "base"))
    code = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    assert f"import AutoModelForCausalLM, {reader}\n" in code
    monkeypatch.chdir(folder)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = tokenizer(EXAMPLE_PROMPT).input_ids
    (((_, (wanted,)),),) = decode_candidates(model, tokenizer, [Sample(ids, [])], 128, batch_size=1)
    assert wanted
    assert one_line(printed.getvalue()) == wanted


def test_a_step_on_the_way(base, tmp_path):
    run = write_run(tmp_path / "run", base, kind="adapters/step-20")
    with pytest.raises(InputError, match=r"not finished: it has no adapter/; .* give --step \(20\)"):
        find_trained_student(run, None)
    with pytest.raises(InputError, match=r"--step 30: .*step-30 does not exist; available steps: 20"):
        find_trained_student(run, 30)
    assert "| exported after step | 20 |" in (exported(run, step=20) / "README.md").read_text()


def test_what_is_no_run_is_named(base, tmp_path):
    with pytest.raises(InputError, match="nowhere does not exist"):
        find_trained_student(tmp_path / "nowhere", None)
    with pytest.raises(InputError, match=r"base has no config\.yaml"):
        find_trained_student(base, None)
    run = write_run(tmp_path / "run", base)
    base.rename(tmp_path / "moved")
    with pytest.raises(InputError, match=r"its base .*base does not exist"):
        find_trained_student(run, None)


def test_an_output_is_this_export_or_refused(base, tmp_path):
    run = write_run(tmp_path / "run", base)
    trained = find_trained_student(run, None)
    record = export_record(trained, "fp32")
    assert not is_exported(run / "merged", record)
    exported(run)
    assert is_exported(run / "merged", record)
    (run / "merged").rename(tmp_path / "moved")
    settings = {"max_prompt_length": 1024, "max_completion_length": 128, "evidence": True, "schema_filter": "lexical"}
    settings |= {"prompt": "codes", "chat_template": "none"}
    assert trained_settings(tmp_path / "moved") == (settings, tmp_path / "moved" / EXPORT_FILE)
    (tmp_path / "moved").rename(run / "merged")
    with pytest.raises(InputError, match="is an export of other weights, another step or dtype"):
        is_exported(run / "merged", export_record(trained, "bf16"))
    write_run(run, base, dtype="bf16")  # trained anew
    with pytest.raises(InputError, match="is an export of other weights"):
        is_exported(run / "merged", export_record(find_trained_student(run, None), "fp32"))
    with pytest.raises(InputError, match="adapter contains something else; remove it or choose another"):
        is_exported(run / "adapter", record)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "generation_config.json"])
@pytest.mark.parametrize("spoil", [cut, flip, Path.unlink])
def test_a_damaged_export_is_made_again_and_kept_beside(name, spoil, base, tmp_path, capsys):
    run = write_run(tmp_path / "run", base)
    folder = exported(run)
    record = export_record(find_trained_student(run, None), "fp32")
    whole = {key: value.clone() for key, value in stored(folder).items()}  # not mapped from the file
    (folder / "README.md").write_text("edited")
    (folder / "mine.gguf").write_text("x")
    assert is_exported(folder, record)
    for aside in ("merged.damaged", "merged.damaged-2"):
        capsys.readouterr()
        spoil(folder / name)
        assert not is_exported(folder, record)
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(f"{folder} is a damaged copy of this export and is created again: {folder / name} ")
        remarks = export_merged(find_trained_student(run, None), folder, "fp32", "command")
        assert f"the damaged export is now {run / aside}; remove it when you no longer need it" in remarks
        assert is_exported(folder, record)
    assert all(torch.equal(value, whole[key]) for key, value in stored(folder).items())
    assert (run / "merged.damaged" / "mine.gguf").exists()
    assert (run / "merged.damaged" / "README.md").read_text() == "edited"
    with pytest.raises(InputError, match=r"cannot be written"):  # whole ones are not replaced
        export_merged(find_trained_student(run, None), folder, "fp32", "command")


def flip_in_the_fingerprint(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b'"weights": "') + 20] ^= 4
    path.write_bytes(data)


def change_a_letter(path: Path) -> None:
    path.write_text(path.read_text().replace('"fp32"', '"fp3x"'))


@pytest.mark.parametrize(
    "spoil", [cut, flip_in_the_fingerprint, change_a_letter, lambda path: path.write_text("[" * 10**5)]
)
def test_a_damaged_record_of_an_export_is_called_damaged(spoil, base, tmp_path):
    """Nothing else tells which export the folder holds, so it is left alone."""
    run = write_run(tmp_path / "run", base)
    folder = exported(run)
    spoil(folder / EXPORT_FILE)
    with pytest.raises(InputError, match=r"its kid_export.json, .*, is damaged; remove the folder to export again"):
        is_exported(folder, export_record(find_trained_student(run, None), "fp32"))


def test_a_truncated_export_of_an_older_version_is_made_again(base, tmp_path):
    """It has no hashes."""
    run = write_run(tmp_path / "run", base)
    folder = exported(run)
    record = export_record(find_trained_student(run, None), "fp32")
    (folder / HASHES_FILE).unlink()
    assert is_exported(folder, record)
    cut(folder / "model.safetensors")
    assert not is_exported(folder, record)


def test_an_adapter_that_is_not_what_training_wrote_is_not_exported(base, tmp_path):
    run = write_run(tmp_path / "run", base)
    write_hashes(run / "adapter")
    find_trained_student(run, None)
    flip(run / "adapter" / "adapter_model.safetensors")
    with pytest.raises(InputError, match=r"adapter_model.safetensors has changed since it was written; copy it again"):
        find_trained_student(run, None)


def test_a_link_where_a_folder_is_prepared_is_not_followed(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x")
    (tmp_path / ".out.partial").symlink_to(tmp_path / "mine")
    with atomic_directory(tmp_path / "out") as partial:
        (partial / "written").write_text("x")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file"]
    assert not (tmp_path / "out").is_symlink() and (tmp_path / "out" / "written").exists()
    (tmp_path / ".other.partial").mkdir()
    (tmp_path / ".other.partial" / "link").symlink_to(tmp_path / "mine")
    with atomic_directory(tmp_path / "other") as partial:
        assert not list(partial.iterdir())
    assert (tmp_path / "mine" / "file").exists()


def test_weights_that_are_not_numbers_are_refused(base, tmp_path):
    run = write_run(tmp_path / "run", base)
    adapter = load_causal_lm(base, "fp32", "eager")
    adapted = add_adapter(adapter, run / "adapter")
    with torch.no_grad():
        next(value for name, value in adapted.named_parameters() if "lora_B" in name)[0] = torch.nan
    adapted.save_pretrained(run / "adapter")
    with pytest.raises(InputError, match=r"q_proj is not finite: training has diverged"):
        exported(run)
    assert not list(run.glob("*merged*"))


def test_a_disk_that_is_full(base, tmp_path, monkeypatch):
    run = write_run(tmp_path / "run", base)
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))  # a write beyond it fails
    try:
        with pytest.raises(InputError, match=r"--output .*merged cannot be written \(.*; free some space"):
            exported(run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(run.glob("*merged*"))
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(export.shutil, "disk_usage", lambda place: usage)
    size = sum(value.nbytes for value in stored(base).values())
    with pytest.raises(InputError, match=f"its weights take {size / 1e9:.2f} GB"):
        exported(run)


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic_directory(tmp_path / "out") as partial:
        (partial / "half").write_text("x")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".out.partial" / "left").mkdir(parents=True)  # of a process that was killed
    (tmp_path / ".out.partial" / "left" / "half").write_text("x")
    with atomic_directory(tmp_path / "out") as partial:
        assert list(partial.iterdir()) == []
        (partial / "file").write_text("x")
        with pytest.raises(InputError, match="another export is writing it"), atomic_directory(tmp_path / "out"):
            pass
        assert not (tmp_path / "out").exists()
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*")] == [Path("out"), Path("out/file")]
    with pytest.raises(InputError, match=os.strerror(errno.ENOTDIR)), atomic_directory(tmp_path / "out" / "file" / "x"):
        pass


def test_the_command_line_writes_an_export_and_knows_it_again(base, tmp_path, monkeypatch, capsys):
    run = write_run(tmp_path / "run", base, kind="adapters/step-20")
    monkeypatch.setattr(sys, "argv", ["export.py", str(run), "--merge", "--step", "20", "--dtype", "bf16"])
    for said in ("merged-step-20 holds the merged student", "merged-step-20 already holds this export"):
        runpy.run_path(str(ROOT / "train" / "export.py"), run_name="__main__")
        assert said in capsys.readouterr().out.splitlines()[-1]
    card = (run / "merged-step-20" / "README.md").read_text()
    assert "Exported with `python train/export.py run --merge --dtype bf16 --step 20`." in card
    assert str(tmp_path) not in card


def test_without_merge_one_line_says_why(tmp_path):
    command = [sys.executable, ROOT / "train" / "export.py", "runs/kid"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: --merge is missing; without it there is nothing to export: runs/kid/adapter already holds the student "
        "as an adapter"
    ]
