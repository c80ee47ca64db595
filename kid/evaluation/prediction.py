"""Predictions of a trained student: greedy decoding or beam search of the SQL after each prompt, in batches."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator
from pathlib import Path

import torch
from peft import PeftConfig, PeftModel
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from kid.data.batching import pad_left
from kid.errors import InputError
from kid.models.hashes import check_hashes
from kid.models.pretrained import find_model, padding_token
from kid.sql.one_line import one_line


def default_device() -> str:
    """ "cuda" if available, unless DS_ACCELERATOR selects the CPU."""
    return "cpu" if os.environ.get("DS_ACCELERATOR") == "cpu" or not torch.cuda.is_available() else "cuda"


def load_model(folder: Path, device: str, flag: str = "--model") -> PreTrainedModel:
    """Load a PEFT directory, merging its adapter into the base model, or a merged model, in eval mode.

    Args:
        device: weights are bf16 on "cuda", else fp32.
        flag: the flag that named the folder, for error messages.

    Raises:
        InputError: the folder holds neither of the two, a file is not what our scripts wrote, or the adapter's base
            model cannot be found.
    """
    check_hashes(folder)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    try:
        if (folder / "adapter_config.json").is_file():
            base = find_model(PeftConfig.from_pretrained(folder).base_model_name_or_path, f"{flag} {folder}: its base")
            check_hashes(base)
            model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
            model = PeftModel.from_pretrained(model, folder).merge_and_unload()
        else:
            found = find_model(str(folder), flag)
            check_hashes(found)
            model = AutoModelForCausalLM.from_pretrained(found, dtype=dtype)
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{flag} {folder} cannot be loaded: {str(error).splitlines()[0]}") from None
    # Decode the most probable SQL: a chat model's own generation settings may add a repetition penalty.
    model.generation_config = GenerationConfig()
    return model.to(device).eval()


def decoding_batches(prompts: list[list[int]], batch_size: int, beams: int) -> list[list[int]]:
    """Batches of prompt indices, of similar length; `batch_size` counts sequences, so beams are included.

    The longest come first: running out of memory is detected immediately, and the time left is not underestimated.
    """
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    size = max(1, batch_size // beams)
    return [order[start : start + size] for start in range(0, len(order), size)]


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
        batch_size: sequences decoded in one batch.
        beams: 1 decodes greedily; more use beam search and give as many candidates.
        done: indices of prompts that need not be decoded. Batches are formed from all prompts and only skipped whole,
            so that a resumed run decodes the same SQL as an uninterrupted one: rounding depends on the batch.

    Yields:
        (index of the prompt, its candidates, the most probable first) for each prompt of a batch. A candidate is one
        line of SQL: the first statement of the output, as `kid.sql.one_line` writes it.
    """
    pad = padding_token(tokenizer)
    settings = GenerationConfig(
        max_new_tokens=max_completion_length,
        do_sample=False,
        num_beams=beams,
        num_return_sequences=beams,
        use_cache=True,  # even if settings left over from the model's training disable it
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=pad,
    )
    for chosen in decoding_batches(prompts, batch_size, beams):
        if all(index in done for index in chosen):
            continue
        ids, mask = pad_left([prompts[index] for index in chosen], pad)
        output = model.generate(ids.to(model.device), attention_mask=mask.to(model.device), generation_config=settings)
        outputs = output[:, ids.shape[1] :].tolist()
        # Without `clean_up...` some tokenizers take blanks away before commas and full stops, in literals too.
        texts = tokenizer.batch_decode(outputs, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        lines = [one_line(text) for text in texts]
        yield [(index, lines[row * beams : (row + 1) * beams]) for row, index in enumerate(chosen)]
