"""What a scored set of predictions comes to: figures, also by hardness, and each verdict with its reason."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from kid.data.questions import Question
from kid.data.schema import check_not_in_use
from kid.errors import InputError
from kid.evaluation.execution_accuracy import Verdict
from kid.evaluation.failures import differences, levels_of
from kid.sql.hardness import spider_hardness


def find_suites(
    test_suite: Path | None, databases: Mapping[str, Path], db_ids: Sequence[str]
) -> dict[str, list[Path]] | None:
    """The SQLite files of each db_id's test suite; None where there is no suite at hand.

    Args:
        test_suite: a folder with DB_ID/*.sqlite. Without it, a database's own folder is its suite if any of them holds
            more than the database (the layout of Spider's official test suites).
        databases: the SQLite file of each db_id.
        db_ids: those that need a suite.

    Raises:
        InputError: `test_suite` has nothing for some of them, or a database is in use.
    """
    folders = {db_id: test_suite / db_id if test_suite else databases[db_id].parent for db_id in dict.fromkeys(db_ids)}
    suites = {db_id: sorted(folder.glob("*.sqlite")) for db_id, folder in folders.items()}
    # Of some databases eval/make_test_suite.py keeps none, and says so.
    made = read_json(test_suite / "suite.json").get("databases", {}) if test_suite else {}
    missing = sorted(db_id for db_id, files in suites.items() if not files and db_id not in made)
    if missing:
        raise InputError(
            f"--test-suite {test_suite} has no DB_ID/*.sqlite for {len(missing)} of {len(suites)} db_ids: "
            f"{', '.join(missing)}; eval/make_test_suite.py makes them"
        )
    for path in (path for files in suites.values() for path in files):
        check_not_in_use(path)
    return suites if test_suite or any(len(files) > 1 for files in suites.values()) else None


def hardness_of(benchmark: str, question: Question) -> str | None:
    """The file's own word for it, else Spider's rule; BIRD without a word in its file has none."""
    if question.difficulty or benchmark == "bird" or question.fault:
        return question.difficulty or None
    return spider_hardness(question.query)


def score_record(
    benchmark: str,
    split: str,
    evidence: bool | None,
    questions: Sequence[Question],
    predictions: Sequence[str],
    ex: Sequence[Verdict],
    ts: Mapping[int, Verdict] | None,
) -> dict:
    """The content of a score file, see docs/evaluation.md.

    Args:
        evidence: whether the prompts had evidence, if known.
        questions, predictions, ex: n each, in the same order.
        ts: verdicts on the test suites, by the question's index, of the questions that are right by EX; None: no suite.
    """
    lines = []
    for question, prediction, verdict in zip(questions, predictions, ex, strict=True):
        suite = ts.get(question.index) if ts is not None else None
        right = None if ts is None else bool(suite and suite.correct)
        error = verdict.error or (f"test suite: {suite.error}" if suite and suite.error else None)
        wrong = not verdict.correct
        lines.append(
            {
                "index": question.index,
                "ex": verdict.correct,
                "ts": right,
                "error": error,
                "hardness": hardness_of(benchmark, question),
                "differs": differences(question.query, prediction, verdict.error) if wrong else [],
            }
        )
    by_hardness = {level: figures([line for line in lines if line["hardness"] == level]) for level in levels_of(lines)}
    head = {"benchmark": benchmark, "split": split, "evidence": evidence}
    return {**head, **figures(lines), "hardness": by_hardness, "verdicts": lines}


def figures(lines: Sequence[dict]) -> dict:
    """n, EX and TS in percent, to two decimals; every question counts, also one whose gold failed."""
    share = {name: round(100 * sum(bool(line[name]) for line in lines) / len(lines), 2) for name in ("ex", "ts")}
    return {"n": len(lines), "ex": share["ex"], "ts": None if lines[0]["ts"] is None else share["ts"]}


def noted_evidence(predictions: Path) -> bool | None:
    """Whether the prompts had evidence, as eval/predict.py noted beside its predictions; None where it did not."""
    return read_json(note_of(predictions)).get("evidence")


def read_json(path: Path) -> dict:
    """A file's object; an empty one where there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def note_of(predictions: Path) -> Path:
    """Where eval/predict.py notes how predictions were made."""
    return predictions.with_name(f"{predictions.name}.made.json")


def read_predictions(path: Path, expected: int) -> list[str]:
    """One query a line, up to the first tab, stripped. Raises InputError if there are not `expected` lines."""
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(f"cannot read predictions {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"predictions {path} are not UTF-8 ({error}); write them again as UTF-8") from None
    # Only \n ends a line: str.splitlines would also cut at characters that may stand inside a string literal.
    lines = text.removesuffix("\n").split("\n") if text else []
    if len(lines) != expected:
        raise InputError(
            f"{path} has {len(lines)} lines but the split has {expected} questions; give one prediction a line"
        )
    return [line.split("\t")[0].strip() for line in lines]
