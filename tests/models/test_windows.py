"""A window that no sequence reaches lets a model use a prefix cache, and changes no result."""

import copy
import json

import pytest
import torch
from helpers.shared_prompts import SAMPLES, assert_same, step_of
from helpers.steps import STEP, configuration
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    MistralConfig,
    Phi3Config,
    Qwen2Config,
    Starcoder2Config,
)

from kid.config.methods import IMPERFECT
from kid.data.batching import Sample
from kid.evaluation.prediction import decode_candidates
from kid.models.loading import load_causal_lm
from kid.models.response_model import ResponseModel
from kid.models.windows import open_windows, own_windows

pytestmark = pytest.mark.usefixtures("one_rank")
SIZES = {
    "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "pad_token_id": 0, "initializer_range": 0.3,
}  # fmt: skip
LONGEST = max(len(sample.prompt_ids) + len(sample.completion_ids) for sample in SAMPLES)
# Batches of these samples are wider than this window: padding between the parts of a prompt counts for a window.
WINDOW = LONGEST
WITH_WINDOWS = {
    "mistral": MistralConfig(**SIZES, sliding_window=WINDOW),
    "gemma2": Gemma2Config(**SIZES, head_dim=8, sliding_window=WINDOW),
    "gemma3": Gemma3TextConfig(**{**SIZES, "num_hidden_layers": 6}, head_dim=8, sliding_window=WINDOW),
    "phi3": Phi3Config(**SIZES, sliding_window=WINDOW),
    "starcoder2": Starcoder2Config(**SIZES, sliding_window=WINDOW),
    "qwen2": Qwen2Config(**SIZES, use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1),
}


def of_family(name: str, seed: int) -> ResponseModel:
    torch.manual_seed(seed)
    return ResponseModel(AutoModelForCausalLM.from_config(copy.deepcopy(WITH_WINDOWS[name])))


@pytest.mark.parametrize("how", [{"batching": "random"}, {"batching": "schema"}])
@pytest.mark.parametrize("name", WITH_WINDOWS)
def test_open_windows_change_neither_losses_nor_gradients(name, how):
    whole = of_family(name, 0), of_family(name, 1)
    assert f"window of {WINDOW} tokens" in whole[0].prefix_unsupported_reason
    opened = of_family(name, 0), of_family(name, 1)
    for model in opened:
        open_windows(model.model, LONGEST)
        assert model.prefix_unsupported_reason is None
    config = configuration("kid", **how, micro_batch_size=4)
    expected = step_of(configuration("kid", **how, micro_batch_size=4, prefix="off"), IMPERFECT, *whole, STEP)
    found = step_of(config, IMPERFECT, *opened, STEP)
    assert_same(found, expected, 1e-5)
    assert (found[0]["shared_tokens"] > 0) == (how["batching"] == "schema")


class Numbers:
    """As much of a tokenizer as decoding takes; a text is its ids before EOS."""

    pad_token_id, eos_token_id = 0, 1

    def batch_decode(self, outputs, **_):
        return [" ".join(map(str, output[: [*output, 1].index(1)])) for output in outputs]


@pytest.mark.parametrize("name", WITH_WINDOWS)
def test_it_decodes_what_transformers_generates(name):
    tokenizer = Numbers()
    model, prompts = of_family(name, 3).model.eval(), [Sample(list(range(3, 3 + length)), []) for length in (4, 9, 6)]
    limit = WINDOW - 9
    plain = dict(one for batch in decode_candidates(model, tokenizer, prompts, limit, 2) for one in batch)
    open_windows(model, 9 + limit)
    assert dict(one for batch in decode_candidates(model, tokenizer, prompts, limit, 2) for one in batch) == plain


def test_a_longer_sequence_closes_them_again(tmp_path):
    model = of_family("gemma2", 0)
    open_windows(model.model, LONGEST)
    open_windows(model.model, LONGEST + 1)
    assert ResponseModel(model.model).prefix_unsupported_reason
    assert model.model.config.sliding_window == model.model.model.layers[0].self_attn.sliding_window == WINDOW


def test_a_saved_model_has_the_window_of_its_base(tmp_path):
    of_family("mistral", 0).model.save_pretrained(tmp_path / "base")
    model = load_causal_lm(tmp_path / "base", "fp32", "auto")
    open_windows(model, 3)
    with own_windows(model):
        model.save_pretrained(tmp_path / "saved")
    configs = [json.loads((tmp_path / name / "config.json").read_text()) for name in ("base", "saved")]
    assert configs[0] == configs[1] and configs[0]["sliding_window"] == WINDOW
    assert ResponseModel(model).prefix_unsupported_reason is None
