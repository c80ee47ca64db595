"""Whether a run fits: memory of each rank and of the host by method, and the first thing that does not fit."""

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
from kid.planning.costs import Cost, head_size, step_cost
from kid.planning.engines import Line, gathered, training_lines, weight_lines
from kid.planning.rehearsal import Layout, Taken, rehearse
from kid.planning.shapes import Shape, build
from kid.training.passes import ITS_OWN, KD, STUDENT, Pass, passes

GIB = 2**30
# Of a GPU: CUDA's context, NCCL's buffers, what the allocator cannot use. Of a host, a rank: Python and its libraries.
RESERVED, PROCESS = 2 * GIB, 2 * GIB
# What a schema takes of a prompt where micro-batches share it.
SCHEMA_SHARE = 0.75
GPUS_PER_NODE = 8
LOGITS = "logits of a chunk of outputs"


@dataclass(frozen=True)
class Machine:
    """gpus: ranks in all, as many as GPUS_PER_NODE to a node. Memories in bytes: of a GPU; of a node, None: any."""

    gpus: int
    gpu_memory: int
    host_memory: int | None = None

    @property
    def ranks_of_a_node(self) -> int:
        return min(self.gpus, GPUS_PER_NODE)


@dataclass(frozen=True)
class Models:
    """The two shapes; the method decides whether there is a teacher."""

    student: Shape
    teacher: Shape | None


@dataclass(frozen=True)
class Prediction:
    """Of one method. lines: what lies in memory all the time; phases: what each phase of a step adds to it."""

    method: str
    lines: list[Line]
    phases: dict[str, list[Line]]
    cost: Cost
    ranks_of_a_node: int

    @property
    def peak_phase(self) -> str:
        return max(self.phases, key=lambda name: sum(line.gpu for line in self.phases[name]))

    @property
    def gpu(self) -> int:
        """Most bytes on a GPU, RESERVED among them."""
        return RESERVED + sum(line.gpu for line in [*self.lines, *self.phases[self.peak_phase]])

    @property
    def host(self) -> int:
        """Bytes in a node's memory."""
        transient = max(sum(line.host for line in lines) for lines in self.phases.values())
        return self.ranks_of_a_node * (PROCESS + transient + sum(line.host for line in self.lines))

    def parts(self) -> list[Line]:
        """What `gpu` is made of, and a rank's share of `host`."""
        mine = [*self.lines, *self.phases[self.peak_phase]]
        reserved = Line("CUDA, NCCL, fragments; Python (assumed)", RESERVED, PROCESS)
        return [reserved, *(line for line in mine if line.gpu or line.host)]

    def first_over(self, machine: Machine) -> str | None:
        """The first thing that does not fit, in the order in which memory is taken; None: all does."""
        for name, lines in self.phases.items():
            taken = RESERVED
            for line in [*self.lines, *lines]:
                taken += line.gpu
                if taken > machine.gpu_memory:
                    return f"{line.name} ({line.gpu / GIB:.1f} GB on each GPU, {name})"
        if machine.host_memory is not None and self.host > machine.host_memory:
            largest = max([*self.lines, *chain(*self.phases.values())], key=lambda line: line.host)
            return f"host memory: {largest.name} ({self.ranks_of_a_node * largest.host / GIB:.1f} GB on a node)"
        return None


def layout_of(config: RunConfig) -> tuple[Layout, bool]:
    """(the largest micro-batch: every prompt and output at its limit; whether its prompts share a schema)."""
    share = config.prefix and config.batching == "schema" and config.micro_batch_size > 1
    # Two tokens of a prompt are never shared (kid.data.sharing).
    shared = max(0, min(int(SCHEMA_SHARE * config.max_prompt_length), config.max_prompt_length - 2)) if share else 0
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
    """What the fused head (kid.losses.fused.FusedDivergence) allocates for its largest chunk of `rows` rows.

    Args:
        teacher: None where there is no divergence.
        device: "cuda", with the Triton backend, or "cpu".
        trains: whether the losses want a gradient.
    """
    heads = [model.head for model in (student, teacher) if model is not None]
    hidden = DTYPES[config.dtype]
    wide = torch.promote_types(hidden, torch.float32)
    narrow, capped = hidden if device == "cuda" else wide, heads[0].soft_cap is not None
    written = wide if capped else narrow
    own_gradient = trains and (written != wide or capped)
    own = own_gradient * written.itemsize + (trains and written != narrow) * narrow.itemsize
    scratch = torch_rows.SCRATCH if device == "cpu" else 0
    plan = plan_chunks(heads, torch.device(device), wide.itemsize, own, scratch, config.logit_memory_mb)
    largest = max((chunk.stop - chunk.start for chunk in plan.chunks(rows)), default=0)
    elements = sum(len(head.weight) for head in heads) + heads[0].weight.shape[1]
    return largest * (wide.itemsize * elements + own * len(heads[0].weight))


@cache
def built(shape: Shape, dtype: str, rank: int, trained: bool) -> ResponseModel:
    """`kid.planning.shapes.build`, once."""
    return build(shape.config, dtype, rank, trained)


rehearsed = cache(rehearse)


def taken(config: RunConfig, shape: Shape, layout: Layout, plan: list[Pass], **how) -> Taken:
    """`kid.planning.rehearsal.rehearse`, once for all methods that pass over outputs alike."""
    names = ("dtype", "lora_rank", "prefix", "fused", "activation_checkpointing", "temperature")
    alike = RunConfig(method="rkd", **{name: getattr(config, name) for name in names})
    if not config.fused:
        alike = replace(alike, divergence=config.resolved_divergence)
    return rehearsed(alike, shape, layout, tuple(plan), **how)


@dataclass(frozen=True)
class PlannedRun:
    """A configuration with all that follows from it: modules without memory, DeepSpeed's files, the largest batch.

    teacher, teacher_file: None for a method without one. share: whether prompts share a schema.
    """

    config: RunConfig
    models: Models
    machine: Machine
    student: ResponseModel
    teacher: ResponseModel | None
    student_file: dict
    teacher_file: dict | None
    accumulation: int
    layout: Layout
    share: bool

    @property
    def itemsize(self) -> int:
        return DTYPES[self.config.dtype].itemsize

    @property
    def rows(self) -> int:
        """Output tokens of a micro-batch."""
        return self.layout.rows * self.layout.output


def prepare(config: RunConfig, models: Models, machine: Machine) -> PlannedRun:
    """Raises InputError: a DeepSpeed file that does not do, or batch sizes that do not divide."""
    accumulation = accumulation_steps(config, machine.gpus)
    student = built(models.student, config.dtype, config.lora_rank, True)
    teacher, teacher_file = None, None
    if METHODS[config.method].needs_teacher:
        teacher = built(models.teacher, config.dtype, models.teacher.adapter_rank, False)
        teacher_file = read_deepspeed_config(config.teacher_deepspeed, TEACHER_FLAG)
    student_file = read_deepspeed_config(config.deepspeed, STUDENT_FLAG)
    return PlannedRun(
        config, models, machine, student, teacher, student_file, teacher_file, accumulation, *layout_of(config)
    )  # fmt: skip


def predict(config: RunConfig, models: Models, machine: Machine) -> Prediction:
    """What the configuration's method takes; of a mixture the larger memory and the mean costs.

    Raises as `prepare`.
    """
    run, phases, costs = prepare(config, models, machine), {}, []
    for source in METHODS[config.method].sources:
        costs.append(
            step_cost(
                config, source, run.student, run.teacher, (run.student_file, run.teacher_file), run.layout, run.share,
                machine.gpus, run.accumulation,
            )
        )  # fmt: skip
        for name, parts in phases_of(run, source):
            phases[name] = max(phases.get(name, []), parts, key=lambda found: sum(line.gpu for line in found))
    mean = {name: sum(getattr(cost, name) for cost in costs) / len(costs) for name in vars(costs[0])}
    return Prediction(config.method, held_lines(run), phases, Cost(**mean), machine.ranks_of_a_node)


def held_lines(run: PlannedRun) -> list[Line]:
    """What lies in memory all the time, the weights that are gathered in a step among it."""
    found: list[Line] = []
    config, ranks = run.config, run.machine.gpus
    sources = METHODS[config.method].sources
    several = run.share or any(sum(p.model == STUDENT for p in passes(config, source)) > 1 for source in sources)
    for who, module, values in (
        ("teacher", run.teacher, run.teacher_file),
        ("student", run.student, run.student_file),
    ):
        if module is None:
            continue
        lines = weight_lines(module, values, config.dtype, ranks)
        if who == "student":
            lines += [
                line for line in training_lines(module, values, config.dtype, ranks, run.accumulation) if line.held
            ]
        zero = values["zero_optimization"]
        if zero["stage"] == 3:
            trains = who == "student"
            elements = gathered(module, zero, trains, keeps=trains and several, fused=config.fused)
            lines.append(Line("gathered weights", run.itemsize * elements))
        found += [replace(line, name=f"{who}: {line.name}") for line in lines]
    return found


def phases_of(run: PlannedRun, source: str) -> Iterator[tuple[str, list[Line]]]:
    """(phase, what it adds), in the order of `micro_batch_loss`; every prompt and output at its limit."""
    config, student, teacher = run.config, run.student, run.teacher
    # Decoding shares the prompts of training only where there is one micro-batch (kid.training.step.train_step).
    plan = [p for p in passes(config, source) if p.reads != ITS_OWN or run.accumulation == 1]
    transient = [*training_lines(student, run.student_file, config.dtype, run.machine.gpus, run.accumulation)]
    transient = [replace(line, name=f"student: {line.name}") for line in transient if not line.held]
    common, theirs, states = None, Taken(0, 0), []
    if teacher is not None:
        common = len(teacher.head.weight)
        separately = run.teacher_file["zero_optimization"]["stage"] < 3 and not run.share
        theirs = taken(config, run.models.teacher, run.layout, [], share=run.share, separately=separately, common=None)
        width = teacher.head.weight.shape[1] if config.fused else common
        states = [Line("teacher: states of the outputs", run.itemsize * run.rows * width)]
    mine = taken(
        config, run.models.student, run.layout, plan, share=run.share, separately=False,
        common=None if config.fused else common,
    )  # fmt: skip
    prefix = Line("teacher: keys and values of the prompts", theirs.prefix)
    if source == ON_POLICY:
        yield "decoding", decoding_lines(run, mine.prefix if run.accumulation == 1 else 0)
    elif any(not p.trains for p in plan if p.model == STUDENT):
        chunk = chunk_bytes(config, student, None, run.rows, "cuda", trains=False) if config.fused else 0
        evaluating = Line("student: prompts and passes without gradient", mine.evaluating)
        yield "rewriting", [prefix, evaluating, Line(LOGITS, chunk)]
    if teacher is not None:
        work = Line("teacher: keys and values, and its largest layer", theirs.evaluating)
        yield "teacher", [Line("student: prompts", mine.prefix), work]
    chunk = gradient = 0
    if config.fused:
        with_teacher = teacher if any(KD in p.gives for p in plan) else None
        chunk = chunk_bytes(config, student, with_teacher, run.rows, "cuda")
        gradient = run.itemsize * run.rows * student.head.weight.shape[1]
        gradient += 4 * head_size(student) * student.head.weight.requires_grad
    saved, kept = Line("student: saved activations", mine.saved), Line("gradient at the student's head", gradient)
    others = Line("student: other tensors", mine.loss - mine.saved)
    yield "losses", [prefix, saved, others, *states, kept, Line(LOGITS, chunk)]
    work = Line("student: largest layer in backward", max(0, mine.backward - mine.saved))
    buckets = [line for line in transient if "bucket" in line.name]
    yield "backward", [*buckets, saved, work, *states, kept]
    yield "update", [line for line in transient if line not in buckets]


def decoding_lines(run: PlannedRun, prefix: int) -> list[Line]:
    """All samples of a rank decode side by side; one layer's cache is copied to grow, tokens are drawn in fp64."""
    model, rows = run.student.causal_lm.config, run.accumulation * run.layout.rows
    heads = getattr(model, "num_key_value_heads", None) or model.num_attention_heads
    width = getattr(model, "head_dim", None) or model.hidden_size // model.num_attention_heads
    columns = run.config.max_prompt_length + run.config.decoding_limit
    a_layer = 2 * rows * columns * heads * width * run.itemsize
    # Logits, and in fp64 the distribution, its running sum and a copy.
    drawing = rows * len(run.student.head.weight) * (run.itemsize + 3 * 8)
    return [
        Line("student: prompts", prefix),
        Line("student: keys and values of decoding", a_layer * (model.num_hidden_layers + 1)),
        Line("student: distributions to draw from", drawing),
    ]
