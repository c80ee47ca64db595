"""Batched greedy decoding against the plain loop, one unpadded prompt at a time."""

import pytest
import torch

from kid.errors import InputError
from kid.evaluation.prediction import greedy_predictions, load_model
from kid.models import add_lora
from kid.pretrained import load_tokenizer

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
    return " ".join(tokenizer.decode(ids[0, len(prompt) :], skip_special_tokens=True).split())


def test_predictions_equal_the_plain_loop_in_order(tiny_models):
    tokenizer, model = load_tokenizer(tiny_models / "teacher", "--model"), load_model(tiny_models / "teacher", "cpu")
    prompts = [tokenizer(text).input_ids for text in PROMPTS]
    done = []
    found = greedy_predictions(model, tokenizer, prompts, 12, batch_size=2, report=done.append)
    assert found == [naive(model, tokenizer, prompt, 12) for prompt in prompts]
    assert done == [2, 2, 1]


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
    with pytest.raises(InputError, match="its base /gone/base does not exist"):
        load_model(tmp_path, "cpu")
