"""Flags shared by several scripts: the questions, the settings of their prompts, and how SQL is decoded."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kid.config.benchmarks import BENCHMARKS
from kid.config.keys import FIELDS, convert, field_type, flag, help_text, keys_affecting
from kid.config.run_config import RunConfig
from kid.config.trained import FORM_KEYS, OTHER_FORM_FLAG, complete_settings
from kid.errors import InputError

NAMES = keys_affecting("prompts")
TRAINED = keys_affecting("prediction")  # their default is the setting that the model was trained with


def add_data_flags(parser: argparse.ArgumentParser) -> None:
    """Add `--benchmark`, `--data`, `--split` and the other flags that affect prompts, with the help of training.

    Flags in `TRAINED` that are not given are None until `take_settings`.
    """
    group = parser.add_argument_group(
        "data",
        "Except for --split, --benchmark, --data, --questions and --seed, the default is the setting that the model\n"
        "was trained with, read from config.yaml of its run or kid_export.json of its export. Without such a file, it\n"
        "is the default in brackets.",
    )
    group.add_argument(
        "--split", default="dev", help="train, dev; spider: also dk, syn, realistic, seen; bird: mini-dev [dev]"
    )
    for name in NAMES:
        text = help_text(name).replace("file of training questions", "file of questions")
        if field_type(name)[0] is tuple:
            group.add_argument(flag(name), metavar="DIR", action="append", help=text + "; may be repeated")
        else:
            shown = {"metavar": "yes|no"} if field_type(name)[0] is bool else {}
            default = None if name == "benchmark" or name in TRAINED else FIELDS[name].default
            group.add_argument(flag(name), default=default, required=name == "data", help=text, **shown)
    form = " or ".join(map(flag, FORM_KEYS))
    group.add_argument(
        OTHER_FORM_FLAG, action="store_true", help=f"use {form} even if the model was trained with another"
    )


def add_question_flags(parser: argparse.ArgumentParser, several_splits: bool = False) -> None:
    """Add the flags for questions and their databases, for scripts that need no prompts.

    several_splits: add `--splits` instead of `--split`; None means all splits whose files exist.
    """
    parser.add_argument("--benchmark", help=f"one of {', '.join(BENCHMARKS)} [by the files in --data]")
    parser.add_argument("--data", required=True, metavar="DIR", help="the benchmark's folder")
    splits = "; ".join(f"{name}: {', '.join(benchmark.splits)}" for name, benchmark in BENCHMARKS.items())
    if several_splits:
        parser.add_argument("--splits", nargs="+", metavar="S", help=f"default: all whose files exist; {splits}")
    else:
        parser.add_argument("--split", default="dev", help=f"split of the benchmark (default: dev); {splits}")
    parser.add_argument("--questions", metavar="FILE", help="questions of the split, instead of the file in DIR")
    tables_help = "schemas, instead of DIR's tables.json (scoring needs none)"
    parser.add_argument("--tables", metavar="FILE", help=tables_help)
    databases_help = "folder with DB_ID/DB_ID.sqlite, instead of DIR's; may be repeated, the first that has one wins"
    parser.add_argument("--databases", metavar="DIR", action="append", default=[], help=databases_help)


def name_benchmark(arguments: argparse.Namespace) -> None:
    """Infer the benchmark from the files in --data if it is not given. Raises InputError if it cannot be inferred."""
    if arguments.benchmark is None:
        from kid.data.questions import infer_benchmark  # here, so that --help does not import it

        arguments.benchmark = infer_benchmark(arguments.data)


def check_data_flags(arguments: argparse.Namespace) -> None:
    """Convert the values to their types. Raises InputError with the flag, the value and what is allowed."""
    name_benchmark(arguments)
    for name in NAMES:
        if getattr(arguments, name) is not None:
            setattr(arguments, name, convert(name, getattr(arguments, name), flag(name)))


def take_settings(arguments: argparse.Namespace, model: Path | None) -> None:
    """Complete the flags with the settings that the model was trained with, else with defaults; print which apply.

    model: the model's folder; None: there is no model.

    Raises:
        InputError: the file with the settings cannot be read; the form of the prompts differs, without the flag.
    """
    given = {name: getattr(arguments, name) for name in TRAINED}
    values, lines = complete_settings(given, model, arguments.data, arguments.other_form)
    for line in lines:
        print(line, file=sys.stderr)
    for name, value in values.items():
        setattr(arguments, name, value)


def prompt_config(arguments: argparse.Namespace) -> RunConfig:
    """Return the configuration of the prompts; all other keys have their defaults."""
    return RunConfig(**{name: getattr(arguments, name) for name in NAMES})


def add_decoding_flags(parser: argparse.ArgumentParser) -> None:
    """Add `--beams` and `--max-completion-length`."""
    parser.add_argument(
        "--beams", type=int, default=1, help="1: greedy; more: beam search, takes the first output that runs [1]"
    )
    length_help = "maximum number of tokens to decode [as in the model's training, else 128]"
    parser.add_argument("--max-completion-length", type=int, help=length_help)


def check_decoding_flags(arguments: argparse.Namespace, *more: str) -> None:
    """Raise InputError if one of the decoding flags, or of `more`, is below 1."""
    for name in ("beams", "max_completion_length", *more):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise InputError(f"{flag(name)} {value} is out of range; it must be 1 or more")
