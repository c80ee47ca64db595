"""Batched greedy decoding against the plain loop, one unpadded prompt at a time; beams against all short outputs."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

from kid.data.batching import Sample
from kid.errors import InputError
from kid.evaluation import prediction
from kid.evaluation.prediction import decode_candidates, load_model
from kid.models.loading import add_lora
from kid.models.pretrained import load_tokenizer
from kid.sql.one_line import one_line

PROMPTS = [
    "table zoo",
    "SELECT name FROM",
    "How many animals are there?\n",
    "x",
    "Show the age of every keeper of the zoo in Paris.",
]


def naive(model, tokenizer, prompt: list[int], limit: int) -> str:
    ids = torch.tensor([prompt])
    for _ in range(limit):
        token = model(input_ids=ids).logits[0, -1].argmax()
        if token == tokenizer.eos_token_id:
            break
        ids = torch.cat([ids, token[None, None]], 1)
    return one_line(tokenizer.decode(ids[0, len(prompt) :], skip_special_tokens=True))


def test_predictions_equal_the_plain_loop_in_order(tiny_models):
    tokenizer, model = load_tokenizer(tiny_models / "teacher", "--model"), load_model(tiny_models / "teacher", "cpu")
    samples = [Sample(tokenizer(text).input_ids, []) for text in PROMPTS]
    found = {place: lines for batch in decode_candidates(model, tokenizer, samples, 12, 2) for place, lines in batch}
    assert found == {place: [naive(model, tokenizer, sample.prompt_ids, 12)] for place, sample in enumerate(samples)}


class Saying:
    """A model that says what it is told: one text for each sequence, beams counted."""

    device = "cpu"

    def __init__(self, tokenizer, texts: list[str]):
        self.outputs, self.eos = tokenizer(texts, add_special_tokens=False).input_ids, tokenizer.eos_token_id

    def generate(self, ids, generation_config, **_) -> torch.Tensor:
        count, rows = generation_config.num_return_sequences, []
        for row, prompt in enumerate(ids.repeat_interleave(count, 0).tolist()):
            rows.append(torch.tensor(prompt + self.outputs[row] + [self.eos]))
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self.eos)


@pytest.mark.parametrize("beams", [1, 2])
def test_an_output_becomes_one_line_that_means_the_same(tiny_models, beams, monkeypatch):
    said = {
        "SELECT 'two  blanks , \u00a0 and a\u3000wide one'": "SELECT 'two  blanks , \u00a0 and a\u3000wide one'",
        "SELECT a -- every one\nFROM  t": "SELECT a FROM t",
        "SELECT a FROM t;\n\nThis lists all.": "SELECT a FROM t",
        "SELECT 'two\nlines'": "SELECT ('two' || char(10) || 'lines')",
    }
    tokenizer = load_tokenizer(tiny_models / "teacher", "--model")
    tokenizer.clean_up_tokenization_spaces = True  # as old tokenizers have it
    model = Saying(tokenizer, list(said))
    monkeypatch.setattr(prediction, "can_keep_prompts", lambda model: False)
    samples = [Sample(tokenizer("x").input_ids, [])] * (len(said) // beams)
    (batch,) = decode_candidates(model, tokenizer, samples, 99, batch_size=len(said), beams=beams)
    assert [line for _, lines in batch for line in lines] == list(said.values())


def test_what_is_done_is_left_out_in_whole_segments_or_batches(tiny_models, monkeypatch):
    """The others stay as they were made, also where only a part of one is done."""
    tokenizer, model = load_tokenizer(tiny_models / "teacher", "--model"), load_model(tiny_models / "teacher", "cpu")
    samples = [Sample(tokenizer(text).input_ids, []) for text in PROMPTS]
    monkeypatch.setattr(prediction, "SEGMENT_BATCHES", 2)
    for keeps, size in ((True, 1), (False, 2)):  # segments of 2 batches of 1; batches of 2
        monkeypatch.setattr(prediction, "can_keep_prompts", lambda model, keeps=keeps: keeps)
        found = [one for batch in decode_candidates(model, tokenizer, samples, 12, size) for one in batch]
        order = sorted(range(len(PROMPTS)), key=lambda place: -len(samples[place].prompt_ids))
        assert [{place for place, _ in found[at : at + 2]} for at in (0, 2, 4)] == [
            set(order[at : at + 2]) for at in (0, 2, 4)
        ]
        done = {*order[:2], order[2]}
        left = [one for batch in decode_candidates(model, tokenizer, samples, 12, size, done=done) for one in batch]
        assert left == found[2:]


def test_a_model_that_cannot_keep_prompts_is_left_to_transformers(tiny_models):
    """One with a window of attention: its prompts are cut to it in the cache."""
    tokenizer = load_tokenizer(tiny_models / "teacher", "--model")
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, use_sliding_window=True, sliding_window=4, layer_types=["sliding_attention"] * 2,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config).eval()
    assert not prediction.can_keep_prompts(model)
    samples = [Sample(tokenizer(text).input_ids, []) for text in PROMPTS]
    found = {place: lines for batch in decode_candidates(model, tokenizer, samples, 12, 2) for place, lines in batch}
    assert found == {place: [naive(model, tokenizer, sample.prompt_ids, 12)] for place, sample in enumerate(samples)}


def log_probability(model, prompt: list[int], output: list[int]) -> float:
    logits = model(input_ids=torch.tensor([prompt + output])).logits[0, len(prompt) - 1 : -1]
    return logits.log_softmax(-1).gather(1, torch.tensor(output)[:, None]).sum().item()


@torch.no_grad()
def test_beams_are_the_most_probable_outputs_in_order(tiny_models):
    """With as many beams as tokens, search over two tokens leaves nothing out."""
    tokenizer, model = load_tokenizer(tiny_models / "teacher", "--model"), load_model(tiny_models / "teacher", "cpu")
    prompt, count = tokenizer("SELECT name FROM").input_ids, model.config.vocab_size
    first = model(input_ids=torch.tensor([prompt])).logits[0, -1].log_softmax(-1)
    second = model(input_ids=torch.tensor([[*prompt, token] for token in range(count)])).logits[:, -1].log_softmax(-1)
    joint = first[:, None] + second
    joint[tokenizer.eos_token_id] = -torch.inf  # an output that ends after a token competes by its mean: not here
    wanted = [divmod(place.item(), count) for place in joint.flatten().topk(3).indices]
    (((_, found),),) = decode_candidates(model, tokenizer, [Sample(prompt, [])], 2, batch_size=1, beams=count // 2)
    texts = [one_line(tokenizer.decode(pair, skip_special_tokens=True)) for pair in wanted]
    assert log_probability(model, prompt, list(wanted[0])) == pytest.approx(joint.max().item(), rel=1e-5)
    assert found[:3] == texts


def test_an_adapter_is_merged_into_its_base(tiny_models, tmp_path):
    base = load_model(tiny_models / "student", "cpu")
    base.config._name_or_path = str(tiny_models / "student")
    adapted = add_lora(base, rank=2, alpha=4, dropout=0.0, seed=0)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    adapted.peft_config["default"].base_model_name_or_path = str(tiny_models / "student")
    adapted.save_pretrained(tmp_path / "adapter")
    ids = torch.arange(5, 15)[None]
    merged = load_model(tmp_path / "adapter", "cpu")
    torch.testing.assert_close(merged(ids).logits, adapted.eval()(ids).logits, rtol=1e-4, atol=1e-4)
    assert not any("lora" in name for name, _ in merged.named_parameters())


def test_folders_that_are_no_model_are_named(tmp_path):
    with pytest.raises(InputError, match=r"has no config\.json"):
        load_model(tmp_path, "cpu")
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "/gone/base"}')
    with pytest.raises(InputError, match=r"--model .*: its base /gone/base does not exist"):
        load_model(tmp_path, "cpu")
    with pytest.raises(InputError, match=r"--teacher .*: its base /gone/base does not exist"):
        load_model(tmp_path, "cpu", "--teacher")


def test_a_model_or_an_adapter_with_other_weights_is_refused(tiny_models, tmp_path):
    """transformers and PEFT only warn, and the predictions would be those of another model."""
    model, adapter = tmp_path / "model", tmp_path / "adapter"
    base = load_model(tiny_models / "student", "cpu")
    add_lora(base, rank=2, alpha=4, dropout=0.0, seed=0).save_pretrained(adapter)
    settings = json.loads((adapter / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = str(tiny_models / "student")
    (adapter / "adapter_config.json").write_text(json.dumps(settings))
    weights = load_file(adapter / "adapter_model.safetensors")
    renamed = {name.replace("layers.", "blocks."): tensor for name, tensor in weights.items()}
    save_file(renamed, adapter / "adapter_model.safetensors")
    with pytest.raises(InputError, match=r"does not fit its base: 56 weights are missing or unexpected"):
        load_model(adapter, "cpu")
    shutil.copytree(tiny_models / "student", model)
    weights = load_file(model / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "layers.1." not in name}
    save_file(kept, model / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"its files lack 12 weights of the model, first model\.layers\.1\."):
        load_model(model, "cpu")
