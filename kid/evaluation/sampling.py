"""Sample several outputs of each prompt from a model's distribution, for votes and pass@k."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kid.data.batching import Sample
from kid.data.prefixes import by_schema
from kid.errors import InputError
from kid.evaluation.prediction import SEGMENT_BATCHES, can_keep_prompts, decoded_tokens, sql_lines
from kid.evaluation.samples_file import SampledQuery
from kid.models.decoding import decode_waiting
from kid.models.prefix_store import PromptPrefixes, RecentPrefixes, whole_prompt
from kid.models.response_model import ResponseModel
from kid.randomness import PREDICTION, sample_uniforms


def check_can_sample(model: PreTrainedModel, flag: str) -> None:
    """Raise InputError, starting with `flag`, unless a model can decode from the KV cache of a prompt."""
    if not can_keep_prompts(model):
        reason = ResponseModel(model).prefix_unsupported_reason or "it takes no KV cache"
        raise InputError(
            f"{flag}: --samples needs a model that can reuse the KV cache of a prompt, but {reason}; remove --samples"
        )


def draw_samples(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[Sample],
    indices: Sequence[int],
    max_completion_length: int,
    batch_size: int,
    *,
    count: int,
    temperature: float,
    seed: int,
    done: Container[int] = (),
) -> Iterator[tuple[int, list[SampledQuery]]]:
    """Sample `count` outputs of each prompt, until EOS or `max_completion_length` tokens; yields them when ready.

    A prompt is encoded once for all its outputs. The random numbers of an output depend only on the seed, the
    question's index and the output's number, not on batches, other prompts or `count`.

    Args:
        model: a model that `check_can_sample` accepts, in eval mode.
        prompts: n prompts, with the length of the schema in each.
        indices: the index of each prompt's question in the benchmark.
        batch_size: outputs decoded together.
        temperature: above 0.
        done: indices of prompts to skip, as in `kid.evaluation.prediction.decode_candidates`.

    Yields:
        (index of the prompt, its outputs in the order of their numbers). Log-probabilities are at temperature 1 and of
        the whole output; the SQL is its first statement.
    """
    response_model, tokens = ResponseModel(model), decoded_tokens(model, tokenizer)
    order, schemas = by_schema(prompts), RecentPrefixes(response_model, prompts)
    segment = max(1, SEGMENT_BATCHES * batch_size // count)
    for start in range(0, len(order), segment):
        chosen = order[start : start + segment]
        if all(place in done for place in chosen):
            continue

        def uniforms(copy: int, chosen: list[int] = chosen) -> Tensor:
            place, number = chosen[copy // count], copy % count
            return sample_uniforms(seed, indices[place], [number], PREDICTION, [max_completion_length])

        outputs: dict[int, dict[int, list[int]]] = {place: {} for place in chosen}
        log_probabilities: dict[int, float] = {}
        for copy, output in decode_waiting(
            response_model, [whole_prompt(prompts[place]) for place in chosen for _ in range(count)], tokens=tokens,
            limit=max_completion_length, size=batch_size, temperature=temperature, uniforms=uniforms,
            prefixes=PromptPrefixes(schemas, [prompts[place] for place in chosen]),
            log_probabilities=log_probabilities,
        ):  # fmt: skip
            at, place = copy // count, chosen[copy // count]
            outputs[place][copy % count] = output
            if len(outputs[place]) == count:
                drawn = outputs.pop(place)
                lines = sql_lines(tokenizer, [drawn[number] for number in range(count)])
                values = [log_probabilities.pop(at * count + number) for number in range(count)]
                yield place, list(map(SampledQuery, lines, values))
