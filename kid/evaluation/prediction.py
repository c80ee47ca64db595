"""Predict SQL with a trained student: greedy decoding or beam search after each prompt."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast

from kid.data.batching import Sample, pad_left
from kid.data.prefixes import by_schema
from kid.errors import InputError
from kid.models.beams import decode_beams
from kid.models.decoding import decode_waiting
from kid.models.hashes import check_hashes
from kid.models.loading import check_adapter_weights
from kid.models.prefix_store import RecentPrefixes
from kid.models.pretrained import TokenIds, find_model, padding_token
from kid.models.response_model import ResponseModel
from kid.sql.one_line import one_line

SEGMENT_BATCHES = 8  # an interrupted prediction repeats at most this many batches


def default_device() -> str:
    """ "cuda" if available, unless DS_ACCELERATOR selects the CPU."""
    return "cpu" if os.environ.get("DS_ACCELERATOR") == "cpu" or not torch.cuda.is_available() else "cuda"


def load_model(folder: Path, device: str, flag: str = "--model", merge: bool = True) -> PreTrainedModel:
    """Load a PEFT directory, merging its adapter into the base model, or a merged model, in eval mode.

    Args:
        device: weights are bf16 on "cuda", otherwise fp32.
        flag: the flag with the folder, for error messages.
        merge: whether to merge the adapter; if not, its layers run in addition to the base's, as in training.

    Raises:
        InputError: the folder is neither of the two, lacks weights, or a file has changed since our scripts wrote it;
            the adapter does not fit its base, or the base cannot be found.
    """
    check_hashes(folder)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    try:
        if (folder / "adapter_config.json").is_file():
            from peft import PeftConfig, PeftModel  # here, because it takes seconds and a merged model does not need it

            adapter = PeftConfig.from_pretrained(str(folder))
            base = find_model(adapter.base_model_name_or_path, f"{flag} {folder}: its base")
            adapted = PeftModel.from_pretrained(load_whole(base, dtype), folder)
            # Once more, because only this says what is missing.
            check_adapter_weights(folder, adapted.load_adapter(str(folder), "default"))
            model: Any = adapted.merge_and_unload() if merge else adapted
        else:
            model = load_whole(find_model(str(folder), flag), dtype)
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{flag} {folder} cannot be loaded: {str(error).splitlines()[0]}") from None
    # To decode the most probable SQL: a chat model's generation settings may have a repetition penalty.
    model.generation_config = GenerationConfig()
    return model.to(device).eval()


def load_whole(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    """Load a model on the CPU. Raises InputError if its files lack weights, which transformers would draw at random."""
    check_hashes(folder)
    found: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, output_loading_info=True)
    model, loaded = found
    if lacking := sorted(loaded["missing_keys"]):
        raise InputError(f"{folder}: its files lack {len(lacking)} weights of the model, first {lacking[0]}")
    return model


def decoding_batches(samples: Sequence[Sample], size: int) -> list[list[int]]:
    """Return batches of indices of samples; samples of similar length share a batch, to save padding.

    The longest come first: running out of memory is detected immediately, and the remaining time is not underestimated.
    """
    order = sorted(range(len(samples)), key=lambda place: -len(samples[place].prompt_ids))
    return [order[start : start + size] for start in range(0, len(order), size)]


def decode_candidates(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    samples: Sequence[Sample],
    max_completion_length: int,
    batch_size: int,
    beams: int = 1,
    done: Container[int] = (),
) -> Iterator[list[tuple[int, list[str]]]]:
    """Decode the most probable SQL of each prompt, until EOS or `max_completion_length` tokens; yields it when ready.

    Greedy decoding encodes shared parts of prompts once (`kid.models.decoding.decode_waiting`). Beam search, and models
    that cannot reuse the KV cache of a prompt, use transformers' `generate`.

    Args:
        samples: the prompts, with the length of the schema in each.
        batch_size: sequences decoded together.
        beams: 1: greedy decoding; more: beam search, with this number of candidates.
        done: indices of prompts that need not be decoded. Only whole segments or batches of them are skipped, so that a
            resumed run decodes the same SQL as an uninterrupted one: rounding depends on the batch.

    Yields:
        (index of the prompt, its candidates, the most probable first) for one or more prompts. A candidate is one line
        of SQL: the first statement of the output, as written by `kid.sql.one_line`.
    """
    run = kept_outputs if can_keep_prompts(model) else generated_outputs
    for found in run(model, tokenizer, samples, max_completion_length, batch_size, beams, done):
        lines = sql_lines(tokenizer, [output for _, outputs in found for output in outputs])
        yield [(place, lines[at * beams : (at + 1) * beams]) for at, (place, _) in enumerate(found)]


def sql_lines(tokenizer: PreTrainedTokenizerFast, outputs: list[list[int]]) -> list[str]:
    """Convert token ids of outputs to one line of SQL each."""
    # `clean_up...` would make some tokenizers remove blanks before commas and full stops, even in literals.
    texts = tokenizer.batch_decode(outputs, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return [one_line(text) for text in texts]


def decoded_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> TokenIds:
    """Return the ids to decode with: all rows of the vocabulary as in `generate`, including padding rows."""
    pad = padding_token(tokenizer)
    return TokenIds(mask=pad, eos=tokenizer.eos_token_id, pad=pad, count=len(model.get_output_embeddings().weight))


def can_keep_prompts(model: PreTrainedModel) -> bool:
    """Whether a model can decode from the KV cache of a prompt, so that shared parts are encoded only once."""
    response_model = ResponseModel(model)
    return response_model.decodes and response_model.prefix_unsupported_reason is None


def kept_outputs(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    samples: Sequence[Sample],
    limit: int,
    batch_size: int,
    beams: int,
    done: Container[int],
) -> Iterator[list[tuple[int, list[list[int]]]]]:
    """Yield (index, token ids of each beam) of each prompt, one at a time; shared parts of prompts are encoded once.

    Prompts are taken in segments: without beams of SEGMENT_BATCHES batches, with beams of one batch, in which a prompt
    has a row per beam.
    """
    response_model, tokens = ResponseModel(model), decoded_tokens(model, tokenizer)
    order, prefixes = by_schema(samples), RecentPrefixes(response_model, samples)
    options: dict[str, Any] = {"tokens": tokens, "limit": limit, "size": batch_size, "prefixes": prefixes}
    segment = SEGMENT_BATCHES * batch_size if beams == 1 else max(1, batch_size // beams)
    for start in range(0, len(order), segment):
        chosen = order[start : start + segment]
        if all(place in done for place in chosen):
            continue
        prompts = [samples[place] for place in chosen]
        if beams > 1:
            found = decode_beams(response_model, prompts, beams=beams, **options)
        else:
            found = ((at, [output]) for at, output in decode_waiting(response_model, prompts, **options))
        for at, outputs in found:
            yield [(chosen[at], outputs)]


@torch.no_grad()
def generated_outputs(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    samples: Sequence[Sample],
    limit: int,
    batch_size: int,
    beams: int,
    done: Container[int],
) -> Iterator[list[tuple[int, list[list[int]]]]]:
    """Yield (index, token ids of each beam) of the prompts of a batch, generated by transformers."""
    pad = padding_token(tokenizer)
    settings = GenerationConfig(
        max_new_tokens=limit,
        do_sample=False,
        num_beams=beams,
        num_return_sequences=beams,
        use_cache=True,  # even if settings from the model's training disable it
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=pad,
    )
    for chosen in decoding_batches(samples, max(1, batch_size // beams)):
        if all(place in done for place in chosen):
            continue
        ids, mask = pad_left([samples[place].prompt_ids for place in chosen], pad)
        output = model.generate(  # type: ignore[operator]  # a method of causal models, not of their base class
            ids.to(model.device), attention_mask=mask.to(model.device), generation_config=settings
        )
        outputs = output[:, ids.shape[1] :].tolist()
        yield [(place, outputs[row * beams : (row + 1) * beams]) for row, place in enumerate(chosen)]
