"""Estimate whether a run fits before you start it: GPU and host memory, bytes exchanged, seconds per step."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from cli import build_parser, read_flags
from rich.table import Table

from kid.config.keys import flag, keys_affecting
from kid.config.methods import METHODS
from kid.config.recipe import merge_config, read_recipe, require_keys, used_config
from kid.config.run_config import RunConfig
from kid.console import Console
from kid.errors import REQUIRED, InputError, run_script
from kid.files import check_writable, write_atomically
from kid.progress import progress_bar, silence_libraries

EXAMPLE = """examples:
  python train/plan.py --student Qwen/Qwen1.5-0.5B --teacher Qwen/Qwen1.5-32B --gpus 8 --gpu-memory 80
  python train/plan.py --config train/recipes/table6/32b-kid.yaml --teacher Qwen/Qwen1.5-32B --gpus 8 --gpu-memory 80 \\
      --host-memory 1000 --teacher-deepspeed ds_configs/teacher_zero3_offload.json --json plan.json

  A model is a folder with config.json, the adapter/ of a run, or the name of one of the paper's models; no weights are
  read and nothing is downloaded. All methods are estimated, or only the one given by --method or the recipe. Every
  prompt and output is assumed to be as long as its limit. For a method that does not fit, the flags that make it fit
  are shown, if there are any; they are the same for plan.py and for training. The exit status is then 1.
  docs/planning.md has the formulas.
"""
# Flags of this script alone -> (default, help).
NUMBERS = {
    "gpus": (None, "number of GPUs, one rank each, 8 per node"),
    "gpu_memory": (None, "memory of a GPU in GB (2^30 bytes)"),
    "host_memory": (None, "memory of a node in GB; default: unlimited"),
    "peak_tflops": (989.0, "peak TFLOP/s of a GPU, without sparsity; default: 989, an H100 in bf16"),
    "mfu": (0.4, "fraction of the peak that is reached (model FLOPs utilisation); default: 0.4"),
    "bandwidth": (200.0, "GB/s (10^9 bytes) that a GPU receives in a collective; default: 200"),
}
NEEDED = ("gpus", "gpu_memory")
GB = 2**30
SPIDER_SCHEMAS = 146  # databases of Spider's training questions
console = Console()


def parse_arguments() -> tuple[RunConfig, list[str], dict[str, float | None], Path | None]:
    """Return (configuration, methods to estimate, the values of NUMBERS, file for the JSON)."""
    parser = build_parser(
        __doc__, EXAMPLE, keys_affecting("plan"), ("student",), lambda values: values.get("method") != "sft"
    )
    section = parser.add_argument_group("the machine")
    for name, (_, text) in NUMBERS.items():
        section.add_argument(flag(name), metavar="N", help=text + (REQUIRED if name in NEEDED else ""))
    parser.add_argument("--json", metavar="FILE", help="also write the estimates to this file")
    recipe, flags = read_flags(parser)
    numbers = {name: number(name, flags.pop(name, default)) for name, (default, _) in NUMBERS.items()}
    path = flags.pop("json", None)
    for name in NEEDED:
        if numbers[name] is None:
            raise InputError(f"{flag(name)} is missing; give a number above 0")
    config = merge_config(recipe, flags)
    named = "method" in flags or (recipe and "method" in read_recipe(recipe))
    if named:
        config = used_config(config, flags)
    require_keys(config, "student")
    methods = [config.method] if named else [m for m in METHODS if config.teacher or not METHODS[m].needs_teacher]
    if config.teacher_states:
        methods = [method for method in methods if METHODS[method].fixed_outputs]
    if METHODS[methods[0]].needs_teacher and not config.teacher:
        raise InputError(f"--teacher is missing; method {config.method} requires one")
    return config, methods, numbers, Path(path) if path else None


def number(name: str, value) -> float | None:
    """Convert a flag's value. Raises InputError unless it is above 0, whole for `gpus`, and at most 1 for `mfu`."""
    try:
        found = None if value is None else (int if name == "gpus" else float)(value)
    except ValueError:
        found = 0
    if found is not None and not 0 < found < (1 + 1e-9 if name == "mfu" else float("inf")):
        raise InputError(f"{flag(name)} {value} is out of range; give a number above 0 ({NUMBERS[name][1]})")
    return found


def show_methods(
    predictions: list, over: list[str | None], cures: list[str | None], speeds, machine, state_bytes: int
) -> None:
    """Print a row for each method and, below the table, what does not fit.

    state_bytes: size of the teacher's states of an output token; 0 if no planned method can use stored states.
    """
    table = Table(title=f"{machine.gpus} GPUs of {machine.gpu_memory / GB:g} GB", title_justify="left")
    names = ["GPU GB", "at", "node GB", "GB received", "TFLOP", "s/step", "stored", "fits"]
    table.add_column("method", no_wrap=True)
    for name in names:
        table.add_column(name, justify="left" if name.startswith("at") else "right")
    for found, what in zip(predictions, over, strict=True):
        cost, second = found.cost, found.cost.seconds(speeds)
        amounts = [f"{found.gpu / GB:.1f}", found.peak_phase, f"{found.host / GB:.0f}", f"{cost.collective / 1e9:.1f}"]
        stored = f"{found.stored_cost.seconds(speeds):.2f}" if found.stored_cost else ""
        amounts += [f"{cost.operations / 1e12:.1f}", f"{second:.2f}", stored, "no" if what else "yes"]
        table.add_row(found.method, *amounts)
    console.print(table)
    if size := max((found.schema_bytes or 0 for found in predictions), default=0):
        console.print(
            "stored: seconds per step if the teacher's keys and values of all schemas are stored "
            f"(--teacher-prefix-gb); they take {size / 1e6:.0f} MB for one schema and "
            f"{SPIDER_SCHEMAS * size / 1e9:.0f} GB for Spider's {SPIDER_SCHEMAS}, in memory and on disk of each node",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
    if state_bytes:
        console.print(
            "fkd and rkd can train without loading the teacher (--teacher-states); train/teacher_states.py stores its "
            f"states: {state_bytes / 1e3:.0f} KB per output token, {state_bytes / 1e3:.0f} GB for a million output "
            "tokens",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
    for found, what, cure in zip(predictions, over, cures, strict=True):
        if what:
            advice = f"it fits with {cure}" if cure else "no setting makes it fit: use more GPUs or a smaller model"
            console.print(
                f"{found.method} does not fit: {what}; {advice}", markup=False, highlight=False, soft_wrap=True
            )


def show_parts(found) -> None:
    """Print the components of one method's memory at its peak."""
    table = Table(title=f"memory of a rank with {found.method}, at its peak ({found.peak_phase})", title_justify="left")
    table.add_column("")
    for name in ("GPU GB", "host GB"):
        table.add_column(name, justify="right")
    for line in found.breakdown():
        table.add_row(line.name, f"{line.gpu / GB:.2f}", f"{line.host / GB:.2f}" if line.host else "")
    console.print(table)


def main() -> None:
    config, methods, numbers, path = parse_arguments()
    if path:
        check_writable(path.parent, "--json")
    silence_libraries()
    # After the flags are checked: importing torch and deepspeed takes seconds.
    from kid.models.loading import DTYPES
    from kid.planning.costs import Speeds
    from kid.planning.cures import find_cure
    from kid.planning.plan import Machine, Models, estimate_run
    from kid.planning.shapes import find_shape

    models = Models(
        find_shape(config.student, "--student"), find_shape(config.teacher, "--teacher") if config.teacher else None
    )
    host = numbers["host_memory"]
    machine = Machine(numbers["gpus"], int(numbers["gpu_memory"] * GB), None if host is None else int(host * GB))
    speeds = Speeds(numbers["peak_tflops"] * 1e12, numbers["mfu"], numbers["bandwidth"] * 1e9)
    predictions, over, cures = [], [], []
    with progress_bar("plan", "method", len(methods)) as bar:
        for method in methods:
            own = replace(config, method=method)
            predictions.append(estimate_run(own, models, machine))
            over.append(predictions[-1].first_excess(machine))
            cures.append(find_cure(own, models, machine) if over[-1] else None)
            bar.update()
    hidden = models.teacher.config.hidden_size if any(METHODS[method].fixed_outputs for method in methods) else 0
    show_methods(predictions, over, cures, speeds, machine, hidden * DTYPES[config.dtype].itemsize)
    # The method that needs most memory; ties go to the first.
    show_parts(max(predictions, key=lambda found: found.gpu))
    if path:
        records = [
            {
                "method": found.method, "fits": what is None, "first_over": what, "cure": cure, "gpu_bytes": found.gpu,
                "host_bytes_of_a_node": found.host, "peak_phase": found.peak_phase, "cost": asdict(found.cost),
                "seconds": found.cost.seconds(speeds), "schema_bytes": found.schema_bytes,
                "seconds_stored": found.stored_cost and found.stored_cost.seconds(speeds),
                "held": [asdict(line) for line in found.lines],
                "phases": {name: [asdict(line) for line in lines] for name, lines in found.phases.items()},
            }
            for found, what, cure in zip(predictions, over, cures, strict=True)
        ]  # fmt: skip
        write_atomically(path, json.dumps({"machine": numbers, "methods": records}, indent=1) + "\n")
    if any(over):
        raise SystemExit(1)


if __name__ == "__main__":
    run_script(main)
