"""Exposure bias: how much more a student errs along its own outputs than along its teacher's.

ExAccErr(l) = (R(l) - l e(l)) / (l e(l)) in percent (Arora et al. 2022; the paper's Table 7). The error of a step is
KL(teacher || student) of the next token, given the prompt and the output so far; step 1 has the prompt alone. R(l) adds
up the first l steps of outputs that the student sampled; l e(l) is what as many steps add up to if each errs as a step
does on average among the first l of outputs that the teacher sampled.

An output ends with EOS: that step counts, and there are none after it. So R(l) is the mean over the student's outputs
of the sum over those of their first l steps that exist, e(l) the mean over all such steps of the teacher's outputs, and
the l before e(l) the mean number of such steps of the student's. Where no output ends before l, that is l itself. With
l itself throughout, outputs that end would alone make ExAccErr negative; with the teacher's number of steps, a student
that stops early would be praised for steps it does not take. As it is, a student whose outputs are distributed as the
teacher's has R(l) = l e(l), up to sampling, whatever its errors and lengths: without exposure bias ExAccErr is 0.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor
from transformers import PreTrainedModel

from kid.data.batching import Sample, collate
from kid.errors import InputError
from kid.losses.divergence import divergence
from kid.models.decoding import decode
from kid.models.prefix_cache import PrefixCache
from kid.models.pretrained import TokenIds, padding_token
from kid.models.response_model import ResponseModel
from kid.randomness import DECODE, sample_generator

RESAMPLES = 2000
INTERVAL = (2.5, 97.5)  # percentiles


def sample_outputs(
    model: PreTrainedModel, tokenizer, prompts: Sequence[list[int]], uniforms: Tensor, vocabulary: int
) -> list[list[int]]:
    """One output for each prompt, sampled at temperature 1 from the whole distribution over the common vocabulary.

    Prefixes come from the very distributions that are compared.

    Args:
        model: in eval mode.
        prompts: token ids of n prompts.
        uniforms: float64 [n, T] in [0, 1): what is drawn for a prompt depends on its row alone. At most T tokens.
        vocabulary: only ids below it are drawn.

    Returns:
        Token ids of each output, at least one. The last is EOS, and only that, unless T tokens came without one.

    Raises:
        InputError: the model cannot decode against a KV cache.
    """
    author = ResponseModel(model)
    if not author.decodes:
        raise InputError(f"{model.config.name_or_path or model.config.model_type} cannot decode against a KV cache")
    pad = padding_token(tokenizer)
    tokens = TokenIds(mask=pad, eos=tokenizer.eos_token_id, pad=pad, count=vocabulary)
    samples = [Sample(prompt, []) for prompt in prompts]
    batch = collate(samples, [0.0] * len(samples), list(range(len(samples))), pad).to(model.device)
    return decode(
        author,
        batch,
        PrefixCache(),
        range(len(samples)),
        uniforms.to(model.device),
        tokens=tokens,
        temperature=1.0,
        top_p=1.0,
    )


@torch.no_grad()
def step_errors(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    prompts: Sequence[list[int]],
    outputs: Sequence[list[int]],
    pad_token_id: int,
) -> list[np.ndarray]:
    """KL(teacher || student) at each step of given outputs, over the ids that both models have.

    Args:
        prompts, outputs: token ids, n of each; they make one batch, of which both models' logits are held.

    Returns:
        n arrays, float64 [length of the output], in nats.
    """
    samples = [Sample(prompt, output) for prompt, output in zip(prompts, outputs, strict=True)]
    batch = collate(samples, [0.0] * len(samples), list(range(len(samples))), pad_token_id).to(student.device)
    # A token's logits are in the column before it: the first one's in the prompt's last, which makes it step 1.
    columns = batch.completion_ids.shape[1] + 1
    logits = [
        model(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            position_ids=batch.position_ids,
            use_cache=False,
            logits_to_keep=columns,
        ).logits
        for model in (student, teacher)
    ]
    # Output by output: the divergence makes several fp32 tensors of its logits' size.
    return [
        divergence("fkl", ours[:length], theirs[:length]).double().cpu().numpy()
        for ours, theirs, length in zip(*logits, batch.lengths, strict=True)
    ]


def sampled_errors(
    author: PreTrainedModel,
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    tokenizer,
    prompts: Sequence[list[int]],
    indices: Sequence[int],
    *,
    samples: int,
    limit: int,
    batch_size: int,
    seed: int,
    report: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """The student's error at each step of outputs that `author`, one of the two models, sampled.

    Random numbers are keyed by (seed, index, sample), so batches change nothing. Both authors draw with the same ones:
    where they agree, their outputs do, and the difference between their errors has less noise.

    Args:
        prompts: token ids of each of P prompts.
        indices: what the random numbers of each prompt are keyed by: its place in the benchmark.
        samples: S outputs for each prompt.
        limit: T, tokens of an output at most.
        batch_size: outputs sampled, and compared, side by side.
        report: called with the number of outputs done since the last call.

    Returns:
        float64 [P, S, T], in nats; NaN where an output has no such step.

    Raises:
        InputError: a model's logits are no numbers.
    """
    vocabulary = min(len(model.get_output_embeddings().weight) for model in (student, teacher))
    errors = np.full((len(prompts), samples, limit), np.nan)
    # Prompts of like length share a batch, so that little of it is padding; the longest, which need most memory, first.
    order = sorted(range(len(prompts)), key=lambda row: -len(prompts[row]))
    pairs = [(row, sample) for row in order for sample in range(samples)]
    for at in range(0, len(pairs), batch_size):
        chosen = pairs[at : at + batch_size]
        asked = [prompts[row] for row, _ in chosen]
        # The sample's number stands where training has the optimizer step.
        draws = [sample_generator(seed, sample, indices[row], DECODE).random(limit) for row, sample in chosen]
        outputs = sample_outputs(author, tokenizer, asked, torch.from_numpy(np.stack(draws)), vocabulary)
        found = step_errors(student, teacher, asked, outputs, padding_token(tokenizer))
        for (row, sample), values in zip(chosen, found, strict=True):
            if not np.isfinite(values).all():
                raise InputError(
                    f"question {indices[row]}: logits of --student or --teacher are no finite numbers; see whether its "
                    "training diverged, or its weights are damaged"
                )
            errors[row, sample, : len(values)] = values
        report(len(chosen))
    return errors


def running_totals(errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(sum of errors, number of steps) of each prompt's outputs up to step l; [P, S, T] -> both [P, T]."""
    there = ~np.isnan(errors)
    return np.where(there, errors, 0.0).sum(1).cumsum(1), there.sum(1).cumsum(1)


def excess_accumulated_error(
    student_errors: np.ndarray, oracle_errors: np.ndarray, counts: np.ndarray | None = None
) -> np.ndarray:
    """ExAccErr(l) for l = 1 to T, in percent; what it is, and how outputs that end enter, is said above.

    Args:
        student_errors: [P, S, T], along outputs the student sampled; NaN where there is no step.
        oracle_errors: likewise, along the teacher's outputs of the same prompts.
        counts: [..., P], how many times each prompt counts; None: once.

    Returns:
        [..., T]; NaN where the oracle's error is 0, with which nothing can be compared.
    """
    counts = np.ones(len(student_errors)) if counts is None else counts
    accumulated, steps = (counts @ totals for totals in running_totals(student_errors))
    oracle, oracle_steps = (counts @ totals for totals in running_totals(oracle_errors))
    # R(l) and l e(l), both times the number of the student's outputs.
    expected = steps * oracle / oracle_steps
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, 100 * (accumulated - expected) / expected, np.nan)


@dataclass(frozen=True)
class ExposureBias:
    """What is measured, each [L], of l or step 1 to L, the longest output.

    value: ExAccErr(l) in percent. low, high: its 95 % interval. counted: the resamples that it is of: those in which
    the oracle errs. student_error, oracle_error: mean error in nats of step l of the student's outputs, and of the
    teacher's; NaN where none is that long.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    counted: np.ndarray
    student_error: np.ndarray
    oracle_error: np.ndarray

    def at(self, length: int) -> tuple[float, float, float]:
        """(ExAccErr, low, high) at l; there are no steps after L, so all later l have the value at L."""
        place = min(length, len(self.value)) - 1
        return self.value[place], self.low[place], self.high[place]


def measure(student_errors: np.ndarray, oracle_errors: np.ndarray, seed: int) -> ExposureBias:
    """ExAccErr over l with bootstrap intervals: prompts are drawn with replacement, each with all its outputs of both.

    Args:
        student_errors, oracle_errors: see `excess_accumulated_error`.
        seed: of the bootstrap.

    Raises:
        InputError: the student has no error at all on the teacher's outputs.
    """
    if not np.nansum(oracle_errors) > 0:
        raise InputError("--student and --teacher have the same distributions: there is no error that could accumulate")
    there = ~np.isnan(student_errors) | ~np.isnan(oracle_errors)
    longest = int(there.any((0, 1)).sum())
    both = [errors[..., :longest] for errors in (student_errors, oracle_errors)]
    prompts = len(student_errors)
    counts = np.random.default_rng(seed).multinomial(prompts, np.full(prompts, 1 / prompts), size=RESAMPLES)
    resampled = excess_accumulated_error(*both, counts)
    with warnings.catch_warnings():  # of a step at which no resample counts, which is NaN then
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanpercentile(resampled, INTERVAL, axis=0)
    counted = (~np.isnan(resampled)).sum(0)
    steps = [(~np.isnan(errors)).sum((0, 1)) for errors in both]
    with np.errstate(invalid="ignore"):
        means = [np.nansum(errors, (0, 1)) / count for errors, count in zip(both, steps, strict=True)]
    return ExposureBias(excess_accumulated_error(*both), low, high, counted, *means)


def plot_exposure_bias(bias: ExposureBias, path: Path) -> None:
    """ExAccErr over l with its interval, and the errors step by step; `path` is the PNG to write."""
    lengths = np.arange(1, len(bias.value) + 1)
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(lengths, bias.value)
    left.fill_between(lengths, bias.low, bias.high, alpha=0.25, linewidth=0, label="95 % interval, over prompts")
    left.axhline(0, color="black", linewidth=0.8)
    left.set(xlabel="l: steps of the output", ylabel="ExAccErr(l) in percent")
    right.plot(lengths, bias.student_error, label="along the student's outputs")
    right.plot(lengths, bias.oracle_error, label="along the teacher's outputs")
    right.set(xlabel="step of the output", ylabel="KL(teacher || student) in nats")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)
