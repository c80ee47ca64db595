"""The source of the outputs y of an optimizer step (the last column of Table 1).

gold, teacher: read from a dataset. on-policy: decoded by the student before the step. imperfect: the gold SQL,
rewritten by the student inside the micro-batch.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from kid.config.methods import GOLD, IMPERFECT, METHODS
from kid.config.run_config import RunConfig
from kid.data.batching import Batch, collate, sample_weights
from kid.models.decoding import decode
from kid.models.prefix_cache import PrefixCache, encode_prompts
from kid.models.pretrained import TokenIds
from kid.models.zero3 import Model, gathered_model
from kid.randomness import DECODE, SOURCE, sample_uniforms, step_generator


def step_source(config: RunConfig, step: int) -> str:
    """Return the source of optimizer step `step` (from 0), the same on every rank; one is drawn from a mixture."""
    sources = METHODS[config.method].sources
    source = sources[step_generator(config.seed, step, SOURCE).integers(len(sources))]
    rewrites = config.rewrite != "none" and config.mask_ratio > 0
    return GOLD if source == IMPERFECT and not rewrites else source


def on_policy(
    config: RunConfig,
    student: Model,
    batches: list[Batch],
    step: int,
    tokens: TokenIds,
    prefix: PrefixCache | None = None,
) -> list[Batch]:
    """Replace the gold SQL in this rank's micro-batches of an optimizer step by outputs that the student decodes.

    All samples of the rank are decoded together. Collectives, for every rank, even without samples: the student is
    gathered once under ZeRO-3, and the lengths are summed once.

    Args:
        student: its engine or the bare module.
        batches: with the gold SQL, on the CPU.
        prefix: prefix cache of the only micro-batch, if its prompts have been encoded already.

    Returns:
        The same number of micro-batches, weighted by the lengths of the outputs (Eq. 2), on the CPU.
    """
    samples = [sample for batch in batches for sample in batch.samples]
    positions = [place for batch in batches for place in batch.positions]
    share = batches[0].shared_width > 0
    real = [row for row, sample in enumerate(samples) if sample]
    outputs: dict[int, list[int]] = {}
    with gathered_model(student) as model:
        if real:
            batch = collate(samples, [0.0] * len(samples), positions, tokens.pad, share).to(student.device)
            limits = [config.decoding_limit] * len(real)
            uniforms = sample_uniforms(config.seed, step, [positions[row] for row in real], DECODE, limits)
            decoded = decode(
                model,
                batch,
                encode_prompts(config, model, batch, separately=False) if prefix is None else prefix,
                real,
                uniforms.view(len(real), -1).to(student.device),
                temperature=config.sample_temperature,
                top_p=config.top_p,
                tokens=tokens,
            )
            outputs = dict(zip([positions[row] for row in real], decoded, strict=True))
    lengths = torch.zeros(config.batch_size, dtype=torch.long)
    for place, output in outputs.items():
        lengths[place] = len(output)
    lengths = lengths.to(student.device)
    torch.distributed.all_reduce(lengths)
    weights = sample_weights(lengths.tolist(), config.reduction)

    def with_outputs(batch: Batch) -> Batch:
        written = [
            replace(sample, completion_ids=outputs[place]) if sample else None
            for place, sample in zip(batch.positions, batch.samples, strict=True)
        ]
        again = collate(
            written, [weights[place] for place in batch.positions], batch.positions, tokens.pad, share, batch.store
        )
        return replace(again, teacher_runs_prefix=batch.teacher_runs_prefix)

    return [with_outputs(batch) for batch in batches]
