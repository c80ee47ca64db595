"""Several outputs of each prompt, drawn from a model's distribution: votes and pass@k are computed from them."""

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
    """Raise InputError, which begins with `flag`, unless a model can decode from keys and values of prompts."""
    if not can_keep_prompts(model):
        reason = ResponseModel(model).prefix_unsupported_reason or "it takes no keys and values"
        raise InputError(
            f"{flag}: --samples needs a model whose prompts can be kept as keys and values, but {reason}; "
            "leave --samples out"
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
    """`count` outputs of each prompt, until EOS or `max_completion_length` tokens, as they come.

    A prompt runs once for all its outputs. The random numbers of an output depend on the seed, the question's index and
    the output's number alone: neither on batches, nor on the other prompts, nor on `count`.

    Args:
        model: one that `check_can_sample` accepts, in eval mode.
        prompts: n of them, and which part of each is a schema.
        indices: each prompt's question, its place in the benchmark.
        batch_size: outputs decoded side by side.
        temperature: above 0.
        done: places of prompts that need not be decoded; left out as in `kid.evaluation.prediction.decode_candidates`.

    Yields:
        (place of the prompt, its outputs in the order of their numbers). Log-probabilities are those at temperature 1
        of the whole output, of which the SQL is the first statement.
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
