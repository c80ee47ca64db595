"""Exposure bias: how much larger a student's errors are on its own outputs than on its teacher's.

ExAccErr(l) = (R(l) - l e(l)) / (l e(l)) in percent (Arora et al. 2022; the paper's Table 7). The error of a step is
KL(teacher || student) of the next token, given the prompt and the output so far; at step 1 only the prompt is given.
R(l) is the sum of errors over the first l steps of outputs that the student sampled. e(l) is the mean error over the
first l steps of outputs that the teacher sampled, so l e(l) is the sum expected without exposure bias.

The EOS that ends an output is a step too, the last one. Outputs may have fewer than l steps, so R(l) is the mean over
the student's outputs of the sum over their existing first l steps, e(l) is the mean over all such steps of the
teacher's outputs, and the factor l of e(l) is the mean number of such steps of the student's outputs; it equals l if no
output ends before l. With l itself as the factor, outputs that end early would make ExAccErr negative. With the
teacher's number of steps, a student that stops early would get credit for steps that it does not take. As defined here,
a student whose outputs are distributed like the teacher's has R(l) = l e(l), up to sampling noise, whatever its errors
and lengths: without exposure bias, ExAccErr is 0.
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
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kid.config.run_config import RunConfig
from kid.data.batching import Sample, collate
from kid.errors import InputError
from kid.losses.divergence import divergence
from kid.models.decoding import decode
from kid.models.prefix_cache import encode_prompts
from kid.models.pretrained import TokenIds, padding_token
from kid.models.response_model import ResponseModel
from kid.randomness import DECODE, sample_generator

RESAMPLES = 2000
INTERVAL_PERCENTILES = (2.5, 97.5)  # percentiles


@torch.no_grad()
def sample_outputs(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[list[int]],
    uniforms: Tensor,
    vocabulary: int,
) -> list[list[int]]:
    """Sample an output for each prompt, at temperature 1 from the full distribution over the common vocabulary.

    So outputs are sampled from the same distributions that are compared.

    Args:
        model: in eval mode.
        prompts: token ids of n prompts.
        uniforms: float64 [n, T] in [0, 1): a prompt's output depends only on its own row and has at most T tokens.
        vocabulary: only ids below this are sampled.

    Returns:
        Token ids of each output, at least one. It ends with its only EOS, or has T tokens and no EOS.

    Raises:
        InputError: the model cannot decode with a KV cache.
    """
    response_model = ResponseModel(model)
    if not response_model.decodes:
        raise InputError(f"{model.config.name_or_path or model.config.model_type} cannot decode with a KV cache")
    pad = padding_token(tokenizer)
    tokens = TokenIds(mask=pad, eos=tokenizer.eos_token_id, pad=pad, count=vocabulary)
    samples = [Sample(prompt, []) for prompt in prompts]
    # Padding between a prompt's parts would change what recurrent layers and windows compute.
    share = response_model.prefix_unsupported_reason is None
    batch = collate(samples, [0.0] * len(samples), list(range(len(samples))), pad, share).to(model.device)
    return decode(
        response_model,
        batch,
        encode_prompts(
            RunConfig(), response_model, batch, separately=False
        ),  # a batch has several outputs of a prompt or schema
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
    """Compute KL(teacher || student) at each step of the given outputs, over the ids that both models have.

    Args:
        prompts, outputs: token ids, n of each; they form one batch, for which both models' logits must fit in memory.

    Returns:
        n arrays, float64 [length of the output], in nats.
    """
    samples = [Sample(prompt, output) for prompt, output in zip(prompts, outputs, strict=True)]
    batch = collate(samples, [0.0] * len(samples), list(range(len(samples))), pad_token_id).to(student.device)
    # A token's logits are in the column before it; those of the first output token (step 1) are in the prompt's last.
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
    # One output at a time, because the divergence allocates several fp32 tensors of the logits' size.
    return [
        divergence("fkl", student_logits[:length], teacher_logits[:length]).double().cpu().numpy()
        for student_logits, teacher_logits, length in zip(*logits, batch.lengths, strict=True)
    ]


def sampled_errors(
    sampling_model: PreTrainedModel,
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[list[int]],
    indices: Sequence[int],
    *,
    samples: int,
    limit: int,
    batch_size: int,
    seed: int,
    report: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """Compute the student's error at each step of outputs sampled by `sampling_model`, one of the two models.

    Random numbers are keyed by (seed, index, sample), so the batch size has no effect. Both models sample with the same
    numbers: equal distributions give equal outputs, which reduces the noise in the difference of their errors.

    Args:
        prompts: token ids of each of P prompts.
        indices: each prompt's index in the benchmark, which keys its random numbers.
        samples: S, the number of outputs for each prompt.
        limit: T, the maximum number of tokens of an output.
        batch_size: number of outputs sampled and compared in one batch.
        report: called with the number of outputs done since the last call.

    Returns:
        float64 [P, S, T], in nats; NaN after the end of an output.

    Raises:
        InputError: a model's logits are not finite.
    """
    vocabulary = min(len(model.get_output_embeddings().weight) for model in (student, teacher))
    errors = np.full((len(prompts), samples, limit), np.nan)
    # Prompts of similar length share a batch, to save padding; the longest, which need the most memory, come first.
    order = sorted(range(len(prompts)), key=lambda row: -len(prompts[row]))
    pairs = [(row, sample) for row in order for sample in range(samples)]
    for start in range(0, len(pairs), batch_size):
        chosen = pairs[start : start + batch_size]
        batch_prompts = [prompts[row] for row, _ in chosen]
        # The number of the sample is used where training has its optimizer step.
        draws = [sample_generator(seed, sample, indices[row], DECODE).random(limit) for row, sample in chosen]
        uniforms = torch.from_numpy(np.stack(draws))
        outputs = sample_outputs(sampling_model, tokenizer, batch_prompts, uniforms, vocabulary)
        batch_errors = step_errors(student, teacher, batch_prompts, outputs, padding_token(tokenizer))
        for (row, sample), values in zip(chosen, batch_errors, strict=True):
            if not np.isfinite(values).all():
                raise InputError(
                    f"question {indices[row]}: logits of --student or --teacher are not finite; check whether its "
                    "training diverged or its weights are damaged"
                )
            errors[row, sample, : len(values)] = values
        report(len(chosen))
    return errors


def running_totals(errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (sum of errors, number of steps) of each prompt's outputs up to step l; [P, S, T] -> both [P, T]."""
    present = ~np.isnan(errors)
    return np.where(present, errors, 0.0).sum(1).cumsum(1), present.sum(1).cumsum(1)


def excess_accumulated_error(
    student_errors: np.ndarray, oracle_errors: np.ndarray, counts: np.ndarray | None = None
) -> np.ndarray:
    """Compute ExAccErr(l) for l = 1 to T, in percent; the module's docstring defines it.

    Args:
        student_errors: [P, S, T], on outputs sampled by the student; NaN after the end of an output.
        oracle_errors: the same on outputs sampled by the teacher for the same prompts.
        counts: [..., P], how many times each prompt counts; None: once.

    Returns:
        [..., T]; NaN if the oracle's error is 0, which leaves the ratio undefined.
    """
    counts = np.ones(len(student_errors)) if counts is None else counts
    accumulated, steps = (counts @ totals for totals in running_totals(student_errors))
    oracle, oracle_steps = (counts @ totals for totals in running_totals(oracle_errors))
    # `accumulated` is R(l) and `expected` is l e(l), both multiplied by the number of the student's outputs.
    expected = steps * oracle / oracle_steps
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 0, 100 * (accumulated - expected) / expected, np.nan)


@dataclass(frozen=True)
class ExposureBias:
    """The measurements, each an array [L] over l = 1 to L, the length of the longest output.

    value: ExAccErr(l) in percent.
    low, high: its 95 % interval.
    valid_resamples: the number of resamples used for the interval: those in which the oracle's error is above 0.
    student_error, oracle_error: mean error in nats at step l of the student's and of the teacher's outputs; NaN if no
        output is that long.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    valid_resamples: np.ndarray
    student_error: np.ndarray
    oracle_error: np.ndarray

    def at(self, length: int) -> tuple[float, float, float]:
        """Return (ExAccErr, low, high) at l; there are no steps after L, so a larger l has the values of L."""
        index = min(length, len(self.value)) - 1
        return self.value[index], self.low[index], self.high[index]


def measure_exposure_bias(student_errors: np.ndarray, oracle_errors: np.ndarray, seed: int) -> ExposureBias:
    """Compute ExAccErr over l with bootstrap intervals; a resampled prompt has all outputs of both models.

    Args:
        student_errors, oracle_errors: see `excess_accumulated_error`.
        seed: random seed of the bootstrap.

    Raises:
        InputError: the student has no error at all on the teacher's outputs.
    """
    if not np.nansum(oracle_errors) > 0:
        raise InputError("--student and --teacher have the same distributions, so there are no errors; compare others")
    present = ~np.isnan(student_errors) | ~np.isnan(oracle_errors)
    longest = int(present.any((0, 1)).sum())
    both = student_errors[..., :longest], oracle_errors[..., :longest]
    prompts = len(student_errors)
    counts = np.random.default_rng(seed).multinomial(prompts, np.full(prompts, 1 / prompts), size=RESAMPLES)
    resampled = excess_accumulated_error(*both, counts)
    with warnings.catch_warnings():  # about steps at which every resample is NaN; the interval is then NaN too
        warnings.simplefilter("ignore", RuntimeWarning)
        low, high = np.nanpercentile(resampled, INTERVAL_PERCENTILES, axis=0)
    valid_resamples = (~np.isnan(resampled)).sum(0)
    steps = [(~np.isnan(errors)).sum((0, 1)) for errors in both]
    with np.errstate(invalid="ignore"):
        means = [np.nansum(errors, (0, 1)) / count for errors, count in zip(both, steps, strict=True)]
    return ExposureBias(excess_accumulated_error(*both), low, high, valid_resamples, *means)


def plot_exposure_bias(bias: ExposureBias, path: Path) -> None:
    """Plot ExAccErr over l with its interval, and the mean error of each step, to the PNG `path`."""
    lengths = np.arange(1, len(bias.value) + 1)
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(lengths, bias.value)
    left.fill_between(lengths, bias.low, bias.high, alpha=0.25, linewidth=0, label="95 % interval, over prompts")
    left.axhline(0, color="black", linewidth=0.8)
    left.set(xlabel="l: steps of the output", ylabel="ExAccErr(l) in percent")
    right.plot(lengths, bias.student_error, label="on the student's outputs")
    right.plot(lengths, bias.oracle_error, label="on the teacher's outputs")
    right.set(xlabel="step of the output", ylabel="KL(teacher || student) in nats")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)
