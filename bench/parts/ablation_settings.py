"""The runs of the ablations: methods and their variants, the settings of their training, and all flags."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kid.config.methods import METHODS
from kid.minibench.build import LABEL_ERRORS
from kid.minibench.patterns import PATTERNS, Pattern
from parts.claims import CLAIMS, EX_ACC_ERR

# Flags of train/distill.py by run. `kid` has the defaults: random masking, ratio 0.2, predict.
RUNS = {
    "sft": "--method sft",
    "fkd": "--method fkd",
    "rkd": "--method rkd",
    "f-distill": "--method f-distill --teacher-outputs {teacher_outputs}",
    "imitkd": "--method imitkd",
    "gkd-fkl": "--method gkd-fkl",
    "gkd-rkl": "--method gkd-rkl",
    "gkd-jsd": "--method gkd-jsd",
    "kid": "--method kid",
    "kid-uniform": "--method kid --mask-strategy uniform",
    "kid-hard": "--method kid --mask-strategy hard",
    "kid-easy": "--method kid --mask-strategy easy",
    "kid-ratio-0.1": "--method kid --mask-ratio 0.1",
    "kid-ratio-0.3": "--method kid --mask-ratio 0.3",
    "kid-ratio-0.4": "--method kid --mask-ratio 0.4",
    "kid-ratio-0.5": "--method kid --mask-ratio 0.5",
    "kid-mask-only": "--method kid --rewrite mask-only",
    "kid-sample": "--method kid --fill sample",
    "kid-mle-on-gold": "--method kid --mle-on gold",
    "rkd-no-mle": "--method rkd --mle-weight 0",
    "kid-no-mle": "--method kid --mle-weight 0",
}
RATES = ("3e-5", "1e-4", "3e-4")
BATCH = 16
NEW_TOKENS = "80"
# All weights are trained: with frozen embeddings, LoRA of rank 16 hardly changes such a small student in so few steps.
STUDENT = f"--lora-rank 0 --batch-size {BATCH} --micro-batch-size 16 --batching schema"
DECODING = f"--max-new-tokens {NEW_TOKENS}"  # for methods whose student generates outputs
TEACHER = "--teacher {teacher} --teacher-deepspeed ds_configs/teacher_whole.json"  # for all runs except sft
EXPOSURE = "--split dev --questions-limit 80 --samples 2 --max-completion-length 80 --batch-size 80"
# Runs whose exposure bias is measured: those that a claim compares by it.
EXPOSED = {run for claim in CLAIMS if claim.measure is EX_ACC_ERR for pair in claim.pairs for run in pair}
ERROR_RATES = ("error_rate", "masked_error_rate")


@dataclass(frozen=True)
class Setting:
    """The labels that students learn from, the length of training, and the runs.

    base: the student base, a model of bench/pretrain_minibench.py. patterns: kinds of question in `train`. rates_of:
    another setting, whose learning rates are used. seeds: how many of the seeds on the command line are run.
    first_seed: added to these seeds; a confirmation needs seeds that had no part in choosing what is confirmed.
    """

    labels: int
    epochs: int
    label_errors: float
    runs: tuple[str, ...] = tuple(RUNS)
    base: str = "weaker-student"
    patterns: Sequence[Pattern] = PATTERNS
    rates_of: str | None = None
    seeds: int = 3
    first_seed: int = 0

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(self.labels / BATCH)


OF_METHODS = (*METHODS, "kid-mask-only")
PAIR = ("rkd", "kid")
# The base has seen all kinds of question, but not long enough: its students learn from labels and teacher. From a base
# of simple questions (the demo's) and labels for all kinds they only keep what it knows, at best (docs/log.md).
SETTINGS = {
    "imperfect": Setting(3000, 2, LABEL_ERRORS, seeds=5),
    "clean": Setting(3000, 2, 0.0, OF_METHODS, rates_of="imperfect"),
    "few labels": Setting(500, 8, LABEL_ERRORS, ("sft", *PAIR), rates_of="imperfect"),
    # Their SQL has 31 tokens on average instead of 23.
    "longer outputs": Setting(
        3000, 2, LABEL_ERRORS, PAIR, patterns=[one for one in PATTERNS if not one.is_simple], rates_of="imperfect"
    ),
    "stronger base": Setting(3000, 2, LABEL_ERRORS, ("sft", *PAIR), base="stronger-student"),
    # The two variants of kid that were best on `valid` in `imperfect`, with seeds that did not choose them.
    "confirmation": Setting(
        3000, 2, LABEL_ERRORS, ("rkd", "kid-uniform", "kid-ratio-0.1"), rates_of="imperfect", first_seed=5
    ),
}


def method_of(run: str) -> str:
    return RUNS[run].split()[1]
