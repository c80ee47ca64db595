"""Measure exposure bias (ExAccErr): how much larger a student's errors are on its own outputs than on its teacher's."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from cli import add_data_flags, check_data_flags, prompt_config, take_settings
from rich.table import Table

from kid.config.keys import flag
from kid.config.trained import form_of, student_folder
from kid.console import Console
from kid.errors import InputError, OneLineParser, run_script
from kid.files import check_writable, write_atomically
from kid.report.text import one_decimal

EXAMPLE = """example:
  python eval/exposure_bias.py --student runs/kid --teacher runs/teacher --benchmark bird --data bird \\
    --questions-limit 200 --json runs/kid/scores/exposure_bias.json

  The error of a step is KL(teacher || student). ExAccErr(l) is the percentage by which the errors of the first l steps
  of outputs sampled by the student exceed those of the first l steps of outputs sampled by the teacher; 0 means no
  exposure bias. The interval is a bootstrap over the questions. Both models are in memory at the same time.
"""
# Flag -> its minimum. An interval over prompts needs two.
LEAST = {"questions_limit": 2, "samples": 1, "max_completion_length": 1, "batch_size": 1}


def parse() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, epilog=EXAMPLE, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    model_help = "a run's directory, its adapter/, or a model's folder"
    parser.add_argument("--student", required=True, metavar="DIR", help=model_help)
    parser.add_argument("--teacher", required=True, metavar="DIR", help=model_help + "; with the same tokenizer")
    parser.add_argument("--json", required=True, metavar="F", type=Path, help="file to write the results to")
    parser.add_argument("--plot", metavar="F.png", type=Path, help="plot ExAccErr over l and the errors of each step")
    parser.add_argument("--questions-limit", type=int, metavar="N", help="use only N questions, evenly spaced [all]")
    parser.add_argument("--samples", type=int, default=4, help="outputs that each model samples for a question [4]")
    length_help = "maximum number of tokens to sample [as in the student's training, else 128]"
    parser.add_argument("--max-completion-length", type=int, help=length_help)
    batch_help = "outputs sampled together; does not change the results [16]"
    parser.add_argument("--batch-size", type=int, default=16, help=batch_help)
    add_data_flags(parser)
    arguments = parser.parse_args()
    check_data_flags(arguments)
    for name, least in LEAST.items():
        value = getattr(arguments, name)
        if value is not None and value < least:
            raise InputError(f"{flag(name)} {value} is out of range; it must be {least} or more")
    return arguments


def check_outputs(arguments: argparse.Namespace) -> None:
    """Raise InputError if an output file cannot be written, before any work is done."""
    for name, path in (("--json", arguments.json), ("--plot", arguments.plot)):
        if path is not None:
            if path.is_dir():
                raise InputError(f"{name} {path} is a folder; name a file")
            check_writable(path.parent, name)
    if arguments.plot and arguments.plot.suffix != ".png":
        raise InputError(f"--plot {arguments.plot} is not a .png; name a file that ends in .png")


def choose(total: int, limit: int | None) -> list[int]:
    """Choose all of `total` rows, or `limit` evenly spaced ones (dev is sorted by database)."""
    count = min(limit or total, total)
    return [total * place // count for place in range(count)]


def show(bias, errors: dict, limit: int, resamples: int) -> None:
    """Print ExAccErr at l = 1, 2, 4, ... and at the longest output, and the lengths of the outputs."""
    import numpy as np

    full = len(bias.value)
    table = Table()
    for name in ("l", "ExAccErr %", "95 % interval", "student's step", "teacher's step"):
        table.add_column(name, justify="right")
    for length in [*(2**power for power in range(full.bit_length()) if 2**power < full), full]:
        value, low, high = ("-" if math.isnan(number) else one_decimal(number) for number in bias.at(length))
        steps = (bias.student_error[length - 1], bias.oracle_error[length - 1])
        name = f"{length} (full)" if length == full else str(length)
        shown = ("-" if math.isnan(step) else f"{step:.4f}" for step in steps)
        table.add_row(name, value, f"{low} to {high}", *shown)
    Console().print(table)
    valid = bias.valid_resamples
    if (valid < resamples).any():
        print(
            f"intervals use {valid.min()} to {valid.max()} of {resamples} resamples of the prompts: the others have no "
            "errors on the teacher's outputs to compare with"
        )
    print("step: mean KL(teacher || student) in nats at step l of the outputs sampled by the student or the teacher")
    for author, found in errors.items():
        there = ~np.isnan(found)
        outputs, cut = there[..., 0].size, there[..., -1].sum()
        print(
            f"{author}: {outputs} outputs of {there.sum() / outputs:.1f} tokens on average, "
            f"{cut} of them as long as --max-completion-length {limit}"
        )


def numbers(values) -> list[float | None]:
    """Convert to JSON, which has no NaN: NaN becomes None."""
    return [None if math.isnan(value) else float(value) for value in values]


def main() -> None:
    args = parse()
    check_outputs(args)
    take_settings(args, student_folder(Path(args.student), "--student"))
    # After the flags are checked: importing torch and transformers takes seconds.
    from kid.data.dataset import long_prompt_remarks
    from kid.data.prepare import prepare
    from kid.data.tokenizers import compare_tokenizers
    from kid.evaluation.exposure_bias import RESAMPLES, measure_exposure_bias, plot_exposure_bias, sampled_errors
    from kid.evaluation.prediction import default_device, load_model
    from kid.evaluation.provenance import FORM_KEY
    from kid.models.pretrained import find_teacher, load_tokenizer
    from kid.models.windows import check_positions, open_windows
    from kid.progress import progress_bar, silence_libraries

    silence_libraries()
    # The student may be an adapter, as a teacher in training may be.
    found = {name: find_teacher(getattr(args, name), f"--{name}") for name in ("student", "teacher")}
    tokenizer, other = (
        load_tokenizer(model.tokenizer, f"--{name}", args.chat_template) for name, model in found.items()
    )
    if remark := compare_tokenizers(tokenizer, other, args.student, args.teacher, args.chat_template):
        print(remark)
    prepared = prepare(prompt_config(args), args.split, tokenizer)
    rows = prepared.rows.select(choose(len(prepared.rows), args.questions_limit))
    prompts, indices = list(rows["prompt_ids"]), list(rows["index"])
    if len(prompts) < 2:
        raise InputError(f"{args.benchmark} {args.split} has {len(prompts)} prompts; an interval over prompts needs 2")
    device = default_device()
    models = {name: load_model(model.adapter or model.base, device, f"--{name}") for name, model in found.items()}
    longest = max(map(len, prompts))
    for name, model in models.items():
        check_positions(f"--{name} {getattr(args, name)}", model.config, longest, args.max_completion_length, "up to ")
        open_windows(model, longest + args.max_completion_length)
    with progress_bar("exposure bias", "output", 2 * len(prompts) * args.samples) as bar:
        errors = {
            author: sampled_errors(
                models[author], models["student"], models["teacher"], tokenizer, prompts, indices,
                samples=args.samples, limit=args.max_completion_length, batch_size=args.batch_size, seed=args.seed,
                report=bar.update,
            )
            for author in models
        }  # fmt: skip
    bias = measure_exposure_bias(errors["student"], errors["teacher"], args.seed)
    full = len(bias.value)
    (at_16, *interval_16), (at_full, *interval_full) = (numbers(bias.at(length)) for length in (16, full))
    content = {
        "student": args.student,
        "teacher": args.teacher,
        "benchmark": args.benchmark,
        "split": args.split,
        "evidence": args.evidence if any(question.evidence for question in prepared.questions) else None,
        FORM_KEY: form_of(vars(args)),
        "prompts": len(prompts),
        "samples": args.samples,
        "seed": args.seed,
        "max_completion_length": args.max_completion_length,
        "ex_acc_err_16": at_16,
        "interval_16": interval_16,
        "ex_acc_err_full": at_full,
        "interval_full": interval_full,
        "lengths": list(range(1, full + 1)),
        "curve": numbers(bias.value),
        "curve_low": numbers(bias.low),
        "curve_high": numbers(bias.high),
        "resamples": RESAMPLES,
        "resamples_counted": bias.valid_resamples.tolist(),
        "oracle_error": numbers(bias.oracle_error),
        "student_error": numbers(bias.student_error),
    }
    write_atomically(args.json, json.dumps(content, indent=1) + "\n")
    if args.plot:
        args.plot.parent.mkdir(parents=True, exist_ok=True)
        plot_exposure_bias(bias, args.plot)
    show(bias, errors, args.max_completion_length, RESAMPLES)
    print(f"{args.json}: {len(prompts)} of {len(prepared.questions)} questions")
    for remark in long_prompt_remarks(prepared, args.max_prompt_length) + prepared.remarks():
        print(remark)


if __name__ == "__main__":
    run_script(main)
