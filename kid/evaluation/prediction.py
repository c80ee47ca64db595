"""Predictions of a trained student: batched greedy decoding, or beams, of the SQL after each question's prompt."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from pathlib import Path

import torch
from peft import PeftConfig, PeftModel
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from kid.data.batching import pad_left
from kid.errors import InputError
from kid.models.pretrained import find_model, padding_token


def default_device() -> str:
    """ "cuda" where there is one, unless DS_ACCELERATOR asks for the CPU."""
    return "cpu" if os.environ.get("DS_ACCELERATOR") == "cpu" or not torch.cuda.is_available() else "cuda"


def load_model(folder: Path, device: str, flag: str = "--model") -> PreTrainedModel:
    """A PEFT directory, its adapter merged into its base, or a merged model; bf16 on a GPU, fp32 on a CPU, eval mode.

    Args:
        flag: what named the folder, for errors.

    Raises:
        InputError: neither of the two, or the adapter's base is not where it was.
    """
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    try:
        if (folder / "adapter_config.json").is_file():
            base = find_model(PeftConfig.from_pretrained(folder).base_model_name_or_path, f"{flag} {folder}: its base")
            model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
            model = PeftModel.from_pretrained(model, folder).merge_and_unload()
        else:
            model = AutoModelForCausalLM.from_pretrained(find_model(str(folder), flag), dtype=dtype)
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{flag} {folder} cannot be loaded: {str(error).splitlines()[0]}") from None
    # The most probable SQL and nothing else: a chat model's own settings would add a repetition penalty.
    model.generation_config = GenerationConfig()
    return model.to(device).eval()


def decoding_batches(prompts: list[list[int]], batch_size: int, beams: int) -> list[list[int]]:
    """Places of the prompts that are decoded side by side: `batch_size` sequences, beams counted, of like length.

    The longest come first: what does not fit into the memory shows at once, and the time left is not underestimated.
    """
    order = sorted(range(len(prompts)), key=lambda place: -len(prompts[place]))
    size = max(1, batch_size // beams)
    return [order[at : at + size] for at in range(0, len(order), size)]


@torch.no_grad()
def decode_candidates(
    model: PreTrainedModel,
    tokenizer,
    prompts: list[list[int]],
    max_completion_length: int,
    batch_size: int,
    beams: int = 1,
    done: Container[int] = (),
) -> Iterator[list[tuple[int, list[str]]]]:
    """The most probable SQL of each prompt, until EOS or `max_completion_length` tokens, batch by batch.

    Args:
        prompts: token ids of each.
        batch_size: sequences decoded side by side.
        beams: 1 decodes greedily, token by token; more give as many candidates by beam search.
        done: places of prompts that need not be decoded. Batches are made of all prompts and left out whole, so that
            what is decoded in two attempts is what is decoded in one: rounding depends on the batch.

    Yields:
        (place of the prompt, its candidates, the most probable first) for each prompt of a batch. A candidate is one
        line of SQL: blanks and line breaks are folded.
    """
    pad = padding_token(tokenizer)
    settings = GenerationConfig(
        max_new_tokens=max_completion_length,
        do_sample=False,
        num_beams=beams,
        num_return_sequences=beams,
        use_cache=True,  # also where the model's own settings, left of its training, say otherwise
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=pad,
    )
    for chosen in decoding_batches(prompts, batch_size, beams):
        if all(place in done for place in chosen):
            continue
        ids, mask = pad_left([prompts[place] for place in chosen], pad)
        output = model.generate(ids.to(model.device), attention_mask=mask.to(model.device), generation_config=settings)
        texts = tokenizer.batch_decode(output[:, ids.shape[1] :].tolist(), skip_special_tokens=True)
        lines = [" ".join(text.split()) for text in texts]
        yield [(place, lines[row * beams : (row + 1) * beams]) for row, place in enumerate(chosen)]
