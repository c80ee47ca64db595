"""The score file of a set of predictions: the scores, also by hardness and database, and the verdicts."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

from kid.config.benchmarks import BENCHMARKS
from kid.data.database import check_not_in_use
from kid.data.questions import Question
from kid.errors import InputError, first_of
from kid.evaluation.bird_metrics import metric_summary
from kid.evaluation.execution_accuracy import Verdict, gold_failures
from kid.evaluation.suites.folders import check_db_id, check_record, find_fault


def find_suites(
    test_suite: Path | None, databases: Mapping[str, Path], db_ids: Sequence[str]
) -> dict[str, list[Path]] | None:
    """Find the SQLite files of each db_id's test suite; None if there is no suite.

    A suite of eval/make_test_suite.py is compared with its suite.json; a line is printed for each database that it
    skipped. A suite without suite.json was made by another tool.

    Args:
        test_suite: a folder with DB_ID/*.sqlite. Without it, the suite of a database is its own folder if any of these
            folders has more than the database (the layout of Spider's official test suites).
        databases: the SQLite file of each db_id.
        db_ids: the db_ids that need a suite.

    Raises:
        InputError: `test_suite` has no databases for some of them or does not match its suite.json, or a database is in
            use.
    """
    db_ids = list(dict.fromkeys(db_ids))
    for db_id in db_ids if test_suite else ():
        check_db_id(db_id)
    folders = {db_id: test_suite / db_id if test_suite else databases[db_id].parent for db_id in db_ids}
    suites = {db_id: sorted(folder.glob("*.sqlite")) for db_id, folder in folders.items()}
    made, left_out = read_made_suite(test_suite) if test_suite else (None, {})
    # It is no error if eval/make_test_suite.py kept no random database for a db_id; suite.json records that.
    missing = [db_id for db_id, files in suites.items() if not (files or db_id in left_out or db_id in (made or {}))]
    if missing:
        raise InputError(
            f"--test-suite {test_suite} has no DB_ID/*.sqlite for {len(missing)} of {len(suites)} db_ids: "
            f"{first_of(sorted(missing))}; create them with eval/make_test_suite.py"
        )
    if made is not None:
        check_made_suite(test_suite, made, [db_id for db_id in db_ids if suites[db_id] or db_id in made])
    for path in (path for files in suites.values() for path in files):
        check_not_in_use(path)
    for db_id in db_ids:
        if db_id in left_out and not suites[db_id]:
            print(f"the test suite skips {db_id}, which was damaged when it was made: {left_out[db_id]['reason']}")
    return suites if test_suite or any(len(files) > 1 for files in suites.values()) else None


def read_made_suite(test_suite: Path) -> tuple[dict[str, dict] | None, dict[str, dict]]:
    """Read suite.json: (record of each db_id, of each skipped one); (None, {}) if another tool made the suite.

    Raises:
        InputError: suite.json cannot be read.
    """
    path = test_suite / "suite.json"
    if not os.path.lexists(path):
        return None, {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        made, left_out = dict(content["databases"]), dict(content.get("left_out", {}))
        for db_id, record in made.items():
            check_record(db_id, record)
        [value["reason"] for value in left_out.values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(f"{path} is damaged or not from eval/make_test_suite.py; create the suite again") from None
    return made, left_out


def check_made_suite(test_suite: Path, made: Mapping[str, dict], db_ids: Sequence[str]) -> None:
    """Raise InputError unless the databases of these db_ids are those that suite.json records."""
    for db_id in db_ids:
        if db_id not in made:
            fault = f"{test_suite / db_id} is not recorded"
        else:
            try:
                fault = find_fault(test_suite / db_id, db_id, made[db_id])
            except OSError as error:
                raise InputError(f"--test-suite: {error.filename} cannot be read: {error.strerror}") from None
        if fault:
            what_to_do = "move files that are not of the suite, and run eval/make_test_suite.py again"
            raise InputError(f"--test-suite {test_suite} does not match its suite.json: {fault}; {what_to_do}")


def question_hardness(benchmark: str, question: Question) -> str | None:
    """Return the difficulty in the question's file, else the level by Spider's rule if the benchmark has levels."""
    if question.difficulty or question.fault or question.gold_rows or not BENCHMARKS[benchmark].hardness:
        return question.difficulty or None
    from kid.sql.hardness import spider_hardness  # here and below, so that --help does not import sqlglot

    return spider_hardness(question.query)


def with_faults(verdicts: Sequence[Verdict], faults: Mapping[int, str]) -> list[Verdict]:
    """Add the reasons why predictions could not be run (by position) to verdicts, unless the gold query failed."""
    failed = {verdict.index for verdict in gold_failures(verdicts)}
    return [
        replace(verdict, error=faults[place]) if place in faults and verdict.index not in failed else verdict
        for place, verdict in enumerate(verdicts)
    ]


def score_record(
    benchmark: str,
    split: str,
    evidence: bool | None,
    questions: Sequence[Question],
    predictions: Sequence[str],
    ex: Sequence[Verdict],
    ts: Mapping[int, Verdict] | None,
    metrics: Mapping[int, dict] | None = None,
) -> dict:
    """Return the content of a score file, see docs/evaluation.md.

    Args:
        evidence: whether the prompts had evidence; None if unknown.
        questions, predictions, ex: n each, in the same order.
        ts: verdicts on the test suites by question index, for the questions correct by EX; None without a suite.
        metrics: the result of `metric_lines`, by question index; None without further metrics.
    """
    from kid.evaluation.failures import failure_classes, hardness_levels

    lines = []
    for question, prediction, verdict in zip(questions, predictions, ex, strict=True):
        suite = ts.get(question.index) if ts is not None else None
        right = None if ts is None else bool(suite and suite.correct)
        error = verdict.error or (f"test suite: {suite.error}" if suite and suite.error else None)
        compared = not verdict.correct and not question.gold_rows
        lines.append(
            {
                "index": question.index,
                "db_id": question.db_id,
                "ex": verdict.correct,
                "ts": right,
                "error": error,
                "hardness": question_hardness(benchmark, question),
                "differs": failure_classes(question.query, prediction, verdict.error) if compared else [],
                **(metrics or {}).get(question.index, {}),
            }
        )
    by_hardness = {
        level: summary([line for line in lines if line["hardness"] == level]) for level in hardness_levels(lines)
    }
    head = {"benchmark": benchmark, "split": split, "evidence": evidence, **summary(lines)}
    return {**head, "hardness": by_hardness, "databases": summaries_by_database(lines), "verdicts": lines}


def summaries_by_database(lines: Sequence[dict]) -> dict[str, dict]:
    """Summarise the questions of each database, the lowest EX first; of equal ones, the most questions first."""
    by_database: dict[str, list[dict]] = {}
    for line in lines:
        if line["db_id"]:  # a damaged question may have none
            by_database.setdefault(line["db_id"], []).append(line)
    found = {db_id: summary(members) for db_id, members in sorted(by_database.items())}
    return dict(sorted(found.items(), key=lambda entry: (entry[1]["ex"], -entry[1]["n"])))


def summary(lines: Sequence[dict]) -> dict:
    """Return n, EX and TS in percent to two decimals with 95 % intervals, and the further metrics of the lines.

    Questions whose gold query failed count too.
    """
    found: dict = {"n": len(lines)}
    for name in ("ex", "ts"):
        right = sum(bool(line[name]) for line in lines)
        there = lines[0][name] is not None
        found[name] = round(100 * right / len(lines), 2) if there else None
        found[f"{name}_interval"] = wilson_interval(right, len(lines)) if there else None
    return found | metric_summary(lines)


def wilson_interval(right: int, n: int) -> list[float]:
    """Return the 95 % interval of a proportion, in percent to two decimals, by Wilson's method.

    Equals `scipy.stats.binomtest(right, n).proportion_ci(method="wilson")` without importing scipy.stats, which takes a
    second.
    """
    z = NormalDist().inv_cdf(0.975)
    middle, half = right + z**2 / 2, z * math.sqrt(right * (n - right) / n + z**2 / 4)
    return [round(100 * (middle + sign * half) / (n + z**2), 2) + 0.0 for sign in (-1, 1)]
