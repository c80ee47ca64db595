"""The validated configuration of a run; kid/config/recipe.py builds it from a YAML file and flags."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, field
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from kid.config.benchmarks import BENCHMARKS
from kid.config.methods import METHODS
from kid.errors import InputError

DIVERGENCE_NAMES = ("fkl", "rkl", "jsd", "tvd", "skew-fkl", "skew-rkl")
# Keys that may change when a run is resumed: they affect at most rounding and what dropout drops. Every other key must
# stay the same.
FREE_ON_RESUME = (
    "output", "resume", "save_steps", "fused", "logit_memory_mb", "prefix", "activation_checkpointing", "attention",
    "teacher_deepspeed", "teacher_prefix_gb", "teacher_prefix_device_gb", "teacher_states",
)  # fmt: skip


def option(default: Any, help: str, *, group: str, choices=None, low=None, high=None) -> Any:
    """A field with its help text, its --help group and its allowed values: `choices`, or `low` <= value <= `high`."""
    return field(default=default, metadata={"help": help, "group": group, "choices": choices, "low": low, "high": high})


GROUPS = ("models", "data", "loss", "imperfect data", "model-generated outputs", "optimisation", "the run")
MODELS, DATA, LOSS, REWRITE, SAMPLING, OPTIMISATION, RUN = GROUPS


@dataclass(frozen=True)
class RunConfig:
    """Everything a run depends on. Each field is a YAML key and, with dashes for underscores, a flag."""

    method: str = option("kid", "a row of the paper's Table 1", group=LOSS, choices=tuple(METHODS))
    student: str = option("", "folder or hub id of the student's base model", group=MODELS)
    teacher: str = option(
        "", "folder or hub id of the fine-tuned teacher, or the adapter/ of its run (not for sft)", group=MODELS
    )
    dtype: str = option("bf16", "weights and activations", group=MODELS, choices=("fp32", "bf16"))
    attention: str = option(
        "auto",
        "auto: flash_attention_2 where it is installed, else sdpa where the architecture has it",
        group=MODELS,
        choices=("auto", "sdpa", "flash_attention_2"),
    )
    lora_rank: int = option(64, "rank of the student's LoRA; 0 trains all weights", group=MODELS, low=0, high=4096)
    lora_alpha: float = option(32.0, "LoRA's alpha", group=MODELS, low=1e-9)
    lora_dropout: float = option(0.0, "dropout before LoRA's A", group=MODELS, low=0.0, high=0.99)

    benchmark: str = option("spider", "whose files lie in --data", group=DATA, choices=tuple(BENCHMARKS))
    data: str = option("", "the benchmark's folder", group=DATA)
    questions: str | None = option(None, "file of training questions instead of the benchmark's own", group=DATA)
    tables: str | None = option(None, "tables.json instead of the benchmark's own", group=DATA)
    databases: tuple[str, ...] = option(
        (), "folders with DB_ID/DB_ID.sqlite instead of the benchmark's own; the first that has one wins", group=DATA
    )
    missing_database: str = option(
        "error",
        "a question whose database is absent: error, schema-only (its prompt is made of tables.json alone) or skip "
        "(left out); both are counted",
        group=DATA,
        choices=("error", "schema-only", "skip"),
    )
    damaged: str = option(
        "error",
        "questions, schemas and databases that cannot be read: error, or skip (left out, counted and named)",
        group=DATA,
        choices=("error", "skip"),
    )
    evidence: bool = option(True, "write BIRD's external knowledge before the question", group=DATA)
    schema_filter: str = option(
        "lexical",
        "of a prompt over the limit, keep at most 6 tables with 10 columns each, fewer until it fits: in training "
        "those of the gold SQL and random others, else by a lexical ranking, or by the rankings in the file named "
        "here; none: keep all",
        group=DATA,
    )
    max_prompt_length: int = option(
        1024, "tokens; a longer prompt has its schema filtered, then cut from the left", group=DATA, low=1
    )
    max_completion_length: int = option(
        128, "tokens with EOS; a longer gold SQL is left out of training", group=DATA, low=1
    )
    strict_length: bool = option(False, "a prompt or output over its limit is an error", group=DATA)
    batching: str = option(
        "random",
        "random, or schema: micro-batches of questions on one database, whose schema runs once for all of them",
        group=DATA,
        choices=("random", "schema"),
    )

    divergence: str | None = option(
        None, "teacher || student divergence instead of the method's own", group=LOSS, choices=DIVERGENCE_NAMES
    )
    jsd_beta: float = option(
        0.5,
        "jsd: beta KL(p || m) + (1 - beta) KL(q || m), m = beta p + (1 - beta) q",
        group=LOSS,
        low=0.001,
        high=0.999,
    )
    skew_alpha: float = option(
        0.1,
        "skew-fkl: KL(p || alpha p + (1 - alpha) q); skew-rkl: p and q exchanged",
        group=LOSS,
        low=0.001,
        high=0.999,
    )
    temperature: float = option(
        1.0, "both logits of the divergence are divided by it, the loss times its square", group=LOSS, low=1e-6
    )
    kd_weight: float = option(1.0, "weight of the divergence", group=LOSS, low=0.0)
    mle_weight: float = option(
        1.0, "weight of the maximum-likelihood loss, where outputs are gold or imperfect", group=LOSS, low=0.0
    )
    mle_on: str = option(
        "imperfect",
        "what stands before the gold tokens in kid's maximum-likelihood loss: its imperfect output, or the gold one (a "
        "second forward)",
        group=LOSS,
        choices=("imperfect", "gold"),
    )
    fused: bool = option(
        True,
        "losses from hidden states, a chunk of output tokens at a time; no (or off): from all logits at once, for "
        "comparison",
        group=LOSS,
    )
    logit_memory_mb: int = option(768, "MiB per rank that logits may take with the fused losses", group=LOSS, low=16)
    reduction: str = option(
        "sequence",
        "sequence: mean over a sequence's tokens, then over sequences (Eq. 2); token: mean over all tokens",
        group=LOSS,
        choices=("sequence", "token"),
    )

    mask_ratio: float = option(
        0.2, "alpha: share of the output's tokens that the student rewrites (kid)", group=REWRITE, low=0.0, high=1.0
    )
    mask_strategy: str = option(
        "random",
        "random; uniform: evenly spaced; hard, easy: where the student's entropy is highest, lowest (one more forward)",
        group=REWRITE,
        choices=("random", "uniform", "hard", "easy"),
    )
    rewrite: str = option(
        "predict",
        "predict: the student's predictions; mask-only: the mask token stays; none: gold outputs (vanilla kid)",
        group=REWRITE,
        choices=("predict", "mask-only", "none"),
    )
    fill: str = option(
        "argmax",
        "the most probable token, or a sample of the student's distribution (--sample-temperature, --top-p)",
        group=REWRITE,
        choices=("argmax", "sample"),
    )
    mask_token: str | None = option(
        None, "default: the tokenizer's mask, bos, unk, pad or eos token, in that order", group=REWRITE
    )

    sample_temperature: float = option(
        1.0, "of the distribution tokens are drawn from; 0: the most probable token", group=SAMPLING, low=0.0
    )
    top_p: float = option(
        1.0, "draw from the most probable tokens that together have this probability", group=SAMPLING, low=1e-6, high=1
    )
    max_new_tokens: int | None = option(None, "tokens decoded at most [max_completion_length]", group=SAMPLING, low=1)
    teacher_outputs: str | None = option(
        None, "the teacher's outputs for the training set, made by train/generate.py (f-distill)", group=SAMPLING
    )

    epochs: int = option(8, "passes over the training set", group=OPTIMISATION, low=1)
    max_steps: int | None = option(
        None, "stop after so many optimizer steps; the schedule ends there too", group=OPTIMISATION, low=1
    )
    batch_size: int = option(16, "sequences per optimizer step, over all ranks", group=OPTIMISATION, low=1)
    micro_batch_size: int = option(2, "sequences per rank and forward pass", group=OPTIMISATION, low=1)
    lr: float = option(2e-4, "peak learning rate", group=OPTIMISATION, low=0.0)
    warmup_ratio: float = option(
        0.05, "share of the steps over which lr rises; it then falls along a cosine", group=OPTIMISATION, low=0, high=1
    )
    weight_decay: float = option(0.0, "AdamW's decoupled weight decay", group=OPTIMISATION, low=0.0)
    max_grad_norm: float = option(1.0, "gradients are clipped to this norm; 0: never", group=OPTIMISATION, low=0.0)
    prefix: bool = option(
        True,
        "run a prompt once and every pass over outputs against its keys and values; no (or off): whole sequences in "
        "every pass",
        group=OPTIMISATION,
    )
    teacher_prefix_gb: float | None = option(
        None,
        "GB (a node's memory and disk) for the teacher's keys and values of schemas, computed once and read in every "
        "step; 0: none (default: a quarter of the free memory and half of the free disk under KID_CACHE; on GPUs none)",
        group=OPTIMISATION,
        low=0.0,
    )
    teacher_prefix_device_gb: float | None = option(
        None, "GB of each GPU that keep the most used of them (default: none)", group=OPTIMISATION, low=0.0
    )
    teacher_states: str | None = option(
        None,
        "folder of the teacher's hidden states for the training set, made by train/teacher_states.py; the teacher is "
        "not loaded then (fkd, rkd)",
        group=OPTIMISATION,
    )
    activation_checkpointing: bool = option(
        False,
        "compute the student's activations anew in backward: less memory, more time; with prefix: no only",
        group=OPTIMISATION,
    )
    seed: int = option(0, "of everything random", group=OPTIMISATION, low=0, high=2**31 - 1)

    output: str = option("", "the run's directory", group=RUN)
    deepspeed: str = option("ds_configs/student_zero3.json", "the student's DeepSpeed configuration", group=RUN)
    teacher_deepspeed: str = option("ds_configs/teacher_zero3.json", "the teacher's DeepSpeed configuration", group=RUN)
    save_steps: int | None = option(
        None, "checkpoint, and adapters/step-N/, every so many steps (default: at the end only)", group=RUN, low=1
    )
    eval_steps: int | None = option(
        None, "validation loss on a fixed part of dev every so many steps", group=RUN, low=1
    )
    resume: bool = option(
        False,
        "go on from the newest good checkpoint, on any number of ranks; or start if there is none. Refused where other "
        "users can write the checkpoint, unless KID_TRUST_CHECKPOINTS=yes (docs/cluster.md)",
        group=RUN,
    )

    @property
    def export_kind(self) -> str:
        """What a run exports, and the name of the folder: "adapter", or "model" with --lora-rank 0."""
        return "adapter" if self.lora_rank else "model"

    @property
    def resolved_divergence(self) -> str | None:
        """The divergence to use: --divergence if given, else the method's; None for a method without a teacher."""
        method = METHODS[self.method]
        return (self.divergence or method.divergence) if method.needs_teacher else None

    @property
    def mixture_weight(self) -> float:
        """The mixture parameter of the divergence to use (jsd_beta or skew_alpha); other divergences ignore it."""
        return self.jsd_beta if self.resolved_divergence == "jsd" else self.skew_alpha

    @property
    def decoding_limit(self) -> int:
        """The largest number of tokens to decode for an output."""
        return self.max_new_tokens or self.max_completion_length


def field_type(name: str) -> tuple[type, bool]:
    """(type, whether None is allowed) of a field; tuple means any number of strings."""
    hint = get_type_hints(RunConfig)[name]
    if get_origin(hint) is tuple:
        return tuple, False
    options = [part for part in get_args(hint) if part is not type(None)] or [hint]
    return options[0], type(None) in get_args(hint)


def help_text(name: str) -> str:
    """A key's help text for argparse: what it does, its choices and its default."""
    meta = RunConfig.__dataclass_fields__[name].metadata
    default = RunConfig.__dataclass_fields__[name].default
    shown = "yes" if default is True else default
    allowed = f" {{{', '.join(meta['choices'])}}}" if meta["choices"] else ""
    return (meta["help"] + allowed + (f" [{shown}]" if shown not in ("", None, False, ()) else "")).replace("%", "%%")


def shown(value: Any) -> str:
    """`value` as Python writes it, for a message: its first 200 characters."""
    try:
        text = repr(value)
    except ValueError:  # Python does not write a number of thousands of digits
        return "a number of too many digits"
    return text if len(text) <= 200 else f"{text[:200]}..."


def check_text(name: str, text: str, where: str) -> None:
    """Raise InputError if a text holds what neither a file's name nor a token can hold: NUL, or half of a character.

    Bytes of a file's name that are not UTF-8 pass; Python has characters of its own for them.
    """
    try:
        valid = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        valid = False
    if not valid:
        raise InputError(f"{where}: {name} = {shown(text)} has a NUL or half of a surrogate pair; write it without")


def convert(name: str, value: Any, where: str) -> Any:
    """`value` converted to the field's type. Text is parsed as a number for a numeric field: YAML reads 2e-4 as text.

    Raises:
        InputError: wrong type or out of range; it names the key, the value and what is allowed.
    """
    kind, optional = field_type(name)
    meta = RunConfig.__dataclass_fields__[name].metadata
    if value is None and optional:
        return None
    expected = {int: "a whole number", float: "a number", bool: "yes or no", str: "text", tuple: "a list of texts"}[
        kind
    ]
    wrong = InputError(f"{where}: {name} = {shown(value)} is not {expected}")
    if kind is tuple:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            raise wrong
        check_text(name, "".join(texts), where)
        return tuple(texts)
    if kind is bool and value in ("yes", "no", "on", "off"):  # flags arrive as text; YAML has parsed them already
        value = value in ("yes", "on")
    if isinstance(value, bool) != (kind is bool):
        raise wrong
    if kind in (int, float):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):  # too large to be a float
            raise wrong from None
        if not math.isfinite(number) or (kind is int and number != int(number)):
            raise wrong
        value = int(value) if kind is int and isinstance(value, str) and value.strip().isdigit() else kind(number)
    elif not isinstance(value, kind):
        raise wrong
    elif kind is str:
        check_text(name, value, where)
    if meta["choices"] and value not in meta["choices"]:
        raise InputError(f"{where}: {name} = {shown(value)} is unknown; choose one of {', '.join(meta['choices'])}")
    low, high = meta["low"], meta["high"]
    if (low is not None and value < low) or (high is not None and value > high):
        allowed = f"from {low:g} to {high:g}" if high is not None else f"{low:g} or more"
        raise InputError(f"{where}: {name} = {value:g} is out of range; it must be {allowed}")
    return value


def dump_config(config: RunConfig) -> str:
    """All keys as YAML text, the format of `config.yaml` in the run directory."""
    values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(config).items()}
    return yaml.safe_dump(values, sort_keys=False)


def accumulation_steps(config: RunConfig, world_size: int) -> int:
    """Micro-batches per rank and optimizer step. Raises InputError that names the nearest valid batch sizes."""
    per_pass = config.micro_batch_size * world_size
    if config.batch_size % per_pass:
        below = config.batch_size // per_pass * per_pass
        near = " or ".join(str(size) for size in (below, below + per_pass) if size)
        raise InputError(
            f"--batch-size {config.batch_size} is not micro-batch-size x ranks x accumulation "
            f"({config.micro_batch_size} x {world_size} x ...); the nearest that are: {near}"
        )
    return config.batch_size // per_pass
