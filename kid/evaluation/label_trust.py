"""Rank gold SQL by its probability under a teacher: the least probable labels are the first to check for errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kid.config.run_config import RunConfig
from kid.data.batching import Sample, collate, sample_weights
from kid.losses.divergence import negative_log_likelihood
from kid.models.prefix_cache import encode_prompts, forward_outputs
from kid.models.pretrained import padding_token
from kid.models.response_model import ResponseModel


@torch.no_grad()
def label_log_probabilities(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, samples: Sequence[Sample], batch_size: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Compute log p(y_t | x, y_<t) of each token of each label, EOS included; the longest prompts come first.

    Args:
        model: the teacher, in eval mode.
        samples: prompts, and labels as outputs.
        batch_size: labels per batch; the logits of all their tokens must fit in memory.

    Yields:
        (index of the sample, float32 [|y|] in nats).
    """
    teacher, config, pad = ResponseModel(model), RunConfig(fused=False), padding_token(tokenizer)
    order = sorted(range(len(samples)), key=lambda index: -len(samples[index].prompt_ids))
    for at in range(0, len(order), batch_size):
        chosen = order[at : at + batch_size]
        these = [samples[index] for index in chosen]
        weights = sample_weights([len(sample.completion_ids) for sample in these], "token")
        share = teacher.prefix_unsupported_reason is None
        batch = collate(these, weights, list(range(len(these))), pad, share).to(model.device)
        prefix = encode_prompts(config, teacher, batch, separately=False)
        logits = forward_outputs(config, teacher, batch, prefix, batch.completion_ids)
        found = -negative_log_likelihood(logits, batch.completion_ids[batch.completion_mask])
        yield from zip(chosen, (one.cpu().numpy() for one in found.split(batch.lengths)), strict=True)


def precision_and_recall(ranking: Sequence[int], wrong: set[int], count: int) -> tuple[float, float]:
    """Return (precision, recall) of the first `count` items of a ranking as a prediction of the `wrong` ones."""
    found = len(wrong & set(ranking[:count]))
    return found / count, found / len(wrong)
