"""Write a small Spider in Spider's layout: some questions of training and of each split, chosen by a seed.

Databases are links to those of the full Spider.
"""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

from kid.config.benchmarks import find_split
from kid.data.faults import Damage
from kid.data.items import read_items
from kid.data.questions import find_tables, question_files, split_folders
from kid.errors import InputError, OneLineParser, run_script
from kid.files import write_atomically

SPLITS = ("train", "dev", "dk", "realistic", "syn")


def chosen(total: int, count: int, seed: int) -> list[int]:
    """Indices of `count` of `total` items, ascending. Files of equal length, like dev and syn, get the same indices."""
    return sorted(random.Random(seed).sample(range(total), count))


def write_split(spider: Path, split: str, output: Path, count: int, seed: int) -> None:
    """Write a split: `count` questions, tables.json and links to databases, where `kid.data.questions` looks for them.

    Raises:
        InputError: the split is missing or damaged, or has fewer questions.
    """
    row, damage = find_split("spider", split), Damage()
    folder = output / row.folders[0]
    items = [item for path in question_files(row, split, spider, None) for _, item in read_items(path, damage)]
    damage.raise_unless_skipped()
    if not 1 <= count <= len(items):
        flag = "--train" if split == "train" else "--split"
        raise InputError(f"{flag} {count} is out of range; {split} has {len(items)} questions")
    kept = [items[index] for index in chosen(len(items), count, seed)]
    write_atomically(folder / row.questions[0], json.dumps(kept, indent=1) + "\n")
    tables = find_tables("spider", split, spider)
    for source in split_folders(row, spider):
        if tables.parent == source:
            shutil.copyfile(tables, folder / tables.name)
        link = folder / row.databases[0]
        if (source / link.name).is_dir() and not link.exists():
            link.symlink_to((source / link.name).resolve())


def main() -> None:
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--spider", required=True, metavar="DIR", type=Path, help="folder of Spider and its variants")
    parser.add_argument("--output", required=True, metavar="DIR", type=Path, help="folder to write; must not exist")
    parser.add_argument("--train", type=int, default=400, help="number of training questions [400]")
    parser.add_argument("--split", type=int, default=100, help="number of questions in each other split [100]")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the choice [0]")
    arguments = parser.parse_args()
    if arguments.output.exists():
        raise InputError(f"--output {arguments.output} exists; remove it or choose another")
    partial = arguments.output.with_name(f".{arguments.output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for split in SPLITS:
        count = arguments.train if split == "train" else arguments.split
        write_split(arguments.spider, split, partial, count, arguments.seed)
    partial.rename(arguments.output)
    print(f"{arguments.output}: {arguments.train} training questions, {arguments.split} of each other split")


if __name__ == "__main__":
    run_script(main)
