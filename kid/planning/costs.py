"""Estimates of a step: operations, bytes that ranks exchange, seconds. docs/planning.md has the formulas."""

from __future__ import annotations

from dataclasses import dataclass

from kid.config.methods import ON_POLICY
from kid.config.run_config import RunConfig
from kid.models.loading import DTYPES
from kid.models.response_model import ResponseModel
from kid.planning.engines import offloaded, persistent, staying, unique
from kid.planning.rehearsal import Layout
from kid.training.imperfect import mask_count
from kid.training.passes import ENTROPIES, ITS_OWN, KD, PREDICTIONS, STUDENT, TEACHER, count_passes, passes

# Decoding reads all weights for each token: an H100's memory. Offloaded weights cross PCIe 4 x16. Bytes a second.
GPU_MEMORY_SPEED, HOST_SPEED = 3.35e12, 25e9
# Python and the launches of a layer's kernels, adapters among them: no forward is faster, however few its tokens.
LAYER_SECONDS = 1e-3


@dataclass(frozen=True)
class Speeds:
    """peak: floating-point operations a second of a GPU; mfu: share of it reached; network: bytes a second per GPU."""

    peak: float
    mfu: float
    network: float


@dataclass(frozen=True)
class Cost:
    """Of one optimizer step on one GPU.

    collective: bytes received. uploaded: bytes from the host's memory. launching: seconds that launches take at least.
    decoding: seconds.
    """

    operations: float = 0.0
    collective: float = 0.0
    uploaded: float = 0.0
    launching: float = 0.0
    decoding: float = 0.0

    def seconds(self, speeds: Speeds) -> float:
        """Compute, launches and transfers overlap: the slowest counts; decoding comes before them."""
        compute = self.operations / (speeds.peak * speeds.mfu)
        return (
            max(compute, self.launching, self.collective / speeds.network, self.uploaded / HOST_SPEED) + self.decoding
        )


def forward_tokens(prefix: bool, layout: Layout, count: int, share: bool, separately: bool) -> tuple[int, int]:
    """(forwards, tokens that run in them) of a model with `count` passes over outputs, as `encode_prompts` has them.

    Args:
        prefix: prompts are encoded separately from outputs, where that saves something.
        share: what prompts share is encoded once.
        separately: the rest of the prompts is encoded once for all passes, not in the only one.
    """
    whole = layout.shared + layout.own + layout.output - 1
    if not prefix:
        return count, count * layout.rows * whole
    forwards, tokens = (1, layout.shared) if share else (0, 0)
    rest = layout.own if share else layout.shared + layout.own
    if separately:
        return forwards + 1 + count, tokens + layout.rows * (rest - 1 + count * layout.output)
    return forwards + count, tokens + count * layout.rows * (rest + layout.output - 1)


def trunk(module: ResponseModel) -> list:
    """The weight matrices that every token is multiplied by: all but embedding and head."""
    outside = {id(module.causal_lm.get_input_embeddings().weight), id(module.causal_lm.get_output_embeddings().weight)}
    return [p for p in unique(module.parameters()) if p.dim() == 2 and id(p) not in outside]


def operations_a_token(module: ResponseModel, columns: int) -> tuple[float, float]:
    """(of a forward, of attention in it): 2 for each weight; 4 for each feature, layer and token that is attended to,
    on average half of the columns."""
    config = module.causal_lm.config
    attention = 2 * config.num_hidden_layers * config.hidden_size * columns
    return 2 * sum(p.numel() for p in trunk(module)) + attention, attention


def head_size(module: ResponseModel) -> int:
    """Elements of the head's matrix."""
    return module.causal_lm.get_output_embeddings().weight.numel()


def gathering(
    module: ResponseModel,
    values: dict,
    dtype: str,
    forwards: int,
    backwards: int,
    heads: int,
    ranks: int,
    anew: int = 0,
) -> float:
    """Bytes a rank receives when a ZeRO-3 model is gathered for the passes of a micro-batch.

    Args:
        heads: gatherings of the head by itself.
        anew: forwards that checkpointing runs once more.
    """
    zero = values["zero_optimization"]
    if zero["stage"] < 3:
        return 0.0
    parameters = unique(module.parameters())
    elements = sum(p.numel() for p in parameters) - sum(p.numel() for p in persistent(parameters, zero))
    if heads and not module.causal_lm.config.tie_word_embeddings:
        elements -= head_size(module)
    received = (forwards + backwards + anew) * elements + heads * head_size(module)
    if backwards and elements <= staying(zero):
        # All stay for the last backward but the embedding, which no backward of a frozen one reads.
        received = (1 + anew) * elements + (heads + forwards - 1) * head_size(module)
    return DTYPES[dtype].itemsize * received * (ranks - 1) / ranks


def reducing(module: ResponseModel, values: dict, dtype: str, accumulation: int, ranks: int) -> float:
    """Bytes a rank receives for gradients and, below stage 3, for the updated weights."""
    stage = values["zero_optimization"]["stage"]
    elements = sum(p.numel() for p in unique(module.parameters()) if p.requires_grad)
    # Stages 2 and 3 reduce each micro-batch's, 0 and 1 once a step. Only 3 scatters them: stages 1 and 2 sum whole
    # buckets (`use_multi_rank_bucket_allreduce`), which takes twice as much.
    times = (accumulation if stage >= 2 else 1) * (1 if stage == 3 else 2) + (stage in (1, 2))
    return DTYPES[dtype].itemsize * times * elements * (ranks - 1) / ranks


def step_cost(
    config: RunConfig,
    source: str,
    student: ResponseModel,
    teacher: ResponseModel | None,
    files: tuple[dict, dict | None],
    layout: Layout,
    share: bool,
    ranks: int,
    accumulation: int,
) -> Cost:
    """The cost of a step whose outputs come from `source`, every prompt and output as long as the layout's."""
    plan = [this for this in passes(config, source) if this.reads != ITS_OWN]
    mine = [this for this in plan if this.model == STUDENT]
    # Decoding shares the prompts of training where there is one micro-batch (kid.training.step.train_step).
    separately = len(mine) > 1 or (source == ON_POLICY and accumulation == 1)
    columns, rows = layout.shared + layout.own + layout.output, layout.rows * layout.output
    training, evaluating = count_passes(plan)
    prefix = config.prefix and not student.prefix_unsupported_reason
    forwards, tokens = forward_tokens(prefix, layout, len(mine), share, separately)
    forward, attention = operations_a_token(student, columns)
    trained = sum(p.numel() for p in trunk(student) if p.requires_grad)
    # Backward: the gradients of each input, of both that attention multiplies, and of each trained weight; but of
    # nothing that ran for a pass without gradient alone.
    eval_tokens = evaluating * layout.rows * (layout.output if prefix else columns - 1)
    backward = (forward + attention + 2 * trained) * (tokens - eval_tokens)
    # Checkpointing runs the forward once more.
    again = forward * (tokens - eval_tokens) if config.activation_checkpointing else 0
    operations = forward * tokens + backward + again
    trains_head = student.causal_lm.get_output_embeddings().weight.requires_grad
    operations += 2 * rows * head_size(student) * training * (2 + trains_head)
    masked = layout.rows * mask_count(config.mask_ratio, layout.output - 1)
    operations += (
        2
        * head_size(student)
        * sum(masked if PREDICTIONS in this.gives else rows * (ENTROPIES in this.gives) for this in mine)
    )
    # That of what prompts share, and of the rest of them, is a backward of its own.
    backwards = training + prefix * (separately + share)
    anew = training * config.activation_checkpointing
    heads = (len(mine) + training * trains_head) if config.fused else 0
    collective = gathering(student, files[0], config.dtype, forwards, backwards, heads, ranks, anew)
    layers = forwards + anew + 2 * backwards
    uploaded, decoding, launching = 0.0, 0.0, LAYER_SECONDS * student.causal_lm.config.num_hidden_layers * layers
    if teacher is not None and any(this.model == TEACHER for this in plan):
        alone = files[1]["zero_optimization"]["stage"] < 3 and not share
        theirs, read = forward_tokens(config.prefix and not teacher.prefix_unsupported_reason, layout, 1, share, alone)
        operations += operations_a_token(teacher, columns)[0] * read + 2 * rows * head_size(teacher)
        launching += LAYER_SECONDS * teacher.causal_lm.config.num_hidden_layers * theirs
        kd = sum(KD in this.gives for this in plan) if config.fused else 0
        collective += gathering(teacher, files[1], config.dtype, theirs, 0, kd, ranks)
        if offloaded(files[1]["zero_optimization"], "offload_param"):
            parts = DTYPES[config.dtype].itemsize * sum(p.numel() for p in unique(teacher.parameters())) / ranks
            uploaded = theirs * parts
    operations, collective, uploaded, launching = (
        accumulation * amount for amount in (operations, collective, uploaded, launching)
    )
    collective += reducing(student, files[0], config.dtype, accumulation, ranks)
    if source == ON_POLICY:
        # A token for each sample of the step at a time: limited by launches, or the reading of all weights.
        weights = DTYPES[config.dtype].itemsize * sum(p.numel() for p in unique(student.parameters()))
        layers = student.causal_lm.config.num_hidden_layers
        decoding = config.decoding_limit * max(weights / GPU_MEMORY_SPEED, LAYER_SECONDS * layers)
        collective += gathering(student, files[0], config.dtype, 1, 0, 0, ranks)
        operations += accumulation * layout.rows * config.decoding_limit * (forward + 2 * head_size(student))
        if not (prefix and accumulation == 1):  # decoding encodes the prompts for itself
            operations += accumulation * forward * (forward_tokens(prefix, layout, 1, share, False)[1] - rows)
    return Cost(operations, collective, uploaded, launching, decoding)
