"""Estimate whether a run fits in memory: GPU and host memory by method, and the first item that does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain

import torch

from kid.config.deepspeed_config import STUDENT_FLAG, TEACHER_FLAG, read_deepspeed_config
from kid.config.methods import METHODS, ON_POLICY
from kid.config.run_config import RunConfig, accumulation_steps
from kid.losses import torch_rows
from kid.losses.fused import plan_chunks
from kid.models.loading import DTYPES
from kid.models.response_model import ResponseModel
from kid.planning.costs import Cost, cache_bytes, head_elements, schema_bytes, schema_tokens, step_cost
from kid.planning.engines import (
    MemoryItem,
    peak_gathered_elements,
    stored_prefix_memory,
    training_memory,
    weight_memory,
)
from kid.planning.rehearsal import Layout, MemoryUse, rehearse
from kid.planning.shapes import Shape, build
from kid.training.passes import KD, OWN_TOKENS, STUDENT, Pass, passes

GIB = 2**30
# On a GPU: CUDA context, NCCL buffers, fragmentation. On the host, per rank: Python and its libraries.
GPU_RESERVED, HOST_RESERVED = 2 * GIB, 2 * GIB
GPUS_PER_NODE = 8
LOGITS_NAME = "logits of a chunk of outputs"


@dataclass(frozen=True)
class Machine:
    """gpus: number of ranks, GPUS_PER_NODE per node. gpu_memory: bytes per GPU. host_memory: bytes per node or None."""

    gpus: int
    gpu_memory: int
    host_memory: int | None = None

    @property
    def ranks_per_node(self) -> int:
        return min(self.gpus, GPUS_PER_NODE)


@dataclass(frozen=True)
class Models:
    """Shapes of student and teacher; whether the teacher is used depends on the method."""

    student: Shape
    teacher: Shape | None


@dataclass(frozen=True)
class RunEstimate:
    """The estimate for one method. lines: memory held all the time; phases: memory that each phase of a step adds.

    stored_cost: the cost if the teacher's keys and values of all schemas are stored. schema_bytes: memory and disk that
    those of one schema take on a node. Both are None if they cannot be stored.
    """

    method: str
    lines: list[MemoryItem]
    phases: dict[str, list[MemoryItem]]
    cost: Cost
    ranks_per_node: int
    stored_cost: Cost | None = None
    schema_bytes: int | None = None

    @property
    def peak_phase(self) -> str:
        return max(self.phases, key=lambda name: sum(line.gpu for line in self.phases[name]))

    @property
    def gpu(self) -> int:
        """Peak bytes on a GPU, including GPU_RESERVED."""
        return GPU_RESERVED + sum(line.gpu for line in [*self.lines, *self.phases[self.peak_phase]])

    @property
    def host(self) -> int:
        """Bytes in the host memory of a node."""
        transient = max(sum(line.host for line in lines) for lines in self.phases.values())
        return self.ranks_per_node * (HOST_RESERVED + transient + sum(line.host for line in self.lines))

    def breakdown(self) -> list[MemoryItem]:
        """The items that add up to `gpu` and to a rank's share of `host`."""
        items = [*self.lines, *self.phases[self.peak_phase]]
        reserved = MemoryItem("CUDA, NCCL, fragments; Python (assumed)", GPU_RESERVED, HOST_RESERVED)
        return [reserved, *(line for line in items if line.gpu or line.host)]

    def first_excess(self, machine: Machine) -> str | None:
        """The first item that does not fit, in the order of allocation; None if everything fits."""
        for name, lines in self.phases.items():
            used = GPU_RESERVED
            for line in [*self.lines, *lines]:
                used += line.gpu
                if used > machine.gpu_memory:
                    return f"{line.name} ({line.gpu / GIB:.1f} GB on each GPU, {name})"
        if machine.host_memory is not None and self.host > machine.host_memory:
            largest = max([*self.lines, *chain(*self.phases.values())], key=lambda line: line.host)
            return f"host memory: {largest.name} ({self.ranks_per_node * largest.host / GIB:.1f} GB on a node)"
        return None


def largest_layout(config: RunConfig) -> tuple[Layout, bool]:
    """(layout of the largest micro-batch, all prompts and outputs at their limit; whether prompts share a schema)."""
    share = config.prefix and config.batching == "schema" and config.micro_batch_size > 1
    shared = schema_tokens(config) if share else 0
    output = config.max_completion_length
    return Layout(config.micro_batch_size, shared, config.max_prompt_length - shared, output), shared > 0


def chunk_bytes(
    config: RunConfig,
    student: ResponseModel,
    teacher: ResponseModel | None,
    rows: int,
    device: str,
    trains: bool = True,
) -> int:
    """Bytes that the fused head (kid.losses.fused.FusedHead) allocates for its largest chunk of `rows` rows.

    Args:
        teacher: None without a divergence.
        device: "cuda", with the Triton backend, or "cpu".
        trains: whether the losses need a gradient.
    """
    heads = [model.head for model in (student, teacher) if model is not None]
    hidden = DTYPES[config.dtype]
    logit_dtype = torch.promote_types(hidden, torch.float32)
    grad_dtype, capped = hidden if device == "cuda" else logit_dtype, heads[0].soft_cap is not None
    buffer_dtype = logit_dtype if capped else grad_dtype
    separate_gradient = trains and (buffer_dtype != logit_dtype or capped)
    gradient_bytes = (
        separate_gradient * buffer_dtype.itemsize + (trains and buffer_dtype != grad_dtype) * grad_dtype.itemsize
    )
    scratch = torch_rows.SCRATCH if device == "cpu" else 0
    chunk_plan = plan_chunks(
        heads, torch.device(device), logit_dtype.itemsize, gradient_bytes, scratch, config.logit_memory_mb
    )
    largest = max((chunk.stop - chunk.start for chunk in chunk_plan.chunks(rows)), default=0)
    elements = sum(len(head.weight) for head in heads) + heads[0].weight.shape[1]
    return largest * (logit_dtype.itemsize * elements + gradient_bytes * len(heads[0].weight))


@cache
def build_once(shape: Shape, dtype: str, rank: int, trained: bool, longest: int) -> ResponseModel:
    """`kid.planning.shapes.build`, cached."""
    return build(shape.config, dtype, rank, trained, longest)


rehearse_once = cache(rehearse)


def memory_use(config: RunConfig, shape: Shape, layout: Layout, step_passes: list[Pass], **options) -> MemoryUse:
    """`kid.planning.rehearsal.rehearse`, cached for methods with the same passes over outputs."""
    names = ("dtype", "lora_rank", "prefix", "fused", "activation_checkpointing", "temperature")
    relevant = RunConfig(method="rkd", **{name: getattr(config, name) for name in names})
    if not config.fused:
        relevant = replace(relevant, divergence=config.resolved_divergence)
    return rehearse_once(relevant, shape, layout, tuple(step_passes), **options)


@dataclass(frozen=True)
class PlannedRun:
    """A configuration and what is derived from it: modules on the meta device, DeepSpeed values, largest micro-batch.

    teacher, teacher_deepspeed: None for a method without a teacher. share: whether prompts share a schema.
    """

    config: RunConfig
    models: Models
    machine: Machine
    student: ResponseModel
    teacher: ResponseModel | None
    student_deepspeed: dict
    teacher_deepspeed: dict | None
    accumulation: int
    layout: Layout
    share: bool

    @property
    def itemsize(self) -> int:
        return DTYPES[self.config.dtype].itemsize

    @property
    def stores_prefixes(self) -> bool:
        """Whether the teacher's keys and values of schemas can be stored."""
        config, teacher = self.config, self.runs_teacher and self.teacher
        return bool(
            teacher and config.prefix and config.teacher_prefix_gb != 0 and not teacher.prefix_unsupported_reason
        )

    @property
    def runs_teacher(self) -> bool:
        """Whether a teacher is loaded; if its states are stored, only its head is."""
        return self.teacher is not None and not self.config.teacher_states

    @property
    def rows(self) -> int:
        """Output tokens in a micro-batch."""
        return self.layout.rows * self.layout.output


def prepare(config: RunConfig, models: Models, machine: Machine) -> PlannedRun:
    """Build the run to plan. Raises InputError for an unsuitable DeepSpeed file or indivisible batch sizes."""
    accumulation = accumulation_steps(config, machine.gpus)
    longest = config.max_prompt_length + max(config.max_completion_length, config.decoding_limit)
    student = build_once(models.student, config.dtype, config.lora_rank, True, longest)
    teacher, teacher_deepspeed = None, None
    if METHODS[config.method].needs_teacher:
        teacher = build_once(models.teacher, config.dtype, models.teacher.adapter_rank, False, longest)
        teacher_deepspeed = read_deepspeed_config(config.teacher_deepspeed, TEACHER_FLAG)
    student_deepspeed = read_deepspeed_config(config.deepspeed, STUDENT_FLAG)
    return PlannedRun(
        config, models, machine, student, teacher, student_deepspeed, teacher_deepspeed, accumulation,
        *largest_layout(config),
    )  # fmt: skip


def estimate_run(config: RunConfig, models: Models, machine: Machine) -> RunEstimate:
    """Memory and costs of the configuration's method; for a mixture, the larger memory and the mean costs.

    Raises like `prepare`.
    """
    run = prepare(config, models, machine)
    phases: dict[str, list[MemoryItem]] = {}
    for source in METHODS[config.method].sources:
        for name, parts in step_phases(run, source):
            phases[name] = max(phases.get(name, []), parts, key=lambda found: sum(line.gpu for line in found))
    found = RunEstimate(config.method, resident_memory(run), phases, mean_cost(run), machine.ranks_per_node)
    if not run.stores_prefixes:
        return found
    lines = [*found.lines, *stored_prefix_memory(config, machine.ranks_per_node)]
    return replace(
        found, lines=lines, stored_cost=mean_cost(run, stored=True), schema_bytes=schema_bytes(config, run.teacher)
    )


def mean_cost(run: PlannedRun, stored: bool = False) -> Cost:
    """The mean over the sources of the method's outputs; `stored`: see `step_cost`."""
    costs = [
        step_cost(
            run.config, source, run.student, run.teacher, (run.student_deepspeed, run.teacher_deepspeed), run.layout,
            run.share, run.machine.gpus, run.accumulation, stored,
        )
        for source in METHODS[run.config.method].sources
    ]  # fmt: skip
    return Cost(**{name: sum(getattr(cost, name) for cost in costs) / len(costs) for name in vars(costs[0])})


def resident_memory(run: PlannedRun) -> list[MemoryItem]:
    """Memory held all the time, including the weights gathered in a step."""
    found: list[MemoryItem] = []
    config, ranks = run.config, run.machine.gpus
    sources = METHODS[config.method].sources
    several = run.share or any(sum(p.model == STUDENT for p in passes(config, source)) > 1 for source in sources)
    for role, module, values in (
        ("teacher", run.teacher, run.teacher_deepspeed),
        ("student", run.student, run.student_deepspeed),
    ):
        if module is None:
            continue
        if role == "teacher" and not run.runs_teacher:
            found.append(MemoryItem("teacher: head", run.itemsize * head_elements(module)))
            continue
        lines = weight_memory(module, values, config.dtype, ranks)
        if role == "student":
            lines += [
                line for line in training_memory(module, values, config.dtype, ranks, run.accumulation) if line.held
            ]
        zero = values["zero_optimization"]
        if zero["stage"] == 3:
            trains = role == "student"
            elements = peak_gathered_elements(module, zero, trains, keeps_all=trains and several, fused=config.fused)
            lines.append(MemoryItem("gathered weights", run.itemsize * elements))
        found += [replace(line, name=f"{role}: {line.name}") for line in lines]
    return found


def step_phases(run: PlannedRun, source: str) -> Iterator[tuple[str, list[MemoryItem]]]:
    """Yield (phase, memory it adds) in the order of `micro_batch_loss`, with all prompts and outputs at their limit."""
    config, student, teacher = run.config, run.student, run.teacher
    # Decoding reuses the encoded prompts of training only if there is one micro-batch (kid.training.step.train_step).
    step_passes = [p for p in passes(config, source) if p.reads != OWN_TOKENS or run.accumulation == 1]
    transient = [*training_memory(student, run.student_deepspeed, config.dtype, run.machine.gpus, run.accumulation)]
    transient = [replace(line, name=f"student: {line.name}") for line in transient if not line.held]
    teacher_head_rows, teacher_use, states = None, MemoryUse(0, 0), []
    if teacher is not None:
        teacher_head_rows = len(teacher.head.weight)
        if run.runs_teacher:
            separately = run.teacher_deepspeed["zero_optimization"]["stage"] < 3 and not run.share
            teacher_use = memory_use(
                config, run.models.teacher, run.layout, [], share=run.share, separately=separately,
                teacher_head_rows=None,
            )  # fmt: skip
        width = teacher.head.weight.shape[1] if config.fused else teacher_head_rows
        states = [MemoryItem("teacher: states of the outputs", run.itemsize * run.rows * width)]
    student_use = memory_use(
        config, run.models.student, run.layout, step_passes, share=run.share, separately=False,
        teacher_head_rows=None if config.fused else teacher_head_rows,
    )  # fmt: skip
    prefix = MemoryItem("teacher: keys and values of the prompts", teacher_use.prefix)
    if source == ON_POLICY:
        yield "decoding", decoding_memory(run, student_use.prefix if run.accumulation == 1 else 0)
    elif any(not p.needs_gradient for p in step_passes if p.model == STUDENT):
        chunk = chunk_bytes(config, student, None, run.rows, "cuda", trains=False) if config.fused else 0
        evaluating = MemoryItem("student: prompts and passes without gradient", student_use.evaluating)
        yield "rewriting", [prefix, evaluating, MemoryItem(LOGITS_NAME, chunk)]
    if run.runs_teacher:
        work = MemoryItem("teacher: keys and values, and its largest layer", teacher_use.evaluating)
        yield "teacher", [MemoryItem("student: prompts", student_use.prefix), work]
    chunk = gradient = 0
    if config.fused:
        with_teacher = teacher if any(KD in p.gives for p in step_passes) else None
        chunk = chunk_bytes(config, student, with_teacher, run.rows, "cuda")
        gradient = run.itemsize * run.rows * student.head.weight.shape[1]
        gradient += 4 * head_elements(student) * student.head.weight.requires_grad
    saved = MemoryItem("student: saved activations", student_use.saved)
    kept = MemoryItem("gradient at the student's head", gradient)
    others = MemoryItem("student: other tensors", student_use.loss - student_use.saved)
    yield "losses", [prefix, saved, others, *states, kept, MemoryItem(LOGITS_NAME, chunk)]
    work = MemoryItem("student: largest layer in backward", max(0, student_use.backward - student_use.saved))
    buckets = [line for line in transient if "bucket" in line.name]
    yield "backward", [*buckets, saved, work, *states, kept]
    yield "update", [line for line in transient if line not in buckets]


def decoding_memory(run: PlannedRun, prefix: int) -> list[MemoryItem]:
    """Memory of decoding all samples of a rank together: growing a layer's cache copies it, and sampling uses fp64."""
    model, rows = run.student.causal_lm.config, run.accumulation * run.layout.rows
    columns = run.config.max_prompt_length + run.config.decoding_limit
    layer_bytes = cache_bytes(run.student, rows * columns, run.itemsize)
    # Logits, and in fp64 the distribution, its cumulative sum and a copy.
    sampling_bytes = rows * len(run.student.head.weight) * (run.itemsize + 3 * 8)
    return [
        MemoryItem("student: prompts", prefix),
        MemoryItem("student: keys and values of decoding", layer_bytes * (model.num_hidden_layers + 1)),
        MemoryItem("student: distributions to draw from", sampling_bytes),
    ]
