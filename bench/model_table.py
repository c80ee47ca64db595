"""Try the families of models on tiny random models with published settings, and write the table of docs/models.md.

Each family is checked for everything that training, prediction and export need; "no" has its reason. It takes a minute
or two and no download: `python bench/model_table.py`, or `--families Qwen3 "Gemma 3"` to print some without docs/.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

from parts.model_checks import COLUMNS, check, write_model
from parts.model_families import FAMILIES
from parts.model_zero3 import check_zero3
from parts.running import ROOT
from parts.sections import marked, with_section

from kid.errors import OneLineParser, run_script
from kid.files import write_atomically
from kid.progress import progress_bar, silence_libraries
from kid.report.text import markdown_table

PAGE = ROOT / "docs" / "models.md"
ZERO3, LAYERS = "ZeRO-3", "layers with LoRA"


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--families", nargs="+", choices=FAMILIES, metavar="FAMILY",
                        help=f"families to try, of {'; '.join(FAMILIES)} [all, and write the page]")  # fmt: skip
    parser.add_argument("--json", type=Path, help="write every cell to this file")
    return parser.parse_args()


def try_families(names: list[str], work: Path) -> dict[str, dict[str, str]]:
    """Name of each family -> column -> "yes" with remarks, or "no" with the reason."""
    folders = {name: work / f"family-{number}" for number, name in enumerate(names)}
    cells: dict[str, dict[str, str]] = {}
    with progress_bar("one process", "family", len(names)) as bar:
        for name, folder in folders.items():
            write_model(FAMILIES[name], folder)
            cells[name] = {column: check(folder, column) for column in COLUMNS}
            bar.update()
    print(f"{ZERO3}, two ranks: {len(names)} families ...", flush=True)
    partitioned = check_zero3(list(folders.values()), work / "zero3")
    return {name: cells[name] | {ZERO3: partitioned[folders[name].name]} for name in names}


def tables(cells: dict[str, dict[str, str]]) -> list[str]:
    """Two tables: what works, with numbered reasons below, and the layers that LoRA adapts."""
    columns = [column for column in (*COLUMNS, ZERO3) if column != LAYERS]
    reasons: dict[str, int] = {}
    rows = []
    for name, found in cells.items():
        row = [name, f"`{FAMILIES[name].model_type}`"]
        for column in columns:
            word, _, rest = found[column].partition(": ")
            row.append(f"no ({reasons.setdefault(rest, len(reasons) + 1)})" if word == "no" else found[column])
        rows.append(row)
    groups: dict[str, list[str]] = {}
    for name, found in cells.items():
        groups.setdefault(found[LAYERS], []).append(name)
    return [
        markdown_table(["family", "`model_type`", *columns], rows, left=2),
        "\n".join(f"{number}. {reason[:1].upper()}{reason[1:]}." for reason, number in reasons.items()),
        "With `--lora-rank`, these layers get an adapter:",
        markdown_table(
            ["families", "layers"], [[", ".join(names), layers] for layers, names in groups.items()], left=2
        ),
    ]


def main() -> None:
    arguments = parse_arguments()
    silence_libraries()
    warnings.filterwarnings("ignore")
    with TemporaryDirectory() as work:
        cells = try_families(arguments.families or list(FAMILIES), Path(work))
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("transformers", "peft", "deepspeed"))
    if arguments.json:
        write_atomically(arguments.json, json.dumps({"versions": versions, "families": cells}, indent=1) + "\n")
    section = [f"`python bench/model_table.py`, with {versions}.", *filter(None, tables(cells))]
    if arguments.families:
        print("\n\n".join(section))
    else:
        write_atomically(
            PAGE, with_section(PAGE.read_text(encoding="utf-8"), "model-table", marked("model-table", section))
        )
        print(f"written: {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    run_script(main)
