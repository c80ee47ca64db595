"""Drawing tokens against the distribution they come from; decoding against full forwards of one unpadded sample."""

import copy

import pytest
import torch
from helpers.tiny_configs import FAMILIES
from transformers import AutoModelForCausalLM

from kid.data.batching import Sample, collate
from kid.models.decoding import decode
from kid.models.prefix_cache import PrefixCache
from kid.models.pretrained import TokenIds
from kid.models.response_model import ResponseModel
from kid.randomness import draw_tokens

EOS, PAD = 1, 0
PROMPTS = [[5, 6, 7, 8, 9], [4], [9, 9, 3], [30, 2, 30, 2]]


def draw(logits, uniforms, temperature=1.0, top_p=1.0):
    rows = torch.tensor(logits, dtype=torch.float32).expand(len(uniforms), -1)
    return draw_tokens(rows, torch.tensor(uniforms, dtype=torch.float64), temperature, top_p).tolist()


def test_a_uniform_number_falls_into_the_share_of_its_token():
    logits = torch.tensor([0.25, 0.0, 0.5, 0.25]).log().tolist()
    assert draw(logits, [0.0, 0.2499, 0.2501, 0.7499, 0.7501, 1 - 2**-53]) == [0, 0, 2, 2, 3, 3]


def test_temperature():
    logits = torch.tensor([0.2, 0.8]).log().tolist()
    assert draw(logits, [0.0, 0.999], temperature=0) == [1, 1]
    # At T = 1/2 the odds are squared: 1 to 16.
    assert draw(logits, [0.058, 0.060], temperature=0.5) == [0, 1]


def test_top_p_keeps_the_fewest_tokens_that_reach_it():
    logits = torch.tensor([0.1, 0.4, 0.2, 0.3]).log().tolist()
    ends = [0.0, 0.5, 1 - 2**-53]
    assert set(draw(logits, ends, top_p=0.01)) == {1}
    assert set(draw(logits, ends, top_p=0.39)) == {1}
    assert draw(logits, [0.57, 0.58], top_p=0.6) == [1, 3]  # 4 to 3
    assert draw(logits, [0.0, 0.6, 0.95], top_p=0.95) == [1, 3, 0]


def test_frequencies_are_the_probabilities():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 6, generator=generator).expand(20000, -1)
    uniforms = torch.rand(20000, generator=generator, dtype=torch.float64)
    found = torch.bincount(draw_tokens(logits, uniforms, 1.0, 1.0), minlength=6) / 20000
    torch.testing.assert_close(found, torch.softmax(logits[0], -1), rtol=0, atol=0.01)


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    torch.manual_seed(0)
    config = copy.deepcopy(FAMILIES[request.param])
    config.initializer_range = 0.3
    return ResponseModel(AutoModelForCausalLM.from_config(config)).eval()


def naive(model, prompt, uniforms, temperature, eos):
    """Token by token, each from a forward over everything before it."""
    ids = list(prompt)
    for number in uniforms:
        logits = model.causal_lm(torch.tensor([ids])).logits[0, -1:]
        ids.append(draw_tokens(logits, number[None], temperature, 0.9).item())
        if ids[-1] == eos:
            break
    return ids[len(prompt) :]


def run(model, prompts, uniforms, temperature=1.0, eos=EOS, pad=PAD):
    batch = collate([Sample(prompt, []) for prompt in prompts], [0.0] * len(prompts), list(range(len(prompts))), pad)
    return decode(
        model, batch, PrefixCache(), range(len(prompts)), uniforms, temperature=temperature, top_p=0.9,
        tokens=TokenIds(mask=2, eos=eos, pad=pad, count=40),
    )  # fmt: skip


@pytest.mark.parametrize("temperature", [0, 1.0])
@pytest.mark.parametrize(("eos", "pad"), [(EOS, PAD), (EOS, EOS)])
def test_a_padded_batch_with_cache_decodes_what_each_prompt_decodes_alone(model, temperature, eos, pad):
    uniforms = torch.rand(len(PROMPTS), 25, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    together = run(model, PROMPTS, uniforms, temperature, eos, pad)
    for prompt, row, output in zip(PROMPTS, uniforms, together, strict=True):
        assert output == naive(model, prompt, row, temperature, eos)


def test_outputs_end_with_eos_or_at_the_limit(model):
    uniforms = torch.rand(32, 30, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    outputs = run(model, [[5, 6]] * 32, uniforms)
    ended = [output for output in outputs if EOS in output]
    assert ended and all(output.index(EOS) == len(output) - 1 for output in ended)
    assert all(len(output) == 30 for output in outputs if EOS not in output)
    assert len({len(output) for output in outputs}) > 2


def test_one_token(model):
    outputs = run(model, PROMPTS, torch.full((4, 1), 0.5, dtype=torch.float64))
    assert [len(output) for output in outputs] == [1, 1, 1, 1]


def test_decoding_stops_when_all_rows_have_ended(model):
    calls = []
    hook = model.register_forward_hook(lambda *_: calls.append(1))
    uniforms = torch.rand(2, 50, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    outputs = run(model, PROMPTS[:2], uniforms, eos=run(model, PROMPTS[:2], uniforms, eos=-1)[0][3])
    hook.remove()
    assert len(calls) == 50 + max(map(len, outputs)) and len(outputs[0]) <= 4
