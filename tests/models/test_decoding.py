"""Drawing tokens against the distribution they come from; decoding against full forwards of one unpadded sample."""

import copy
from collections import Counter

import pytest
import torch
from helpers.shared_prompts import ARCHITECTURES, ONE, TWO, of_family
from helpers.tiny_configs import FAMILIES
from transformers import AutoModelForCausalLM

from kid.data.batching import Sample, collate
from kid.models.decoding import decode, decode_waiting
from kid.models.prefix_cache import PrefixCache
from kid.models.prefix_store import PromptPrefixes, RecentPrefixes, whole_prompt
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


@pytest.mark.slow
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


# Two schemas with several questions each, prompts that share nothing, one of one token, twice the same.
WAITING = [
    *(Sample([*ONE, 5 + place, 3, *range(20, 20 + place)], [], len(ONE)) for place in range(6)),
    Sample([30, 31, 32], []), Sample([4], []),
    *(Sample([*TWO, 6 + place], [], len(TWO)) for place in range(4)),
    Sample([*TWO, 6], [], len(TWO)), Sample([7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18], []),
]  # fmt: skip


def generated(model, prompt, limit, eos):
    """What transformers' own greedy generation gives for one prompt."""
    output = model.causal_lm.generate(
        torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long), do_sample=False,
        max_new_tokens=limit, eos_token_id=eos, pad_token_id=PAD,
    )  # fmt: skip
    return output[0, len(prompt) :].tolist()


def waiting_outputs(model, samples=WAITING, size=4, limit=12, prefixes=None, eos=EOS, **options):
    found = list(
        decode_waiting(
            model, samples, tokens=TokenIds(mask=2, eos=eos, pad=PAD, count=40), limit=limit, size=size,
            prefixes=prefixes or RecentPrefixes(model, samples), **options,
        )
    )  # fmt: skip
    assert sorted(place for place, _ in found) == list(range(len(samples)))
    return [output for _, output in sorted(found)]


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 3, 8, 64])
@pytest.mark.parametrize("family", ARCHITECTURES)
def test_waiting_prompts_get_the_ids_of_transformers_generate(family, size):
    """Whatever token ends an output; with the most frequent one they end at many places."""
    model = of_family(family, 3, lora=True).eval()
    whole = waiting_outputs(model, size=size, eos=-1)
    assert whole == [generated(model, sample.prompt_ids, 12, None) for sample in WAITING]
    often = Counter(token for output in whole for token in output).most_common(1)[0][0]
    outputs = waiting_outputs(model, size=size, eos=often)
    assert outputs == [generated(model, sample.prompt_ids, 12, often) for sample in WAITING]
    assert len({len(output) for output in outputs}) > 2


def test_waiting_prompts_draw_what_each_draws_alone(model):
    uniforms = torch.rand(len(WAITING), 9, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    found = waiting_outputs(model, size=5, limit=9, temperature=1.0, top_p=0.9, uniforms=uniforms.__getitem__)
    assert found == [
        naive(model, sample.prompt_ids, row, 1.0, EOS) for sample, row in zip(WAITING, uniforms, strict=True)
    ]


@torch.no_grad()
def test_several_outputs_of_a_prompt_are_what_each_would_be_alone(model):
    """Four prompts, three outputs each, from keys and values of whole prompts; with their log-probabilities."""
    prompts = [WAITING[place] for place in (1, 7, 2, 9)]
    copies = [whole_prompt(sample) for sample in prompts for _ in range(3)]
    uniforms = torch.rand(len(copies), 9, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    prefixes = PromptPrefixes(RecentPrefixes(model, prompts, keep=1), prompts)
    log_probabilities: dict[int, float] = {}
    found = waiting_outputs(
        model, copies, size=5, limit=9, prefixes=prefixes, temperature=1.0, top_p=0.9, uniforms=uniforms.__getitem__,
        log_probabilities=log_probabilities,
    )  # fmt: skip
    for place, (sample, row) in enumerate(zip(copies, uniforms, strict=True)):
        output = naive(model, sample.prompt_ids, row, 1.0, EOS)
        assert found[place] == output
        logits = model.causal_lm(torch.tensor([sample.prompt_ids + output])).logits[0, len(sample.prompt_ids) - 1 : -1]
        total = logits[:, :40].log_softmax(-1).gather(1, torch.tensor(output)[:, None]).sum().item()
        assert log_probabilities[place] == pytest.approx(total, abs=1e-3)
    assert len(log_probabilities) == len(copies) and any(output[-1] == EOS for output in found)


def test_a_schema_runs_once_and_no_more_rows_than_asked_for():
    model, shapes = of_family("qwen", 3, lora=False).eval(), []
    model.register_forward_hook(lambda _, given, __: shapes.append(tuple(given[0].shape)))
    prefixes = RecentPrefixes(model, WAITING)
    waiting_outputs(model, WAITING[:6], size=3, limit=5, prefixes=prefixes)
    assert shapes[0] == (1, len(ONE)) and shapes.count((1, len(ONE))) == 1
    assert max(rows for rows, _ in shapes) == 3
    shapes.clear()
    waiting_outputs(model, WAITING[:2], limit=5, prefixes=prefixes)
    assert (1, len(ONE)) not in shapes  # it is still there


def test_schemas_of_one_prompt_each_run_side_by_side():
    model, shapes = of_family("qwen", 3, lora=False).eval(), []
    model.register_forward_hook(lambda _, given, __: shapes.append(tuple(given[0].shape)))
    samples = [Sample([*range(5 + place, 13 + place), 3, 4], [], 8) for place in range(4)]
    outputs = waiting_outputs(model, samples, limit=3)
    assert outputs == [generated(model, sample.prompt_ids, 3, EOS) for sample in samples]
    assert shapes[0][0] == 4 and all(rows != 1 for rows, width in shapes if width > 1)


def test_of_schemas_the_last_ones_used_are_kept():
    model = of_family("qwen", 3, lora=False).eval()
    prefixes, calls = RecentPrefixes(model, [], keep=2), []
    model.register_forward_hook(lambda _, given, __: calls.append(given[0].shape[1]))
    for tokens in ((5, 6), (7, 8, 9), (5, 6), (4,), (5, 6), (7, 8, 9)):
        prefixes.on_device(tokens)
    assert calls == [2, 3, 1, 3]


def test_places_are_taken_as_rows_end():
    """Of 14 prompts in 4 places: no step runs with fewer rows than three quarters while others wait."""
    model, rows = of_family("llama", 3, lora=False).eval(), []
    model.register_forward_hook(lambda _, given, __: rows.append(given[0].shape) if given[0].shape[1] == 1 else None)
    outputs = waiting_outputs(model, size=4, limit=12)
    steps = [shape[0] for shape in rows]
    assert sum(map(len, outputs)) > len(outputs) and steps
    assert all(count >= 3 for count in steps[: len(steps) // 2])
