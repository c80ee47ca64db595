"""A merged export: the same logits as the adapter over its base, and a directory that others can load."""

import contextlib
import io
import json
import runpy
import subprocess
import sys

import pytest
import torch
from helpers.exports import exported, stored, write_run
from helpers.launcher import ROOT
from helpers.tiny_configs import SCALARS, write_buffered
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from kid.config.recipe import merge_config
from kid.config.run_config import dump_config
from kid.config.trained import trained_settings
from kid.data.batching import Sample
from kid.errors import InputError
from kid.evaluation.prediction import decode_candidates
from kid.export import run as export
from kid.export.card import EXAMPLE_PROMPT
from kid.export.run import export_merged, find_trained_student
from kid.minibench.tiny_models import write_tiny_model
from kid.models.loading import add_adapter, load_causal_lm
from kid.sql.one_line import one_line

SCALE = 32.0 / 4


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


@pytest.mark.parametrize(("family", "noted"), [("qwen2", True), ("llama", False)])
def test_a_tokenizer_that_servers_replace_by_their_own_is_noted(family, noted, tokenizer, tmp_path):
    """Its ids decode to the same text with both, so that ids are safe to serve."""
    write_tiny_model(tmp_path / "base", tokenizer, hidden=32, layers=2, heads=4, seed=0, family=family)
    trained = find_trained_student(write_run(tmp_path / "run", tmp_path / "base"), None)
    remarks = [line for line in export_merged(trained, tmp_path / "merged", "fp32", "command") if "ids" in line]
    assert [line.startswith("note: serve this export with token ids, not text") for line in remarks] == [True] * noted
    servers, ids = AutoTokenizer.from_pretrained(tmp_path / "merged"), tokenizer(EXAMPLE_PROMPT).input_ids
    assert (servers(EXAMPLE_PROMPT).input_ids != ids) == noted
    assert servers.decode(ids) == tokenizer.decode(ids)


def test_a_step_on_the_way(base, tmp_path):
    run = write_run(tmp_path / "run", base, kind="adapters/step-20")
    with pytest.raises(InputError, match=r"not finished: it has no adapter/; .* give --step \(20\)"):
        find_trained_student(run, None)
    with pytest.raises(InputError, match=r"--step 30: .*step-30 does not exist; available steps: 20"):
        find_trained_student(run, 30)
    assert "| optimizer steps done | 20 |" in (exported(run, step=20) / "README.md").read_text()


def test_what_is_no_run_is_named(base, tmp_path):
    with pytest.raises(InputError, match="nowhere does not exist"):
        find_trained_student(tmp_path / "nowhere", None)
    with pytest.raises(InputError, match=r"base has no config\.yaml"):
        find_trained_student(base, None)
    run = write_run(tmp_path / "run", base)
    base.rename(tmp_path / "moved")
    with pytest.raises(InputError, match=r"its base .*base does not exist"):
        find_trained_student(run, None)


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


@pytest.mark.parametrize("folder", ["", "runs"])
def test_the_command_line_writes_an_export_and_knows_it_again(base, tmp_path, monkeypatch, capsys, folder):
    run = write_run(tmp_path / folder / "run", base, kind="adapters/step-20")
    monkeypatch.chdir(tmp_path)
    given = f"{folder}/run" if folder else str(run)  # in the card, a relative path is shown, an absolute one is not
    monkeypatch.setattr(sys, "argv", ["export.py", given, "--merge", "--step", "20", "--dtype", "bf16"])
    for said in ("merged-step-20 holds the merged student", "merged-step-20 already holds this export"):
        runpy.run_path(str(ROOT / "train" / "export.py"), run_name="__main__")
        assert said in capsys.readouterr().out.splitlines()[-1]
    card = (run / "merged-step-20" / "README.md").read_text()
    shown = given if folder else "run"
    assert f"Exported with `python train/export.py {shown} --merge --dtype bf16 --step 20`." in card
    assert str(tmp_path) not in card


def test_without_merge_one_line_says_why(tmp_path):
    command = [sys.executable, ROOT / "train" / "export.py", "runs/kid"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: --merge is missing; without it there is nothing to export: runs/kid/adapter already holds the student "
        "as an adapter"
    ]
