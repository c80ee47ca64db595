"""Drawn outputs against the plain loop, one unpadded prompt and one token at a time."""

import numpy as np
import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from kid.data.batching import Sample
from kid.errors import InputError
from kid.evaluation import sampling
from kid.evaluation.prediction import load_model
from kid.evaluation.sampling import check_can_sample, draw_samples
from kid.models.pretrained import load_tokenizer
from kid.randomness import PREDICTION, draw_tokens
from kid.sql.one_line import one_line

SCHEMA = "table zoo , columns = [ zoo.name , zoo.age ]\n"
# Two questions on one schema, one that is short and comes alone, one of one token.
QUESTIONS = [SCHEMA + "How many animals are there?\n", "SELECT name FROM", SCHEMA + "Name all.\n", "x"]
INDICES = [0, 3, 4, 9]  # some questions have no prompt
LIMIT, SEED, TEMPERATURE = 6, 5, 0.7


@pytest.fixture(scope="module")
def tokenizer(tiny_models):
    """With a frequent token as EOS, so that outputs end at several places."""
    tokenizer = load_tokenizer(tiny_models / "teacher", "--model")
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(tokenizer(" SELECT").input_ids[0])
    return tokenizer


@pytest.fixture(scope="module")
def model(tiny_models, tokenizer):
    """Whose head prefers EOS: one token in ten."""
    model = load_model(tiny_models / "teacher", "cpu")
    head = model.get_output_embeddings()
    head.bias = torch.nn.Parameter(torch.zeros(len(head.weight)), requires_grad=False)
    head.bias[tokenizer.eos_token_id] = np.log(len(head.weight) / 10)
    return model


@pytest.fixture(scope="module")
def prompts(tokenizer):
    schema = len(tokenizer(SCHEMA).input_ids)
    return [
        Sample(tokenizer(text).input_ids, [], schema if text.startswith(SCHEMA) else 0) for text in QUESTIONS[:3]
    ] + [Sample(tokenizer("x").input_ids[-1:], [])]


def draw(model, tokenizer, prompts, indices=INDICES, size=3, count=3, seed=SEED, done=()):
    drawn = draw_samples(
        model, tokenizer, prompts, indices, LIMIT, size, count=count, temperature=TEMPERATURE, seed=seed, done=done
    )
    return dict(drawn)


@torch.no_grad()
def naive(model, tokenizer, prompt: list[int], index: int, number: int) -> tuple[str, float, bool]:
    """(SQL, its log-probability at temperature 1, whether it ended), by the documented key."""
    uniforms = torch.from_numpy(np.random.default_rng([SEED, index, number, PREDICTION]).random(LIMIT))
    ids, total = list(prompt), 0.0
    for uniform in uniforms:
        logits = model(input_ids=torch.tensor([ids])).logits[0, -1]
        token = draw_tokens(logits[None], uniform[None], TEMPERATURE, 1.0).item()
        total += logits.double().log_softmax(-1)[token].item()
        ids.append(token)
        if token == tokenizer.eos_token_id:
            break
    text = tokenizer.decode(ids[len(prompt) :], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return one_line(text), total, ids[-1] == tokenizer.eos_token_id


def test_samples_are_those_of_the_plain_loop_whatever_the_batch(model, tokenizer, prompts):
    wanted = {
        place: [naive(model, tokenizer, prompt.prompt_ids, index, number) for number in range(3)]
        for place, (prompt, index) in enumerate(zip(prompts, INDICES, strict=True))
    }
    ended = [one[2] for own in wanted.values() for one in own]
    assert any(ended) and not all(ended)
    for size in (1, 3, 64):
        found = draw(model, tokenizer, prompts, size=size)
        assert found.keys() == wanted.keys()
        for place, own in found.items():
            assert [one.sql for one in own] == [one[0] for one in wanted[place]]
            assert [one.log_probability for one in own] == pytest.approx([one[1] for one in wanted[place]], abs=1e-4)


def test_a_draw_depends_on_seed_question_and_number_alone(model, tokenizer, prompts):
    def texts(found):
        return {place: [one.sql for one in own] for place, own in found.items()}

    found = texts(draw(model, tokenizer, prompts))
    assert texts(draw(model, tokenizer, prompts, count=2)) == {place: own[:2] for place, own in found.items()}
    assert texts(draw(model, tokenizer, prompts[2:], INDICES[2:])) == {0: found[2], 1: found[3]}
    assert texts(draw(model, tokenizer, prompts[2:], [7, 9]))[0] != found[2]
    assert texts(draw(model, tokenizer, prompts, seed=6))[0] != found[0]
    assert len(set(found[0])) > 1


def test_a_prompt_runs_once_for_all_its_samples_and_a_schema_once_for_its_prompts(model, tokenizer, prompts):
    shapes = []
    hook = model.base_model.register_forward_pre_hook(
        lambda _, __, given: shapes.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    draw(model, tokenizer, prompts[:3], INDICES[:3], size=2, count=5)
    hook.remove()
    schema, lengths = prompts[0].shared, [len(prompt.prompt_ids) for prompt in prompts[:3]]
    wanted = [schema, lengths[0] - 2 - schema, lengths[1] - 2, lengths[2] - 2 - schema]
    assert sorted(width for rows, width in shapes if width > 2) == sorted(width for width in wanted if width > 2)
    assert all(rows == 1 for rows, width in shapes if width > 2)
    assert sum(rows for rows, width in shapes if width == 2) == 15  # the last two tokens of a prompt run with each


def test_what_is_done_is_left_out_in_whole_segments(model, tokenizer, prompts, monkeypatch):
    monkeypatch.setattr(sampling, "SEGMENT_BATCHES", 2)
    found = draw(model, tokenizer, prompts)  # segments of 2 batches of 3: 2 prompts with 3 samples each
    order = list(found)
    assert draw(model, tokenizer, prompts, done={*order[:2], order[3]}).keys() == {*order[2:]}
    assert draw(model, tokenizer, prompts, done=order) == {}


def test_a_model_whose_prompts_cannot_be_kept_is_refused(model):
    config = Qwen2Config(
        vocab_size=40, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, use_sliding_window=True, sliding_window=4, layer_types=["sliding_attention"],
    )  # fmt: skip
    with pytest.raises(
        InputError, match=r"^--model m: --samples needs .*, but sequences can be longer than the window of 4 tokens"
    ):
        check_can_sample(Qwen2ForCausalLM(config), "--model m")
    check_can_sample(model, "--model m")
