"""Predictions of a trained student: batched greedy decoding of the SQL after each question's prompt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from peft import PeftConfig, PeftModel
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from kid.data.batching import pad_left
from kid.errors import InputError
from kid.pretrained import find_model, padding_token


def load_model(folder: Path, device: str) -> PreTrainedModel:
    """A PEFT directory, its adapter merged into its base, or a merged model; bf16 on a GPU, fp32 on a CPU, eval mode.

    Raises:
        InputError: neither of the two, or the adapter's base is not where it was.
    """
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    try:
        if (folder / "adapter_config.json").is_file():
            base = find_model(PeftConfig.from_pretrained(folder).base_model_name_or_path, f"--model {folder}: its base")
            model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
            model = PeftModel.from_pretrained(model, folder).merge_and_unload()
        else:
            model = AutoModelForCausalLM.from_pretrained(find_model(str(folder), "--model"), dtype=dtype)
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"--model {folder} cannot be loaded: {str(error).splitlines()[0]}") from None
    # Greedy means greedy: a chat model's own settings would add a repetition penalty.
    model.generation_config = GenerationConfig()
    return model.to(device).eval()


@torch.no_grad()
def greedy_predictions(
    model: PreTrainedModel,
    tokenizer,
    prompts: list[list[int]],
    max_completion_length: int,
    batch_size: int,
    report: Callable[[int], None] = lambda done: None,
) -> list[str]:
    """The most probable SQL token by token, until EOS or `max_completion_length` tokens.

    Args:
        prompts: token ids of each prompt.
        report: called with the number of questions done since the last call.

    Returns:
        One line of SQL for each prompt, in their order; blanks and line breaks are folded.
    """
    pad = padding_token(tokenizer)
    settings = GenerationConfig(
        max_new_tokens=max_completion_length,
        do_sample=False,
        use_cache=True,  # also where the model's own settings, left of its training, say otherwise
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=pad,
    )
    predictions = [""] * len(prompts)
    # Prompts of like length share a batch, so that little of it is padding.
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    for at in range(0, len(order), batch_size):
        chosen = order[at : at + batch_size]
        ids, mask = pad_left([prompts[index] for index in chosen], pad)
        output = model.generate(ids.to(model.device), attention_mask=mask.to(model.device), generation_config=settings)
        texts = tokenizer.batch_decode(output[:, ids.shape[1] :].tolist(), skip_special_tokens=True)
        for index, text in zip(chosen, texts, strict=True):
            predictions[index] = " ".join(text.split())
        report(len(chosen))
    return predictions
