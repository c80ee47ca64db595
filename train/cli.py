"""The command line of train/*.py: every key of kid.config.RunConfig is a flag of the same name."""

from __future__ import annotations

import argparse
from dataclasses import fields

from kid.config import DISTILLATION_ONLY, REWRITE, RunConfig, describe, field_type, read_recipe, resolve_config
from kid.errors import InputError, OneLineParser


def build_parser(description: str, epilog: str, distils: bool) -> argparse.ArgumentParser:
    """Flags for all keys of RunConfig; without those that only mean something beside a teacher if not `distils`."""
    parser = OneLineParser(
        description=description,
        epilog=epilog,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--config", metavar="R.yaml", help="a recipe; flags override its keys")
    parser.add_argument("--local_rank", help=argparse.SUPPRESS)  # the launcher adds it
    groups: dict[str, argparse._ArgumentGroup] = {}
    for field in fields(RunConfig):
        group = field.metadata["group"]
        if not distils and (field.name in DISTILLATION_ONLY or group == REWRITE):
            continue
        section = groups.setdefault(group, parser.add_argument_group(group) if group not in groups else None)
        flag = f"--{field.name.replace('_', '-')}"
        kind = field_type(field.name)[0]
        if kind is bool and not field.default:
            section.add_argument(flag, action="store_true", help=describe(field.name))
        elif kind is bool:
            section.add_argument(flag, metavar="YES|NO", help=describe(field.name))
        elif kind is tuple:
            section.add_argument(flag, metavar="DIR", action="append", help=describe(field.name) + "; may be repeated")
        else:
            section.add_argument(flag, metavar=field_type(field.name)[0].__name__.upper(), help=describe(field.name))
    return parser


def read_config(parser: argparse.ArgumentParser, **fixed: str) -> RunConfig:
    """The run's configuration out of recipe and flags; `fixed` keys are the script's own."""
    flags = vars(parser.parse_args())
    flags.pop("local_rank", None)
    recipe = flags.pop("config", None)
    for key, value in fixed.items():
        given = read_recipe(recipe).get(key, value) if recipe else value
        if given != value:
            raise InputError(
                f"{recipe}: {key} = {given!r} is not for this script, which has {value}; try train/distill.py"
            )
    return resolve_config(recipe, {**flags, **fixed})
