"""A small Spider in Spider's own layout: some questions of training and of each split, chosen by a seed.

Databases are links to those of the whole one.
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


def chosen(count: int, wanted: int, seed: int) -> list[int]:
    """Places of `wanted` of `count` items, ascending; the same of two files of one length, as dev and syn."""
    return sorted(random.Random(seed).sample(range(count), wanted))


def write_split(spider: Path, split: str, output: Path, wanted: int, seed: int) -> None:
    """One split: its questions, its tables.json and links to its databases, where `kid.data.questions` looks.

    Raises:
        InputError: it is missing or damaged, or has not so many questions.
    """
    row, damage = find_split("spider", split), Damage()
    folder = output / row.folders[0]
    items = [item for path in question_files(row, split, spider, None) for _, item in read_items(path, damage)]
    damage.raise_unless_skipped()
    if not 1 <= wanted <= len(items):
        flag = "--train" if split == "train" else "--split"
        raise InputError(f"{flag} {wanted} is out of range; {split} has {len(items)} questions")
    kept = [items[place] for place in chosen(len(items), wanted, seed)]
    write_atomically(folder / row.questions[0], json.dumps(kept, indent=1) + "\n")
    tables = find_tables("spider", split, spider)
    for place in split_folders(row, spider):
        if tables.parent == place:
            shutil.copyfile(tables, folder / tables.name)
        link = folder / row.databases[0]
        if (place / link.name).is_dir() and not link.exists():
            link.symlink_to((place / link.name).resolve())


def main() -> None:
    parser = OneLineParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--spider", required=True, metavar="DIR", type=Path, help="Spider's folder, its variants too")
    parser.add_argument("--output", required=True, metavar="DIR", type=Path, help="the folder to write; new")
    parser.add_argument("--train", type=int, default=400, help="training questions [400]")
    parser.add_argument("--split", type=int, default=100, help="questions of each of dev, dk, realistic, syn [100]")
    parser.add_argument("--seed", type=int, default=0, help="of the choice [0]")
    arguments = parser.parse_args()
    if arguments.output.exists():
        raise InputError(f"--output {arguments.output} exists; remove it or choose another")
    partial = arguments.output.with_name(f".{arguments.output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for split in SPLITS:
        wanted = arguments.train if split == "train" else arguments.split
        write_split(arguments.spider, split, partial, wanted, arguments.seed)
    partial.rename(arguments.output)
    print(f"{arguments.output}: {arguments.train} training questions, {arguments.split} of each other split")


if __name__ == "__main__":
    run_script(main)
