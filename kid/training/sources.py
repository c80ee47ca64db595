"""Where the outputs y of an optimizer step come from (the last column of Table 1).

gold and teacher: a dataset each. on-policy: decoded by the student before the step. imperfect: the gold SQL, rewritten
by the student inside the micro-batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kid.config.methods import GOLD, IMPERFECT, METHODS
from kid.config.run_config import RunConfig
from kid.data.batching import Batch, Sample, collate, sample_weights
from kid.models.decoding import decode
from kid.models.engine import forget_order, whole_weights, without_training
from kid.models.prefix_cache import Stem, read, run_prompts
from kid.models.pretrained import TokenIds
from kid.randomness import DECODE, FILL, SOURCE, sample_uniforms, step_generator
from kid.training.imperfect import BY_ENTROPY, mask_count, rewrite, select_by_entropy, select_by_rule
from kid.training.readout import entropies, predictions


def step_source(config: RunConfig, step: int) -> str:
    """The source of optimizer step `step` (from 0), on every rank the same; of a mixture, one is drawn."""
    sources = METHODS[config.method].sources
    source = sources[step_generator(config.seed, step, SOURCE).integers(len(sources))]
    rewrites = config.rewrite != "none" and config.mask_ratio > 0
    return GOLD if source == IMPERFECT and not rewrites else source


def on_policy(
    config: RunConfig, student, batches: list[Batch], step: int, tokens: TokenIds, stem: Stem | None = None
) -> list[Batch]:
    """This rank's micro-batches of one optimizer step with the student's own outputs instead of the gold SQL.

    All of the rank's samples are decoded side by side. Collectives: under ZeRO-3 one gathering of the student, and one
    sum of the lengths, whatever they are; also on a rank without a sample.

    Args:
        student: its engine, or the bare module.
        batches: with the gold SQL, on the CPU.
        stem: of the prompts of the only micro-batch, where they have run already.

    Returns:
        As many micro-batches, weighted by the lengths of the outputs (Eq. 2), on the CPU.
    """
    samples = [sample for batch in batches for sample in batch.samples]
    positions = [place for batch in batches for place in batch.positions]
    share = batches[0].shared_width > 0
    real = [row for row, sample in enumerate(samples) if sample]
    outputs: dict[int, list[int]] = {}
    with whole_weights(student) as model:
        if real:
            batch = collate(samples, [0.0] * len(samples), positions, tokens.pad, share).to(student.device)
            limits = [config.decoding_limit] * len(real)
            uniforms = sample_uniforms(config.seed, step, [positions[row] for row in real], DECODE, limits)
            decoded = decode(
                model,
                batch,
                run_prompts(config, model, batch, apart=False) if stem is None else stem,
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
            Sample(sample.prompt_ids, outputs[place]) if sample else None
            for place, sample in zip(batch.positions, batch.samples, strict=True)
        ]
        return collate(written, [weights[place] for place in batch.positions], batch.positions, tokens.pad, share)

    return [with_outputs(batch) for batch in batches]


def output_entropies(config: RunConfig, student, batch: Batch, stem: Stem) -> Tensor:
    """Entropy of the student's distribution at each output position, given y before it; [B, R], 0 at padding."""
    with without_training(student):
        states = read(config, student, batch, stem, batch.completion_ids)
        forget_order(student)
        values = entropies(config, student, states)
    return values.new_zeros(batch.completion_mask.shape).masked_scatter(batch.completion_mask, values)


def imperfect(
    config: RunConfig, student, batch: Batch, step: int, tokens: TokenIds, stem: Stem | None = None
) -> tuple[Tensor, Tensor]:
    """KID's output: the gold SQL with some of its tokens rewritten by the student (section 3).

    Args:
        student: its engine, or the bare module.
        step: optimizer step, from 0.
        tokens: the tokenizer's ids; its mask is written over the chosen tokens before they are predicted.
        stem: of the student's prompts, without gradient, in evaluation; None: whole sequences run.

    Returns:
        (y_hat, int64 [B, R]; which of its tokens were masked, bool [B, R]).
    """
    gold, stem = batch.completion_ids, stem or Stem()
    without_eos = [max(0, length - 1) for length in batch.lengths]
    if config.mask_strategy in BY_ENTROPY:
        values = output_entropies(config, student, batch, stem)
        chosen = select_by_entropy(config.mask_strategy, without_eos, config.mask_ratio, values)
    else:
        chosen = select_by_rule(
            config.mask_strategy, without_eos, batch.positions, config.mask_ratio, config.seed, step, gold.shape[1]
        ).to(gold.device)

    def predict(masked: Tensor, chosen: Tensor) -> Tensor:
        """The token at each chosen position, read off the position before it."""
        uniforms = None
        if config.fill == "sample":
            counts = [mask_count(config.mask_ratio, length) for length in without_eos]
            uniforms = sample_uniforms(config.seed, step, batch.positions, FILL, counts).to(gold.device)
        with without_training(student):
            states = read(config, student, batch, stem, masked, chosen)
            forget_order(student)
            return predictions(config, student, states, tokens, uniforms)

    return rewrite(gold, chosen, tokens.mask, None if config.rewrite == "mask-only" else predict), chosen
