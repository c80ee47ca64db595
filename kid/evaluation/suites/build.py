"""A test suite on disk: DIR/DB_ID/DB_ID_01.sqlite and so on, and DIR/suite.json with counts of what it tells apart."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from kid.data.questions import Question
from kid.data.schema import Schema
from kid.errors import InputError
from kid.evaluation.suites.database_plans import DatabasePlan, read_plan
from kid.evaluation.suites.search import Gold, Screening, SearchResult, read_gold, run_with_retries, screen, search
from kid.evaluation.worker import Limits
from kid.files import write_atomically
from kid.progress import progress_bar

# The counts of each database; the total sums them.
COUNTS = (
    "gold_queries",
    "gold_failed",
    "gold_not_parsed",
    "gold_left_to_chance",
    "neighbours",
    "neighbours_failed",
    "told_apart_by_original",
    "told_apart_by_original_alone",
    "told_apart_by_suite_alone",
    "never_told_apart",
    "databases_tried",
    "databases_kept",
)


@dataclass(frozen=True)
class Options:
    """What a suite depends on, besides the benchmark; `seconds` is the time limit of one query."""

    neighbours: int = 30
    max_databases: int = 20
    rows: int = 100
    seed: int = 0
    seconds: float = 5.0


@dataclass(frozen=True)
class SuiteTask:
    """One database to make a suite for; `settings` is a SHA-256 of everything the suite depends on."""

    db_id: str
    path: Path
    plan: DatabasePlan
    golds: list[Gold]
    settings: str


def make_suites(
    questions: Sequence[Question],
    schemas: Mapping[str, Schema],
    databases: Mapping[str, Path],
    output: Path,
    options: Options,
    identity: dict,
    workers: int,
) -> dict:
    """Make the missing ones of a benchmark's test suites; the files do not depend on the number of workers.

    Args:
        questions: of one split; a gold query that occurs twice counts once.
        schemas, databases: by db_id.
        output: the suite's folder.
        identity: keys and values of suite.json that identify the benchmark; a suite of another one is refused.

    Returns:
        The content of suite.json.

    Raises:
        InputError: `output` holds something else.
    """
    content = read_suite(output, identity)
    content |= {"options": asdict(options)}
    queries: dict[str, dict[str, None]] = {}
    for question in questions:
        queries.setdefault(question.db_id, {})[question.query] = None
    tasks = []
    with progress_bar("neighbours", "query", sum(map(len, queries.values()))) as bar:
        for db_id, golds in queries.items():
            tasks.append(make_task(db_id, list(golds), schemas[db_id], databases[db_id], options))
            bar.update(len(golds))
    tasks = [task for task in tasks if not is_finished(task, output, content["databases"].get(task.db_id))]
    limits = Limits(seconds=options.seconds)
    screenings = screen_all(tasks, workers, limits)
    write_suite(output, content)  # so that a run stopped before its first database recognises its own folder
    total = sum(len(task.golds) for task in tasks)
    with progress_bar("random databases", "query", total) as bar:
        jobs = [search_job(task, screenings[task.db_id], output, options) for task in tasks]
        for job, found in run_with_retries(search, jobs, workers, limits):
            task = tasks[job]
            move_into_place(task.db_id, found.kept, output)
            content["databases"][task.db_id] = suite_record(task, screenings[task.db_id], found)
            write_suite(output, content)
            bar.update(len(task.golds))
    write_suite(output, content)
    return content


def make_task(db_id: str, queries: list[str], schema: Schema, path: Path, options: Options) -> SuiteTask:
    """The plan, gold queries and neighbours of one database."""
    plan = read_plan(schema, path)
    golds = [read_gold(query, schema, plan.columns, options.neighbours, options.seed) for query in queries]
    settings = hashlib.sha256(repr((plan, golds, options)).encode(errors="backslashreplace")).hexdigest()
    return SuiteTask(db_id, path, plan, golds, settings)


def screen_all(tasks: Sequence[SuiteTask], workers: int, limits: Limits) -> dict[str, list[Screening]]:
    """Screen every gold query and its neighbours on the original databases; results by db_id."""
    jobs = [(task.path, gold) for task in tasks for gold in task.golds]
    found: dict[int, Screening] = {}
    with progress_bar("original databases", "query", len(jobs)) as bar:
        for job, screening in run_with_retries(screen, jobs, workers, limits):
            found[job] = screening
            bar.update()
    in_order = iter([found[job] for job in range(len(jobs))])
    return {task.db_id: [next(in_order) for _ in task.golds] for task in tasks}


def search_job(task: SuiteTask, screenings: Sequence[Screening], output: Path, options: Options) -> tuple:
    """Create the folder that `search` works in, and return its arguments."""
    folder = working_folder(task.db_id, output)
    shutil.rmtree(folder, ignore_errors=True)  # left by a run that was stopped
    folder.mkdir(parents=True)
    running = [index for index, screening in enumerate(screenings) if screening.error is None]
    pairs: dict[str, list[tuple[int, int]]] = {"same": [], "differs": []}
    for number, index in enumerate(running):
        for neighbour, verdict in enumerate(screenings[index].verdicts):
            if verdict in pairs:
                pairs[verdict].append((number, neighbour))
    golds = [task.golds[index] for index in running]
    deterministic = [screenings[index].deterministic for index in running]
    numbers = (options.max_databases, options.rows, options.seed)
    return task.plan, golds, deterministic, list(pairs.values()), task.db_id, folder, *numbers


def working_folder(db_id: str, output: Path) -> Path:
    return output / f".{db_id}.partial"


def suite_files(db_id: str, output: Path, count: int) -> list[Path]:
    return [output / db_id / f"{db_id}_{number:02d}.sqlite" for number in range(1, count + 1)]


def move_into_place(db_id: str, kept: Sequence[int], output: Path) -> None:
    """Move the databases kept, given by their numbers, to where scoring looks for them."""
    folder = working_folder(db_id, output)
    for number, path in zip(kept, suite_files(db_id, output, len(kept)), strict=True):
        (folder / f"{number}.sqlite").rename(folder / path.name)
    shutil.rmtree(output / db_id, ignore_errors=True)
    folder.rename(output / db_id)


def suite_record(task: SuiteTask, screenings: Sequence[Screening], found: SearchResult) -> dict:
    """The record of one database in suite.json: the counts named in COUNTS, failed gold queries, and pairs left."""
    running = [index for index, screening in enumerate(screenings) if screening.error is None]
    verdicts = [verdict for screening in screenings for verdict in screening.verdicts]
    same = verdicts.count("same")
    return {
        "gold_queries": len(task.golds),
        "gold_failed": sum(screening.error is not None for screening in screenings),
        "gold_not_parsed": sum(not gold.parsed for gold in task.golds),
        "gold_left_to_chance": sum(not screenings[index].deterministic for index in running),
        "neighbours": len(verdicts),
        "neighbours_failed": sum(verdict not in ("same", "differs") for verdict in verdicts),
        "told_apart_by_original": verdicts.count("differs"),
        "told_apart_by_original_alone": len(found.told_apart_by_original_alone),
        "told_apart_by_suite_alone": same - len(found.never_told_apart),
        "never_told_apart": len(found.never_told_apart),
        "databases_tried": found.tried,
        "databases_kept": len(found.kept),
        "failures": [
            {"query": gold.sql, "error": screening.error}
            for gold, screening in zip(task.golds, screenings, strict=True)
            if screening.error is not None
        ],
        "left": [
            {"query": task.golds[running[gold]].sql, "neighbour": task.golds[running[gold]].neighbours[neighbour]}
            for gold, neighbour in found.never_told_apart
        ],
        "settings": task.settings,
    }


def is_finished(task: SuiteTask, output: Path, record: dict | None) -> bool:
    """Whether a database's suite exists and was made from the same queries and values with the same options."""
    if record is None or record["settings"] != task.settings:
        return False
    return all(path.is_file() for path in suite_files(task.db_id, output, record["databases_kept"]))


def read_suite(output: Path, identity: dict) -> dict:
    """The content of suite.json, or of a new one. Raises InputError if the folder holds something else."""
    path = output / "suite.json"
    if not path.is_file():
        # Partial folders were left by a stopped run of this script.
        if output.exists() and (
            not output.is_dir() or [p for p in output.iterdir() if not p.name.endswith(".partial")]
        ):
            raise InputError(f"--output {output} is not empty and holds no suite.json; name a new folder")
        return identity | {"databases": {}}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = {key: content[key] for key in identity}
        # A missing count raises KeyError: another version wrote this file.
        [record[key] for record in content["databases"].values() for key in (*COUNTS, "failures", "settings")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path} is damaged or old; remove it, or name a new folder with --output") from None
    if known != identity:
        raise InputError(f"{path} is a suite for {' '.join(known.values())}; name another folder with --output")
    return identity | {"databases": content["databases"]}


def write_suite(output: Path, content: dict) -> None:
    """Write suite.json, with the totals."""
    records = dict(sorted(content["databases"].items()))
    content["total"] = {key: sum(record[key] for record in records.values()) for key in COUNTS}
    order = ("benchmark", "split", "options", "total")
    content["databases"] = records
    text = json.dumps({key: content[key] for key in (*order, "databases")}, indent=1, ensure_ascii=False)
    write_atomically(output / "suite.json", text + "\n")
