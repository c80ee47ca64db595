"""The validated configuration of a run; kid/config/recipe.py builds it from a YAML file and flags."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from kid.config import uses
from kid.config.benchmarks import BENCHMARKS
from kid.config.divergences import DIVERGENCES
from kid.config.mask_strategies import MASK_STRATEGIES
from kid.config.methods import METHODS
from kid.config.option import DATA, LOSS, MODELS, OPTIMISATION, REWRITE, RUN, SAMPLING, option
from kid.config.templates import dump_yaml
from kid.errors import InputError


@dataclass(frozen=True)
class Measure:
    """What a run can measure of its student during training. steps: the key that sets how often."""

    steps: str
    higher_is_better: bool


MEASURES = {"ex": Measure("eval_ex_steps", True), "validation_loss": Measure("eval_steps", False)}
TRACKERS = ("tensorboard", "wandb", "mlflow")
PROMPTS = ("codes", "ddl", "m-schema")  # the modules of these names in kid/data/prompts/


@dataclass(frozen=True)
class RunConfig:
    """Everything a run depends on. Each field is a YAML key and, with underscores written as dashes, a flag."""

    # fmt: off
    method: str = option("kid", "a row of the paper's Table 1", group=LOSS, affects="plan", choices=METHODS)

    student: str = option("", "folder or hub id of the student's base model", group=MODELS, affects="plan")
    teacher: str = option(
        "", "folder or hub id of the fine-tuned teacher, or the adapter/ of its run (not for sft)",
        group=MODELS, affects="plan, teacher alone, inputs", used=uses.with_teacher,
    )
    dtype: str = option(
        "bf16", "weights and activations",
        group=MODELS, affects="speed, plan, teacher alone", choices=("fp32", "bf16"),
    )
    attention: str = option(
        "auto", "auto: flash_attention_2 if it is installed, else sdpa if the architecture supports it",
        group=MODELS, affects="speed, teacher alone", free_on_resume=True,
        choices=("auto", "sdpa", "flash_attention_2"),
    )
    lora_rank: int = option(
        64, "rank of the student's LoRA; 0 trains all weights",
        group=MODELS, affects="training, speed, plan, card", low=0, high=4096,
    )
    lora_alpha: float = option(
        32.0, "LoRA's alpha",
        group=MODELS, affects="training, card", used=uses.with_lora, low=1e-9,
    )
    lora_dropout: float = option(
        0.0, "dropout before LoRA's A",
        group=MODELS, affects="training, card", used=uses.with_lora, low=0.0, high=0.99,
    )

    benchmark: str = option(
        "spider", "benchmark whose files are in --data",
        group=DATA, affects="prompts", choices=BENCHMARKS,
    )
    data: str = option("", "the benchmark's folder", group=DATA, affects="prompts, paths, training")
    questions: str | None = option(
        None, "file of training questions instead of the benchmark's own",
        group=DATA, affects="prompts, paths, training",
    )
    tables: str | None = option(
        None, "tables.json instead of the benchmark's own",
        group=DATA, affects="prompts, paths, prediction, training",
    )
    databases: tuple[str, ...] = option(
        (), "folders with DB_ID/DB_ID.sqlite instead of the benchmark's own; the first that has one wins",
        group=DATA, affects="prompts, paths, prediction, scores, training",
    )
    missing_database: str = option(
        "error",
        "if a question's database is missing: error; schema-only: write its prompt from tables.json alone; or skip; "
        "both are counted",
        group=DATA, affects="prompts, prediction", choices=("error", "schema-only", "skip"),
    )
    damaged: str = option(
        "error", "if questions, schemas or databases cannot be read: error, or skip; what is skipped is listed",
        group=DATA, affects="prompts, prediction, scores", choices=("error", "skip"),
    )
    exclude: str | None = option(
        None, "file of training questions to exclude, written by eval/audit.py --exclude; they are counted",
        group=DATA, affects="paths, training",
    )
    evidence: bool = option(
        True, "write BIRD's external knowledge before the question",
        group=DATA, affects="prompts, prediction, card",
    )
    prompt: str = option(
        "codes",
        "format of the prompts. codes: the paper's; ddl: CREATE TABLE statements, as OmniSQL's; m-schema: XiYan's; or "
        "a Jinja template of your own (docs/data.md)",
        group=DATA, affects="prompts, prediction, training, card", choices=PROMPTS, template=True,
    )
    chat_template: str = option(
        "none",
        "write the prompt as a user's turn. auto: in the tokenizer's chat template, if it has one; FILE.jinja: in this "
        "one; the output then ends with the token that ends a turn",
        group=DATA, affects="prompts, prediction, training, card", choices=("none", "auto"), template=True,
    )
    schema_filter: str = option(
        "lexical",
        "filter the schema of a prompt over the limit: keep at most 6 tables with 10 columns each, fewer if needed. In "
        "training: those of the gold SQL and random others; otherwise the first of a lexical ranking, or of the "
        "rankings in the file given here; none: keep all",
        group=DATA, affects="prompts, prediction, training",
    )
    max_prompt_length: int = option(
        1024, "tokens; the schema of a longer prompt is filtered, then the prompt is cut from the left",
        group=DATA, affects="prompts, prediction, training, speed, plan, card", low=1,
    )
    max_completion_length: int = option(
        128, "tokens with EOS; questions with longer gold SQL are not trained on",
        group=DATA, affects="prediction, training, speed, plan, card", low=1,
    )
    strict_length: bool = option(
        False, "make a prompt or output over its limit an error",
        group=DATA, affects="files",
    )
    batching: str = option(
        "random",
        "random, or schema: the questions of a micro-batch are on one database, whose schema is encoded only once",
        group=DATA, affects="speed, plan", choices=("random", "schema"),
    )

    divergence: str | None = option(
        None, "teacher || student divergence instead of the method's own",
        group=LOSS, affects="variant, plan", used=uses.with_teacher, choices=DIVERGENCES,
    )
    jsd_beta: float = option(
        0.5, "jsd: beta KL(p || m) + (1 - beta) KL(q || m), m = beta p + (1 - beta) q",
        group=LOSS, affects="variant", used=uses.with_mixture("jsd_beta"), low=0.001, high=0.999,
    )
    skew_alpha: float = option(
        0.1, "skew-fkl: KL(p || alpha p + (1 - alpha) q); skew-rkl: p and q exchanged",
        group=LOSS, affects="variant", used=uses.with_mixture("skew_alpha"), low=0.001, high=0.999,
    )
    temperature: float = option(
        1.0, "temperature: divides the logits of teacher and student; the loss is multiplied by its square",
        group=LOSS, affects="variant", used=uses.with_teacher, low=1e-6,
    )
    kd_weight: float = option(
        1.0, "weight of the divergence",
        group=LOSS, affects="variant", used=uses.with_teacher, low=0.0,
    )
    mle_weight: float = option(
        1.0, "weight of the maximum-likelihood loss, used if outputs are gold or imperfect",
        group=LOSS, affects="variant", used=uses.with_mle, low=0.0,
    )
    fused: bool = option(
        True,
        "compute the losses from hidden states, one chunk of output tokens at a time; no (or off): from all logits at "
        "once, for comparison",
        group=LOSS, affects="speed, plan", free_on_resume=True,
    )
    logit_memory_mb: int = option(
        768, "MiB per rank for logits with the fused losses",
        group=LOSS, affects="plan", free_on_resume=True, low=16,
    )
    reduction: str = option(
        "sequence", "sequence: mean over a sequence's tokens, then over sequences (Eq. 2); token: mean over all tokens",
        group=LOSS, affects="variant", choices=("sequence", "token"),
    )

    rewrite: str = option(
        "predict",
        "what replaces masked tokens. predict: the student's predictions; mask-only: the mask token; none: nothing is "
        "masked, outputs are gold (vanilla kid)",
        group=REWRITE, affects="variant, plan", used=uses.with_imperfect_data, choices=("predict", "mask-only", "none"),
    )
    mask_strategy: str = option(
        "random",
        "tokens to mask. random; uniform: evenly spaced; hard, easy: those at which the student's entropy is highest, "
        "lowest (one more forward)",
        group=REWRITE, affects="variant, plan", used=uses.with_masks, choices=MASK_STRATEGIES,
    )
    mask_ratio: float = option(
        0.2, "alpha: share of the output's tokens that the student rewrites (kid)",
        group=REWRITE, affects="variant, plan", used=uses.with_masks, low=0.0, high=1.0,
    )
    fill: str = option(
        "argmax", "predict the most probable token, or sample from the distribution (--sample-temperature, --top-p)",
        group=REWRITE, affects="variant", used=uses.with_predictions, choices=("argmax", "sample"),
    )
    mask_token: str | None = option(
        None, "mask token; default: the first that the tokenizer has of mask, bos, unk, pad and eos",
        group=REWRITE, affects="variant", used=uses.with_masks,
    )
    mle_on: str = option(
        "imperfect",
        "the output that gold tokens are conditioned on in kid's maximum-likelihood loss: imperfect, or gold (a second "
        "forward)",
        group=REWRITE, affects="variant, plan", used=uses.with_masks, choices=("imperfect", "gold"),
    )

    sample_temperature: float = option(
        1.0, "temperature of sampling; 0: take the most probable token",
        group=SAMPLING, affects="variant, decoding", used=uses.with_sampling, low=0.0,
    )
    top_p: float = option(
        1.0, "nucleus sampling: sample from the most probable tokens that together have this probability",
        group=SAMPLING, affects="variant, decoding", used=uses.with_sampling, low=1e-6, high=1,
    )
    max_new_tokens: int | None = option(
        None, "maximum number of tokens to decode [max_completion_length]",
        group=SAMPLING, affects="decoding, plan", used=uses.with_generated_outputs, low=1,
    )
    teacher_outputs: str | None = option(
        None, "file of the teacher's outputs for the training set, written by train/generate.py (f-distill)",
        group=SAMPLING, affects="inputs", used=uses.with_teacher_outputs,
    )

    epochs: int = option(8, "passes over the training set", group=OPTIMISATION, affects="training, card", low=1)
    max_steps: int | None = option(
        None, "stop after this many optimizer steps; the learning rate schedule ends there too",
        group=OPTIMISATION, affects="training, card", low=1,
    )
    batch_size: int = option(
        16, "sequences per optimizer step, over all ranks",
        group=OPTIMISATION, affects="training, speed, plan, card", low=1,
    )
    micro_batch_size: int = option(
        2, "sequences per rank and forward pass",
        group=OPTIMISATION, affects="speed, plan, teacher alone", low=1,
    )
    lr: float = option(2e-4, "peak learning rate", group=OPTIMISATION, affects="training, card", low=0.0)
    warmup_ratio: float = option(
        0.05, "fraction of the steps over which the learning rate rises; it then follows a half cosine to 0",
        group=OPTIMISATION, affects="training, card", low=0, high=1,
    )
    weight_decay: float = option(
        0.0, "AdamW's decoupled weight decay",
        group=OPTIMISATION, affects="training, card", low=0.0,
    )
    max_grad_norm: float = option(
        1.0, "clip gradients to this norm; 0: do not clip",
        group=OPTIMISATION, affects="training, card", low=0.0,
    )
    prefix: bool = option(
        True,
        "encode a prompt once and reuse its KV cache in every pass over outputs; no (or off): process whole sequences "
        "in every pass",
        group=OPTIMISATION, affects="speed, plan", free_on_resume=True,
    )
    teacher_prefix_gb: float | None = option(
        None,
        "GB of each node's memory and disk for the teacher's keys and values of schemas, computed once and read in "
        "every step; 0: none (default: a quarter of the free memory and half of the free disk under KID_CACHE; on GPUs "
        "none)",
        group=OPTIMISATION, affects="speed, plan", used=uses.with_teacher, free_on_resume=True, low=0.0,
    )
    teacher_prefix_device_gb: float | None = option(
        None, "GB of each GPU for the most used of these keys and values (default: none)",
        group=OPTIMISATION, affects="speed, plan", used=uses.with_teacher, free_on_resume=True, low=0.0,
    )
    teacher_states: str | None = option(
        None,
        "folder of the teacher's hidden states for the training set, written by train/teacher_states.py; the teacher "
        "is then not loaded (fkd, rkd)",
        group=OPTIMISATION, affects="speed, plan, inputs", used=uses.with_fixed_outputs, free_on_resume=True,
    )
    activation_checkpointing: bool = option(
        False, "recompute the student's activations in backward: less memory, more time; requires prefix: no",
        group=OPTIMISATION, affects="speed, plan", free_on_resume=True,
    )
    seed: int = option(
        0, "random seed",
        group=OPTIMISATION, affects="prompts, teacher alone, card", low=0, high=2**31 - 1,
    )

    output: str = option("", "the run's directory", group=RUN, affects="files", free_on_resume=True)
    deepspeed: str = option(
        "ds_configs/student_zero3.json", "the student's DeepSpeed configuration",
        group=RUN, affects="plan",
    )
    teacher_deepspeed: str = option(
        "ds_configs/teacher_zero3.json", "the teacher's DeepSpeed configuration",
        group=RUN, affects="plan, teacher alone", used=uses.with_teacher, free_on_resume=True,
    )
    save_steps: int | None = option(
        None, "write a checkpoint and adapters/step-N/ every N steps (default: only at the end)",
        group=RUN, affects="files", free_on_resume=True, low=1,
    )
    eval_steps: int | None = option(
        None, "measure the validation loss on a fixed part of dev every N steps",
        group=RUN, affects="files", low=1,
    )
    eval_ex_steps: int | None = option(
        None,
        "measure EX every N steps and at the end: the ranks share the questions, decode them greedily and execute the "
        "SQL",
        group=RUN, affects="files", low=1,
    )
    eval_questions: int = option(
        200, "number of questions of --eval-split for EX, evenly spaced",
        group=RUN, affects="files", used=uses.with_ex, low=1,
    )
    eval_split: str = option(
        "dev", "split of the benchmark that EX is measured on",
        group=RUN, affects="files", used=uses.with_ex,
    )
    keep_best: str | None = option(
        None,
        "keep the step with the best value of this measure: best/ is its export, best.json has the step and the value "
        "(requires --eval-ex-steps or --eval-steps)",
        group=RUN, affects="files", choices=MEASURES,
    )
    patience: int | None = option(
        None, "stop after this many evaluations in a row without improvement (default: never)",
        group=RUN, affects="training", used=uses.with_best, low=1,
    )
    report_to: str = option(
        "tensorboard",
        "trackers that receive curves and configuration besides metrics.jsonl, separated by commas: tensorboard, "
        "wandb, mlflow; or none",
        group=RUN, affects="files", free_on_resume=True,
    )
    resume: bool = option(
        False,
        "resume from the newest intact checkpoint, on any number of ranks; without one, start. A checkpoint that other "
        "users can write is refused unless KID_TRUST_CHECKPOINTS=yes (docs/cluster.md)",
        group=RUN, affects="files", free_on_resume=True,
    )
    # fmt: on

    @property
    def trackers(self) -> tuple[str, ...]:
        """The names in --report-to."""
        return tuple(name.strip() for name in self.report_to.split(",") if name.strip() not in ("", "none"))

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
        return getattr(self, DIVERGENCES.get(self.resolved_divergence) or "jsd_beta")

    @property
    def decoding_limit(self) -> int:
        """The largest number of tokens to decode for an output."""
        return self.max_new_tokens or self.max_completion_length


def dump_config(config: RunConfig) -> str:
    """All keys as YAML text, the format of `config.yaml` in the run directory."""
    values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(config).items()}
    return dump_yaml(values)


def accumulation_steps(config: RunConfig, world_size: int) -> int:
    """Return the micro-batches per rank and optimizer step. Raises InputError with the nearest valid batch sizes."""
    per_pass = config.micro_batch_size * world_size
    if config.batch_size % per_pass:
        below = config.batch_size // per_pass * per_pass
        near = " or ".join(str(size) for size in (below, below + per_pass) if size)
        raise InputError(
            f"--batch-size {config.batch_size} is not divisible by micro-batch-size x ranks "
            f"({config.micro_batch_size} x {world_size}); use {near}"
        )
    return config.batch_size // per_pass
