"""Create a test suite on disk: DIR/DB_ID/DB_ID_01.sqlite and so on, and DIR/suite.json with its statistics."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from kid.data.database import DamagedDatabaseError
from kid.data.questions import Question
from kid.data.schema import Schema
from kid.errors import InputError, RunError, report_write_errors
from kid.evaluation.machine_errors import machine_reason
from kid.evaluation.suites.database_plans import DatabasePlan, read_plan
from kid.evaluation.suites.folders import (
    REMAINS,
    check_db_id,
    check_record,
    describe_files,
    find_fault,
    finished_files,
    make_working_folder,
    name_kept,
    remove_working_folder,
    working_folder,
)
from kid.evaluation.suites.options import Options
from kid.evaluation.suites.search import (
    RUN_AGAIN,
    Fault,
    Gold,
    Screening,
    SearchResult,
    read_gold,
    run_with_retries,
    screen,
    search,
)
from kid.evaluation.worker import Limits
from kid.files import remove_unfinished_writes, write_atomically
from kid.progress import progress_bar
from kid.terminal import printable

# Version of the code that generates databases: a finished database of another version is generated again.
VERSION = 2
# The counts of each database; the total has their sums.
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
class SuiteTask:
    """One database to create a suite for; `settings` is a SHA-256 of everything that the suite depends on."""

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
    damaged: Mapping[str, str] | None = None,
) -> dict:
    """Create the missing parts of a benchmark's test suite; the files do not depend on the number of workers.

    Only one process at a time may do this in a folder: hold its lock.

    Args:
        questions: of one split; a gold query that occurs twice counts once.
        schemas, databases: by db_id.
        output: the suite's folder.
        identity: keys and values of suite.json that identify the benchmark; a suite of another one is refused.
        damaged: db_id -> reason, of databases already known to be damaged, which need no schema. These and other
            damaged databases are skipped; with None, they are an error.

    Returns:
        The content of suite.json.

    Raises:
        InputError: `output` has other content, or a database is damaged and `damaged` is None.
        RunError: the disk is full or fails.
    """
    content = read_suite(output, identity)
    queries: dict[str, dict[str, None]] = {}
    for question in questions:
        queries.setdefault(question.db_id, {})[question.query] = None
    for db_id in queries:
        check_db_id(db_id)
    remove_unfinished_writes(output / "suite.json")
    write_suite(output, content)  # so that a run that is stopped before its first database recognises its folder
    left_out = dict(damaged or {})

    def leave_out(db_id: str, reason: str) -> None:
        if damaged is None:
            what_to_do = "fix it, or skip it with --damaged skip"
            raise InputError(f"database {db_id} is damaged: {reason}; {what_to_do}")
        left_out.setdefault(db_id, reason)

    tasks = []
    with progress_bar("neighbours", "query", sum(map(len, queries.values()))) as bar:
        for db_id, golds in queries.items():
            if db_id not in left_out:
                try:
                    tasks.append(make_task(db_id, list(golds), schemas[db_id], databases[db_id], options))
                except DamagedDatabaseError as error:
                    leave_out(db_id, str(error))
            bar.update(len(golds))
    with report_write_errors(output):
        tasks = [task for task in tasks if not is_finished(task, output, content["databases"].get(task.db_id))]
        for db_id in queries:
            remove_working_folder(db_id, output)
        for task in tasks:  # refuse wrong folders before any work is done
            finished_files(task.db_id, output, content["databases"].get(task.db_id))
    content["options"] = asdict(options)
    limits = Limits(seconds=options.seconds)
    screenings = screen_all(tasks, workers, limits, leave_out)
    tasks = [task for task in tasks if task.db_id not in left_out]
    content["left_out"] = {db_id: value for db_id, value in content["left_out"].items() if db_id not in queries}
    for db_id, reason in left_out.items():
        number = sum(question.db_id == db_id for question in questions)
        content["left_out"][db_id] = {"questions": number, "reason": printable(reason)}
    total = sum(len(task.golds) for task in tasks)
    with progress_bar("random databases", "query", total) as bar:
        jobs = [search_job(task, screenings[task.db_id], output, options) for task in tasks]
        with closing(run_with_retries(search, jobs, workers, limits)) as results:
            for job, found in results:
                task = tasks[job]
                record = suite_record(task, screenings[task.db_id], found)
                with report_write_errors(output / task.db_id):
                    replace_suite(task.db_id, found.kept, record, output, content)
                bar.update(len(task.golds))
    write_suite(output, content)
    return content


def make_task(db_id: str, queries: list[str], schema: Schema, path: Path, options: Options) -> SuiteTask:
    """Create the plan, gold queries and neighbours of one database.

    Raises:
        DamagedDatabaseError: the database cannot be read.
        RunError: the machine failed.
    """
    try:
        plan = read_plan(schema, path)
    except (sqlite3.Error, OSError) as error:
        if reason := machine_reason(error):
            raise RunError(f"{path} cannot be read ({reason}); {RUN_AGAIN}") from None
        raise DamagedDatabaseError(f"{path}: {error}") from None
    golds = [read_gold(query, schema, plan.columns, options.neighbours, options.seed) for query in queries]
    settings = hashlib.sha256(repr((VERSION, plan, golds, options)).encode(errors="backslashreplace")).hexdigest()
    return SuiteTask(db_id, path, plan, golds, settings)


def screen_all(
    tasks: Sequence[SuiteTask], workers: int, limits: Limits, leave_out: Callable[[str, str], None]
) -> dict[str, list[Screening]]:
    """Screen every gold query and its neighbours on the original databases; results by db_id.

    leave_out: called with the db_id of a damaged database and the reason; its results are incomplete.
    """
    jobs = [(task.path, gold) for task in tasks for gold in task.golds]
    owners = [task.db_id for task in tasks for _ in task.golds]
    found: dict[int, Screening] = {}
    with (
        progress_bar("original databases", "query", len(jobs)) as bar,
        closing(run_with_retries(screen, jobs, workers, limits)) as results,
    ):
        for job, screening in results:
            if isinstance(screening, Fault):
                leave_out(owners[job], screening.reason)
            else:
                found[job] = screening
            bar.update()
    by_database: dict[str, list[Screening]] = {}
    for job in sorted(found):
        by_database.setdefault(owners[job], []).append(found[job])
    return by_database


def search_job(task: SuiteTask, screenings: Sequence[Screening], output: Path, options: Options) -> tuple:
    """Create the folder that `search` works in, and return its arguments."""
    with report_write_errors(working_folder(task.db_id, output)):
        folder = make_working_folder(task.db_id, output)
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


def replace_suite(db_id: str, kept: Sequence[int], record: dict, output: Path, content: dict) -> None:
    """Move the kept databases, given by their numbers, to the folder that scoring reads, and write suite.json.

    The old databases are removed while suite.json still has their record, and the new ones are moved after it has
    theirs. So whenever a run is killed, suite.json lists every file in the folder, and lists a missing file until all
    have been moved.
    """
    folder = output / db_id
    paths = name_kept(db_id, kept, output)
    record["files"] = describe_files(paths)
    for path in finished_files(db_id, output, content["databases"].get(db_id)):
        path.unlink()
    content["databases"][db_id] = record
    write_suite(output, content)
    folder.mkdir(exist_ok=True)
    for path in paths:
        path.rename(folder / path.name)
    remove_working_folder(db_id, output)


def suite_record(task: SuiteTask, screenings: Sequence[Screening], found: SearchResult) -> dict:
    """Return the record of one database in suite.json: the counts in COUNTS, failed gold queries, remaining pairs."""
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
    """Whether a database's suite exists and was created from the same queries and values with the same options."""
    if record is None or record["settings"] != task.settings or (output / task.db_id).is_symlink():
        return False
    return find_fault(output / task.db_id, task.db_id, record) is None


def read_suite(output: Path, identity: dict) -> dict:
    """Read suite.json, or return a new one. Raises InputError if the folder has other content."""
    path = output / "suite.json"
    if not path.is_file():
        if output.exists() and (
            not output.is_dir() or [entry for entry in output.iterdir() if not REMAINS.fullmatch(entry.name)]
        ):
            raise InputError(f"--output {output} is not empty and has no suite.json; give a new folder")
        return identity | {"options": {}, "databases": {}, "left_out": {}}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = {key: str(content[key]) for key in identity}
        options, left_out = dict(content.get("options", {})), dict(content.get("left_out", {}))
        [(value["questions"], value["reason"]) for value in left_out.values()]
        for db_id, record in content["databases"].items():
            check_record(db_id, record)
            # A missing count raises KeyError: the file is from another version.
            sum(record[key] for key in COUNTS)
            [record[key] for key in ("failures", "settings")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{path} is damaged or old; remove it, or give a new folder with --output") from None
    if known != identity:
        raise InputError(f"{path} is a suite for {' '.join(known.values())}; give another folder with --output")
    return identity | {"options": options, "databases": content["databases"], "left_out": left_out}


def write_suite(output: Path, content: dict) -> None:
    """Write suite.json, with the totals."""
    records = dict(sorted(content["databases"].items()))
    content["total"] = {key: sum(record[key] for record in records.values()) for key in COUNTS}
    order = ("benchmark", "split", "options", "total", "left_out")
    content["databases"] = records
    text = json.dumps({key: content[key] for key in (*order, "databases")}, indent=1, ensure_ascii=False)
    write_atomically(output / "suite.json", text + "\n")
