"""Benchmarks as data: where each split's questions, schemas and databases lie, and what their fields are called."""

from __future__ import annotations

from dataclasses import dataclass

from kid.errors import InputError


@dataclass(frozen=True)
class Split:
    """Files of one split.

    folders: where they may lie, relative to the data folder or to the one it is in; the first that has them wins.
    questions, optional: question files, read one after the other; optional ones may be absent, which is said.
    tables, databases: looked for in the folders, then in the data folder. All database roots that exist are used.
    tables_required: whether a schema may come from the SQLite file alone.
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


def bird(split: str, folders: tuple[str, ...]) -> Split:
    return Split(
        (f"{split}.json",),
        folders,
        tables=f"{split}_tables.json",
        databases=(f"{split}_databases",),
        query_field="SQL",
    )


def jsonl(split: str) -> Split:
    return Split((f"{split}.jsonl",), tables_required=False)


BENCHMARKS: dict[str, dict[str, Split]] = {
    "spider": {
        "train": Split(("train_spider.json",), optional=("train_others.json",)),
        "dev": Split(("dev.json",)),
        "dk": Split(("Spider-DK.json",), ("spider_dk",)),
        "realistic": Split(("spider-realistic.json",), ("spider_realistic",)),
        "syn": Split(("dev.json",), ("spider_syn",), question_field="SpiderSynQuestion"),
        "seen": Split(("seen.json",)),
    },
    "bird": {
        "train": bird("train", ("", "train")),
        "dev": bird("dev", ("", "dev", "dev_20240627")),
    },
    "jsonl": {"train": jsonl("train"), "dev": jsonl("dev")},
}


def find_split(benchmark: str, split: str) -> Split:
    """The table's row. Raises InputError that lists what there is."""
    splits = BENCHMARKS.get(benchmark)
    if splits is None:
        raise InputError(f"benchmark {benchmark!r} is unknown; choose one of {', '.join(BENCHMARKS)}")
    if split not in splits:
        raise InputError(f"split {split!r} of benchmark {benchmark} is unknown; choose one of {', '.join(splits)}")
    return splits[split]
