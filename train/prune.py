"""Remove layers from a model: a smaller student of the same family, to be healed by fine-tuning."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

from kid.errors import InputError, OneLineParser, run_script

EXAMPLE = """\
examples:
  python train/prune.py --model Qwen/Qwen1.5-1.8B --keep every-second --output models/half
  python train/prune.py --model models/big --keep listed --layers 0,1,2,9,10,11 --output models/small

  Supports Qwen2, LLaMA and CodeGen. The kept layers are renumbered; all remaining weights are copied byte for byte, in
  the same dtype. A pruned model needs fine-tuning before its outputs are of any use:
  deepspeed --num_gpus 1 train/sft.py --student models/half --lora-rank 0 --data spider --output runs/healed
"""


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, epilog=EXAMPLE, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, metavar="DIR", help="a model's folder, or its hub id")
    keep_help = "layers to keep: every-second (0, 2, 4, ...), first (--count of them) or listed (--layers)"
    parser.add_argument("--keep", required=True, choices=("every-second", "first", "listed"), help=keep_help)
    parser.add_argument("--layers", metavar="0,2,5", help="with --keep listed: the layers' numbers, from 0")
    parser.add_argument("--count", metavar="N", type=int, help="with --keep first: number of layers")
    parser.add_argument("--output", required=True, metavar="DIR", type=Path, help="new folder to write")
    arguments = parser.parse_args()
    if arguments.layers is not None:
        try:
            arguments.layers = [int(layer) for layer in arguments.layers.split(",")]
        except ValueError:
            raise InputError(f"--layers {arguments.layers!r} is not a list of numbers such as 0,2,5") from None
    return arguments


def main() -> None:
    arguments = parse_arguments()
    # After the flags are checked: importing torch takes seconds.
    from rich.table import Table

    from kid.console import Console
    from kid.export.pruning import prune

    warnings.filterwarnings("ignore", category=FutureWarning)
    kept, total, before, after = prune(
        arguments.model, arguments.keep, arguments.output, arguments.layers, arguments.count
    )
    table = Table()
    for name in ("", "before", "after"):
        table.add_column(name, justify="right" if name else "left")
    table.add_row("layers", str(total), str(len(kept)))
    table.add_row("parameters, millions", f"{before / 1e6:.1f}", f"{after / 1e6:.1f}")
    Console().print(table)
    print(f"{arguments.output} holds layers {', '.join(map(str, kept))}")


if __name__ == "__main__":
    run_script(main)
