"""Estimates of one step: operations, bytes exchanged between ranks, seconds. See docs/planning.md for the formulas."""

from __future__ import annotations

from dataclasses import dataclass

from kid.config.methods import ON_POLICY
from kid.config.run_config import RunConfig
from kid.models.loading import DTYPES
from kid.models.response_model import ResponseModel
from kid.planning.engines import is_offloaded, persistent_parameters, reuse_limit, unique_parameters
from kid.planning.rehearsal import Layout
from kid.training.imperfect import mask_count
from kid.training.passes import ENTROPIES, KD, OWN_TOKENS, PREDICTIONS, STUDENT, TEACHER, count_passes, passes

# Bytes per second: decoding reads all weights for each token from an H100's memory; offloaded weights cross PCIe 4 x16.
GPU_MEMORY_BANDWIDTH, PCIE_BANDWIDTH = 3.35e12, 25e9
# Time of Python and kernel launches per layer, adapters included: a lower bound for a forward of any size.
LAYER_LAUNCH_SECONDS = 1e-3
# The schema's share of a prompt, if schemas are shared or stored.
SCHEMA_SHARE = 0.75


@dataclass(frozen=True)
class Speeds:
    """Speeds of a GPU. peak: floating-point operations per second; mfu: share of it reached; network: bytes/s."""

    peak: float
    mfu: float
    network: float


@dataclass(frozen=True)
class Cost:
    """The cost of one optimizer step on one GPU.

    collective: bytes received. uploaded: bytes read from host memory. launching: lower bound in seconds, from kernel
    launches. decoding: seconds.
    """

    operations: float = 0.0
    collective: float = 0.0
    uploaded: float = 0.0
    launching: float = 0.0
    decoding: float = 0.0

    def seconds(self, speeds: Speeds) -> float:
        """Seconds per step. Compute, launches and transfers overlap, so the slowest counts; decoding precedes them."""
        compute = self.operations / (speeds.peak * speeds.mfu)
        return (
            max(compute, self.launching, self.collective / speeds.network, self.uploaded / PCIE_BANDWIDTH)
            + self.decoding
        )


def forward_tokens(prefix: bool, layout: Layout, passes: int, share: bool, separately: bool) -> tuple[int, int]:
    """(forwards, tokens processed in them) of a model with `passes` passes over outputs, as `encode_prompts` runs them.

    Args:
        prefix: encode prompts separately from outputs where that saves work.
        share: encode the part that prompts share once.
        separately: encode the rest of the prompts once for all passes, rather than within the only pass.
    """
    whole = layout.shared + layout.unshared + layout.output - 1
    if not prefix:
        return passes, passes * layout.rows * whole
    forwards, tokens = (1, layout.shared) if share else (0, 0)
    rest = layout.unshared if share else layout.shared + layout.unshared
    if separately:
        return forwards + 1 + passes, tokens + layout.rows * (rest - 1 + passes * layout.output)
    return forwards + passes, tokens + passes * layout.rows * (rest + layout.output - 1)


def schema_tokens(config: RunConfig) -> int:
    """Schema tokens in a prompt of maximum length; its last two tokens are never shared (kid.data.sharing)."""
    return max(0, min(int(SCHEMA_SHARE * config.max_prompt_length), config.max_prompt_length - 2))


def cache_bytes(module: ResponseModel, tokens: int, itemsize: int) -> int:
    """Bytes of the keys and values of `tokens` tokens in one layer."""
    config = module.causal_lm.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * tokens * heads * width * itemsize


def schema_bytes(config: RunConfig, teacher: ResponseModel) -> int:
    """Bytes of the teacher's stored keys and values of one schema."""
    layers = teacher.causal_lm.config.num_hidden_layers
    return layers * cache_bytes(teacher, schema_tokens(config), DTYPES[config.dtype].itemsize)


def trunk_matrices(module: ResponseModel) -> list:
    """The weight matrices that every token is multiplied by: all except embedding and head."""
    outside = {id(module.causal_lm.get_input_embeddings().weight), id(module.causal_lm.get_output_embeddings().weight)}
    return [p for p in unique_parameters(module.parameters()) if p.dim() == 2 and id(p) not in outside]


def operations_per_token(module: ResponseModel, columns: int) -> tuple[float, float]:
    """(operations of a forward, of its attention) per token.

    2 for each weight; 4 for each feature, layer and attended token, which are half of the columns on average.
    """
    config = module.causal_lm.config
    attention = 2 * config.num_hidden_layers * config.hidden_size * columns
    return 2 * sum(p.numel() for p in trunk_matrices(module)) + attention, attention


def head_elements(module: ResponseModel) -> int:
    """Number of elements of the head's weight matrix."""
    return module.causal_lm.get_output_embeddings().weight.numel()


def gathered_bytes(
    module: ResponseModel,
    deepspeed_values: dict,
    dtype: str,
    forwards: int,
    backwards: int,
    head_gathers: int,
    ranks: int,
    recomputed_forwards: int = 0,
) -> float:
    """Bytes a rank receives to gather a ZeRO-3 model for the passes of a micro-batch.

    Args:
        head_gathers: times the head is gathered by itself.
        recomputed_forwards: forwards that activation checkpointing runs again.
    """
    zero = deepspeed_values["zero_optimization"]
    if zero["stage"] < 3:
        return 0.0
    parameters = unique_parameters(module.parameters())
    elements = sum(p.numel() for p in parameters) - sum(p.numel() for p in persistent_parameters(parameters, zero))
    if head_gathers and not module.causal_lm.config.tie_word_embeddings:
        elements -= head_elements(module)
    received = (forwards + backwards + recomputed_forwards) * elements + head_gathers * head_elements(module)
    if backwards and elements <= reuse_limit(zero):
        # All stay gathered for the last backward except the embedding, which is not read there if it is frozen.
        received = (1 + recomputed_forwards) * elements + (head_gathers + forwards - 1) * head_elements(module)
    return DTYPES[dtype].itemsize * received * (ranks - 1) / ranks


def reduction_bytes(module: ResponseModel, values: dict, dtype: str, accumulation: int, ranks: int) -> float:
    """Bytes a rank receives for gradients and, below stage 3, for updated weights."""
    stage = values["zero_optimization"]["stage"]
    elements = sum(p.numel() for p in unique_parameters(module.parameters()) if p.requires_grad)
    # Stages 2 and 3 reduce gradients once per micro-batch, 0 and 1 once per step. Only 3 scatters them: stages 1 and 2
    # all-reduce whole buckets (`use_multi_rank_bucket_allreduce`), which doubles the traffic.
    times = (accumulation if stage >= 2 else 1) * (1 if stage == 3 else 2) + (stage in (1, 2))
    return DTYPES[dtype].itemsize * times * elements * (ranks - 1) / ranks


def step_cost(
    config: RunConfig,
    source: str,
    student: ResponseModel,
    teacher: ResponseModel | None,
    deepspeed_values: tuple[dict, dict | None],
    layout: Layout,
    share: bool,
    ranks: int,
    accumulation: int,
    stored: bool = False,
) -> Cost:
    """The cost of a step whose outputs come from `source`, with all prompts and outputs as long as in the layout.

    stored: the teacher's keys and values of all schemas are stored; each micro-batch uploads those of its schemas.
    """
    step_passes = [this for this in passes(config, source) if this.reads != OWN_TOKENS]
    student_passes = [this for this in step_passes if this.model == STUDENT]
    # Decoding reuses the encoded prompts of training if there is one micro-batch (kid.training.step.train_step).
    separately = len(student_passes) > 1 or (source == ON_POLICY and accumulation == 1)
    columns, rows = layout.shared + layout.unshared + layout.output, layout.rows * layout.output
    training, evaluating = count_passes(step_passes)
    separate_prompts = config.prefix and not student.prefix_unsupported_reason
    forwards, tokens = forward_tokens(separate_prompts, layout, len(student_passes), share, separately)
    forward, attention = operations_per_token(student, columns)
    trained = sum(p.numel() for p in trunk_matrices(student) if p.requires_grad)
    # Backward: gradients of each input, of both operands of attention, and of each trained weight, except for tokens
    # processed only in passes without gradient.
    eval_tokens = evaluating * layout.rows * (layout.output if separate_prompts else columns - 1)
    backward = (forward + attention + 2 * trained) * (tokens - eval_tokens)
    # Activation checkpointing runs the forward again.
    recomputation = forward * (tokens - eval_tokens) if config.activation_checkpointing else 0
    operations = forward * tokens + backward + recomputation
    trains_head = student.causal_lm.get_output_embeddings().weight.requires_grad
    operations += 2 * rows * head_elements(student) * training * (2 + trains_head)
    masked = layout.rows * mask_count(config.mask_ratio, layout.output - 1)
    operations += (
        2
        * head_elements(student)
        * sum(masked if PREDICTIONS in this.gives else rows * (ENTROPIES in this.gives) for this in student_passes)
    )
    # The shared part of the prompts and the rest each have their own backward.
    backwards = training + separate_prompts * (separately + share)
    recomputed_forwards = training * config.activation_checkpointing
    head_uses = (len(student_passes) + training * trains_head) if config.fused else 0
    collective = gathered_bytes(
        student, deepspeed_values[0], config.dtype, forwards, backwards, head_uses, ranks, recomputed_forwards
    )
    layer_launches = forwards + recomputed_forwards + 2 * backwards
    launching = LAYER_LAUNCH_SECONDS * student.causal_lm.config.num_hidden_layers * layer_launches
    uploaded, decoding = 0.0, 0.0
    if config.teacher_states:
        operations += 2 * rows * head_elements(teacher)
        uploaded += rows * teacher.head.weight.shape[1] * DTYPES[config.dtype].itemsize
    elif teacher is not None and any(this.model == TEACHER for this in step_passes):
        teacher_separately = deepspeed_values[1]["zero_optimization"]["stage"] < 3 and not share
        teacher_forwards, teacher_tokens = forward_tokens(
            config.prefix and not teacher.prefix_unsupported_reason, layout, 1, share, teacher_separately
        )
        if stored:
            teacher_forwards = 1
            teacher_tokens = layout.rows * (config.max_prompt_length - schema_tokens(config) + layout.output - 1)
            uploaded += (1 if share else layout.rows) * schema_bytes(config, teacher)
        operations += operations_per_token(teacher, columns)[0] * teacher_tokens + 2 * rows * head_elements(teacher)
        launching += LAYER_LAUNCH_SECONDS * teacher.causal_lm.config.num_hidden_layers * teacher_forwards
        teacher_head_uses = sum(KD in this.gives for this in step_passes) if config.fused else 0
        collective += gathered_bytes(
            teacher, deepspeed_values[1], config.dtype, teacher_forwards, 0, teacher_head_uses, ranks
        )
        if is_offloaded(deepspeed_values[1]["zero_optimization"], "offload_param"):
            bytes_per_rank = (
                DTYPES[config.dtype].itemsize * sum(p.numel() for p in unique_parameters(teacher.parameters())) / ranks
            )
            uploaded += teacher_forwards * bytes_per_rank
    operations, collective, uploaded, launching = (
        accumulation * amount for amount in (operations, collective, uploaded, launching)
    )
    collective += reduction_bytes(student, deepspeed_values[0], config.dtype, accumulation, ranks)
    if source == ON_POLICY:
        # Decoding makes one token per sample at a time: limited by kernel launches or by reading all weights.
        weights = DTYPES[config.dtype].itemsize * sum(p.numel() for p in unique_parameters(student.parameters()))
        layers = student.causal_lm.config.num_hidden_layers
        decoding = config.decoding_limit * max(weights / GPU_MEMORY_BANDWIDTH, LAYER_LAUNCH_SECONDS * layers)
        collective += gathered_bytes(student, deepspeed_values[0], config.dtype, 1, 0, 0, ranks)
        operations += accumulation * layout.rows * config.decoding_limit * (forward + 2 * head_elements(student))
        if not (separate_prompts and accumulation == 1):  # decoding encodes the prompts again
            operations += accumulation * forward * (forward_tokens(separate_prompts, layout, 1, share, False)[1] - rows)
    return Cost(operations, collective, uploaded, launching, decoding)
