"""The command line of train/*.py: each key of kid.config.run_config.RunConfig has a flag of the same name."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Collection
from pathlib import Path

from kid.config.keys import FIELDS, field_type, flag, help_text
from kid.config.recipe import read_recipe
from kid.config.run_config import RunConfig
from kid.errors import InputError, OneLineParser

RECIPES = Path(__file__).parent / "recipes"


class TrainingParser(OneLineParser):
    """A parser whose help ends with an example and the recipes selected by `keep`; they are read only for the help."""

    def __init__(self, description: str, example: str, keep: Callable[[dict], bool]):
        super().__init__(
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            argument_default=argparse.SUPPRESS,
        )
        self.example, self.keep = example, keep

    def format_help(self) -> str:
        self.epilog = self.example + list_recipes(self.keep)
        return super().format_help()


def list_recipes(keep: Callable[[dict], bool]) -> str:
    """Return a line for each recipe for whose dict `keep` is true: its file and its first comment."""
    lines = []
    for path in sorted(RECIPES.glob("*/*.yaml")):
        if keep(read_recipe(path)):
            title = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
            lines.append(f"  {path.relative_to(RECIPES.parent.parent)!s:<45} {title}\n")
    return (
        "\nrecipes (--config); they only need --data in addition. The paper's runs on Spider, by table and figure\n"
        "(bird-with-evidence/ and bird-without-evidence/ have the runs of table3 and table4 on BIRD under the same\n"
        "names), the runs of `make real` in smollm2/, and pairs of instruction-tuned models (docs/models.md):\n"
        f"{''.join(lines)}"
    )


def build_parser(
    description: str, example: str, names: Collection[str], required: Collection[str], keep: Callable[[dict], bool]
) -> TrainingParser:
    """Build a `TrainingParser` with flags for the keys `names` of RunConfig, in its order and groups.

    required: keys that need a value from a flag or the recipe; the help marks them.
    """
    parser = TrainingParser(description, example, keep)
    parser.foreign = {flag(name) for name in FIELDS if name not in names}
    parser.add_argument("--config", metavar="R.yaml", help="a recipe; flags override its keys")
    parser.add_argument("--local_rank", help=argparse.SUPPRESS)  # the launcher adds it
    groups: dict[str, argparse._ArgumentGroup] = {}
    for name, field in FIELDS.items():
        if name not in names:
            continue
        group = field.metadata["group"]
        section = groups.setdefault(group, parser.add_argument_group(group) if group not in groups else None)
        kind, help = field_type(name)[0], help_text(name)
        help += " (required, as a flag or in the recipe)" if name in required else ""
        if kind is bool and not field.default:
            section.add_argument(flag(name), action="store_true", help=help)
        elif kind is bool:
            section.add_argument(flag(name), metavar="yes|no", help=help)
        elif kind is tuple:
            section.add_argument(flag(name), metavar="DIR", action="append", help=f"{help}; may be repeated")
        else:
            section.add_argument(flag(name), metavar=kind.__name__.upper(), help=help)
    return parser


def read_flags(parser: OneLineParser, **fixed: str) -> tuple[str | None, dict[str, str]]:
    """Parse the command line: (recipe, key -> value given as a flag), with the script's `fixed` values added.

    If neither the flags nor the recipe name a benchmark, it is inferred from the files in the data folder.

    Raises:
        InputError: the recipe has another value for a fixed key.
    """
    flags = vars(parser.parse_args())
    flags.pop("local_rank", None)
    recipe = flags.pop("config", None)
    stated = {**(read_recipe(recipe) if recipe else {}), **flags}
    data = stated.get("data")
    if "benchmark" not in stated and "--benchmark" in parser.flags() and data and Path(data).is_dir():
        from kid.data.questions import infer_benchmark  # here, so that --help does not import it

        flags["benchmark"] = infer_benchmark(data)
    for key, value in fixed.items():
        given = read_recipe(recipe).get(key, value) if recipe else value
        if given != value:
            raise InputError(
                f"{recipe}: {key} = {given!r}, but this script only supports {value}; use train/distill.py"
            )
    return recipe, {**flags, **fixed}


def run_training(config: RunConfig) -> None:
    """Check a run, train, and log rank 0's peak memory on a GPU beside the planner's estimate, which takes seconds."""
    from kid.training.checks import check_run

    check_run(config)  # before torch and deepspeed are imported: that takes every rank seconds
    from kid.training.trainer import train

    peak = train(config)
    if peak and os.environ["RANK"] == "0":
        from kid.planning.measured import compare_memory
        from kid.progress import log

        log.info(compare_memory(config, peak, int(os.environ["WORLD_SIZE"])))
