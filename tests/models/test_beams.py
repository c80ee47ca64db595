"""Beam search from cached prompts gives the outputs of transformers' `generate`, in fp32 and in the same order."""

import pytest
import torch
from helpers.shared_prompts import ARCHITECTURES, SAMPLES, of_family
from transformers import GenerationConfig

from kid.models.beams import Hypotheses, decode_beams
from kid.models.prefix_store import RecentPrefixes
from kid.models.pretrained import TokenIds

EOS, PAD = 1, 0
TOKENS = TokenIds(mask=PAD, eos=EOS, pad=PAD, count=40)


def likely_to_end(name: str, seed: int):
    """A model whose outputs end after few tokens or many."""
    model = of_family(name, seed, lora=False).eval()
    head = model.causal_lm.get_output_embeddings()
    with torch.no_grad():
        head.weight[EOS] = head.weight[[7, 11, 23]].sum(0)  # probable where these tokens are
    return model


def generated(model, prompt: list[int], limit: int, beams: int) -> list[list[int]]:
    how = GenerationConfig(
        max_new_tokens=limit, num_beams=beams, num_return_sequences=beams, do_sample=False, eos_token_id=EOS,
        pad_token_id=PAD,
    )  # fmt: skip
    ids = torch.tensor([prompt])
    rows = model.causal_lm.generate(ids, attention_mask=torch.ones_like(ids), generation_config=how)
    outputs = [row[len(prompt) :].tolist() for row in rows]
    return [output[: output.index(EOS) + 1] if EOS in output else output for output in outputs]


@pytest.mark.parametrize(("beams", "size"), [(2, 5), (4, 4), (3, 100)])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_outputs_are_those_of_generate(name, beams, size):
    """With one prompt a batch, two, and all: prompts of other lengths, of shared schemas, of one token."""
    model, limit = likely_to_end(name, 5), 9
    found = dict(
        decode_beams(
            model, SAMPLES, tokens=TOKENS, limit=limit, size=size, beams=beams, prefixes=RecentPrefixes(model, SAMPLES)
        )
    )
    expected = {place: generated(model, sample.prompt_ids, limit, beams) for place, sample in enumerate(SAMPLES)}
    assert found == expected
    lengths = {len(output) for outputs in found.values() for output in outputs}
    assert len(lengths) > 2 and max(lengths) <= limit


def test_one_token_is_all_there_is_room_for():
    model = likely_to_end("llama", 5)
    options = {"tokens": TOKENS, "limit": 1, "size": 8, "beams": 4, "prefixes": RecentPrefixes(model, SAMPLES)}
    for place, outputs in decode_beams(model, SAMPLES, **options):
        assert outputs == generated(model, SAMPLES[place].prompt_ids, 1, 4)


def test_a_search_by_hand():
    """Two beams over the tokens 0 (EOS), 1 and 2."""
    search = Hypotheses.start(2)
    parents = search.extend(torch.tensor([[0.5, 0.3, 0.2]] * 2).log(), eos=0, limit=3)
    # EOS is the best and ends; the others go on, from the only beam there was.
    assert parents == [0, 0] and search.running == [[1], [2]]
    assert search.finished == [(pytest.approx(torch.tensor(0.5).log().item()), [0])] and not search.is_done()
    parents = search.extend(torch.tensor([[0.9, 0.05, 0.05], [0.1, 0.1, 0.8]]).log(), eos=0, limit=3)
    # 1 0 (0.27) ends with a mean of log 0.27 / 2, better than log 0.5; 2 2 (0.16) is the best that goes on.
    assert parents == [1, 1] or parents[0] == 1
    assert search.running[0] == [2, 2]
    assert [output for _, output in search.finished] == [[1, 0], [0]]
    # log 0.16 / 2 is below log 0.5 = -0.69: nothing can improve.
    assert search.is_done()
