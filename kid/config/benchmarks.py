"""Benchmarks as data: the files of each split, the names of their fields, and how predictions are scored."""

from __future__ import annotations

from dataclasses import dataclass

from kid.errors import InputError


@dataclass(frozen=True)
class Split:
    """The files of one split.

    folders: relative to the data folder or to its parent; the first folder that has the question files is used.
    questions, optional: question files, concatenated; a missing optional file is reported.
    tables, databases: searched in the folders, then in the data folder. All database roots that exist are used.
    tables_required: False if schemas may come from the SQLite files alone.
    title: name of the split in reports; None: its scores are not reported.
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
    title: str | None = None


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    scoring: a key of `kid.evaluation.execution_accuracy.COMPARISON_RULES`.
    hardness: whether a question without a difficulty is given a level by Spider's rule.
    evidence: whether runs with and without evidence are reported separately.
    own_files: whether the files are the user's own: runs on different files then count as different benchmarks.
    cluster_splits: the splits that slurm/ evaluates by default.
    """

    splits: dict[str, Split]
    scoring: str
    hardness: bool
    evidence: bool = False
    own_files: bool = False
    cluster_splits: tuple[str, ...] = ("dev",)


def bird_split(split: str, folders: tuple[str, ...], title: str | None = None) -> Split:
    return Split(
        (f"{split}.json",),
        folders,
        tables=f"{split}_tables.json",
        databases=(f"{split}_databases",),
        query_field="SQL",
        title=title,
    )


def jsonl_split(split: str, title: str | None = None) -> Split:
    return Split((f"{split}.jsonl",), tables_required=False, title=title)


BENCHMARKS: dict[str, Benchmark] = {
    "spider": Benchmark(
        {
            "train": Split(("train_spider.json",), optional=("train_others.json",)),
            "dev": Split(("dev.json",), title="Spider-dev"),
            "dk": Split(("Spider-DK.json",), ("spider_dk",), title="Spider-DK"),
            "realistic": Split(("spider-realistic.json",), ("spider_realistic",), title="Spider-Real"),
            "syn": Split(("dev.json",), ("spider_syn",), question_field="SpiderSynQuestion", title="Spider-Syn"),
            "seen": Split(("seen.json",), title="minibench seen"),
            "valid": Split(("valid.json",), title="minibench valid"),
        },
        scoring="spider",
        hardness=True,
        cluster_splits=("dev", "dk", "realistic", "syn"),
    ),
    "bird": Benchmark(
        {
            "train": bird_split("train", ("", "train")),
            "dev": bird_split("dev", ("", "dev", "dev_20240627"), "BIRD-dev"),
            "mini-dev": Split(
                ("mini_dev_sqlite.json",),
                ("", "MINIDEV", "minidev/MINIDEV"),
                tables="dev_tables.json",
                databases=("dev_databases",),
                query_field="SQL",
                title="BIRD mini-dev",
            ),
        },
        scoring="bird",
        hardness=False,
        evidence=True,
    ),
    "jsonl": Benchmark(
        {"train": jsonl_split("train"), "dev": jsonl_split("dev", "JSONL-dev")},
        scoring="spider",
        hardness=True,
        own_files=True,
    ),
}


def find_benchmark(name: str) -> Benchmark:
    """Return a benchmark. Raises InputError that lists the known ones."""
    if name not in BENCHMARKS:
        raise InputError(f"benchmark {name!r} is unknown; choose one of {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name]


def find_split(benchmark: str, split: str) -> Split:
    """Return a benchmark's split. Raises InputError that lists the known ones."""
    splits = find_benchmark(benchmark).splits
    if split not in splits:
        raise InputError(f"split {split!r} of benchmark {benchmark} is unknown; choose one of {', '.join(splits)}")
    return splits[split]
