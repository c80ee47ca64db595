"""Benchmarks as data: where the files of each split are, and what their fields are called."""

from __future__ import annotations

from dataclasses import dataclass

from kid.errors import InputError


@dataclass(frozen=True)
class Split:
    """The files of one split.

    folders: where they may be, relative to the data folder or to its parent; the first folder that has them is used.
    questions, optional: question files, concatenated; optional ones may be absent, which is reported.
    tables, databases: looked for in the folders, then in the data folder. All database roots that exist are used.
    tables_required: False if schemas may come from the SQLite files alone.
    """

    questions: tuple[str, ...]
    folders: tuple[str, ...] = ("",)
    optional: tuple[str, ...] = ()
    tables: str = "tables.json"
    tables_required: bool = True
    databases: tuple[str, ...] = ("database",)
    question_field: str = "question"
    query_field: str = "query"
    evidence_field: str = "evidence"


def bird_split(split: str, folders: tuple[str, ...]) -> Split:
    return Split(
        (f"{split}.json",),
        folders,
        tables=f"{split}_tables.json",
        databases=(f"{split}_databases",),
        query_field="SQL",
    )


def jsonl_split(split: str) -> Split:
    return Split((f"{split}.jsonl",), tables_required=False)


BENCHMARKS: dict[str, dict[str, Split]] = {
    "spider": {
        "train": Split(("train_spider.json",), optional=("train_others.json",)),
        "dev": Split(("dev.json",)),
        "dk": Split(("Spider-DK.json",), ("spider_dk",)),
        "realistic": Split(("spider-realistic.json",), ("spider_realistic",)),
        "syn": Split(("dev.json",), ("spider_syn",), question_field="SpiderSynQuestion"),
        "seen": Split(("seen.json",)),
        "valid": Split(("valid.json",)),
    },
    "bird": {
        "train": bird_split("train", ("", "train")),
        "dev": bird_split("dev", ("", "dev", "dev_20240627")),
    },
    "jsonl": {"train": jsonl_split("train"), "dev": jsonl_split("dev")},
}


def find_split(benchmark: str, split: str) -> Split:
    """A benchmark's split. Raises InputError that lists the known ones."""
    splits = BENCHMARKS.get(benchmark)
    if splits is None:
        raise InputError(f"benchmark {benchmark!r} is unknown; choose one of {', '.join(BENCHMARKS)}")
    if split not in splits:
        raise InputError(f"split {split!r} of benchmark {benchmark} is unknown; choose one of {', '.join(splits)}")
    return splits[split]
