"""Read and check the files written by eval/score.py and eval/exposure_bias.py; only those of this run are used."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kid.config.benchmarks import BENCHMARKS
from kid.config.run_config import RunConfig
from kid.config.trained import form_of, form_words
from kid.evaluation.provenance import FORM_KEY, QUESTIONS_KEY, belongs
from kid.report.names import canonical_model

# (benchmark, split, with evidence: None if the benchmark has none)
ScoreColumn = tuple[str, str, bool | None]


def score_columns() -> dict[ScoreColumn, str]:
    """Return column -> heading, in the order of the paper's Table 3: dev of every benchmark, then the other splits."""
    found: dict[ScoreColumn, str] = {}
    for name, benchmark in BENCHMARKS.items():
        for split, files in benchmark.splits.items():
            if files.title and benchmark.evidence:
                found |= {(name, split, False): f"{files.title} w/o EK", (name, split, True): f"{files.title} w/ EK"}
            elif files.title:
                found[name, split, None] = files.title
    return dict(sorted(found.items(), key=lambda column: column[0][1] != "dev"))


SCORE_COLUMNS = score_columns()
EXPOSURE_FILE = "exposure_bias.json"
WRONG_FORMAT = "it does not have the format of {}; create it again"


@dataclass(frozen=True)
class Score:
    """The result of eval/score.py for a model's predictions on one split.

    ex, ts: in percent, computed from the verdicts (the numbers in the file are rounded); ts is None if not scored.
    questions: indices of the scored questions, in ascending order.
    questions_hash: hash of the split's questions and gold at the time of scoring; empty in older files.
    """

    path: Path
    column: ScoreColumn
    ex: float
    ts: float | None
    questions: tuple[int, ...]
    verdicts: list[dict]
    questions_hash: str = ""

    @property
    def n(self) -> int:
        return len(self.verdicts)

    @property
    def predictions(self) -> Path:
        """The file in the run with the scored predictions."""
        return predictions_of(self.path)


def predictions_of(score: Path) -> Path:
    """Return the file in a run with the predictions of a score: one SQL query per line, or BIRD's JSON if it exists."""
    parts = list(score.parts)
    index = len(parts) - 1 - parts[::-1].index("scores")
    path = Path(*parts[:index], "predictions", *parts[index + 1 :])
    lines = path.with_suffix(".sql")
    return path if path.is_file() and not lines.is_file() else lines


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def accuracy_percent(verdicts: Sequence[dict], kind: str) -> float | None:
    """Compute EX or TS (`kind`: "ex", "ts") of verdicts in percent; None without verdicts or if one lacks it."""
    values = [verdict[kind] for verdict in verdicts]
    return None if not values or None in values else 100 * sum(values) / len(values)


def read_object(path: Path, remarks: list[str]) -> dict | None:
    """Read a file's JSON object; None if there is no file or, with a remark, if it has other content."""
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        remarks.append(f"{path} was skipped: it cannot be read ({error}); create it again")
        return None
    if not isinstance(value, dict):
        remarks.append(f"{path} was skipped: it is not a JSON object; create it again")
        return None
    return value


def read_scores(folder: Path, config: RunConfig, remarks: list[str]) -> dict[ScoreColumn, Score]:
    """Read the scores in a folder by column; unusable ones are skipped with a remark.

    Of two scores in one column, the one with TS is used, otherwise the newer one.
    """
    scores: dict[ScoreColumn, Score] = {}
    for path in sorted(folder.glob("*.json")):
        content = read_object(path, remarks) if path.name != EXPOSURE_FILE else None
        if content is None:
            continue
        score, reason = parse_score(path, content, config)
        if score is None:
            remarks.append(f"{path} was skipped: {reason}")
            continue
        if score.predictions.is_file() and not belongs(score.predictions, content):
            remarks.append(f"{path} was skipped: {score.predictions} has changed since it was scored; score it again")
            continue
        if isinstance(left_out := content.get("excluded"), dict):
            remarks.append(f"{path} has {score.n} questions; --exclude excluded {len(left_out)}")
        other = scores.get(score.column, score)
        better, worse = (score, other) if preference(score) > preference(other) else (other, score)
        if other is not score:
            reason = "has TS" if (better.ts is None) < (worse.ts is None) else "is newer"
            remarks.append(f"{worse.path} was skipped: {better.path.name} is of the same split and {reason}")
        scores[score.column] = better
    return scores


def preference(score: Score) -> tuple[bool, float]:
    return score.ts is not None, score.path.stat().st_mtime


def parse_score(path: Path, content: dict, config: RunConfig) -> tuple[Score | None, str]:
    """Return (score, "") or (None, why it cannot be used)."""
    # Older score files lack these fields; they are assumed to have the evidence setting of the run.
    defaults: dict[str, Any] = {"ts": None, "error": None, "hardness": None, "differs": []}
    verdicts, hardness = content.get("verdicts"), content.get("hardness", {})
    well_formed = isinstance(verdicts, list) and verdicts and all(isinstance(verdict, dict) for verdict in verdicts)
    verdicts = [defaults | verdict for verdict in verdicts] if well_formed else []
    well_formed = well_formed and all(is_verdict(verdict) for verdict in verdicts) and content.get("n") == len(verdicts)
    if (
        not well_formed
        or not isinstance(hardness, dict)
        or not all(isinstance(level, dict) for level in hardness.values())
    ):
        return None, WRONG_FORMAT.format("eval/score.py")
    benchmark, split, evidence = (content.get(key) for key in ("benchmark", "split", "evidence"))
    if not isinstance(benchmark, str) or benchmark not in BENCHMARKS or not BENCHMARKS[benchmark].evidence:
        evidence = None
    elif not isinstance(evidence, bool):
        evidence = config.evidence
    if (
        not isinstance(split, str)
        or not isinstance(benchmark, str)
        or (benchmark, split, evidence) not in SCORE_COLUMNS
    ):
        return None, f"the report has no column for {benchmark} {split}"
    if content.get("keep_distinct"):
        return None, "scored with --keep-distinct, which is not the rule of the published scores"
    if benchmark != config.benchmark:
        return None, f"scored on {benchmark}, trained on {config.benchmark}"
    if evidence is not None and evidence != config.evidence:
        words = {True: "with", False: "without"}
        return None, f"scored {words[evidence]} evidence, trained {words[config.evidence]}"
    if reason := other_form(content, config):
        return None, f"predicted with {reason}"
    questions = tuple(sorted(verdict["index"] for verdict in verdicts))
    ex, ts = (accuracy_percent(verdicts, kind) for kind in ("ex", "ts"))
    known = str(content.get(QUESTIONS_KEY, ""))
    return Score(path, (benchmark, split, evidence), ex, ts, questions, verdicts, known), ""


def other_form(content: dict, config: RunConfig) -> str:
    """In what other form of prompts than the training's a file was made; empty if in the same, or it does not say."""
    made, trained = content.get(FORM_KEY), form_of(asdict(config))
    if not isinstance(made, dict) or made == trained:
        return ""
    return f"{form_words(form_of(made))}, trained with {form_words(trained)}"


def is_verdict(verdict: dict) -> bool:
    """Whether each field of a verdict has the right type."""
    differs = verdict["differs"]
    return (
        isinstance(verdict.get("index"), int)
        and isinstance(verdict.get("ex"), bool)
        and isinstance(verdict["ts"], bool | None)
        and isinstance(verdict["error"], str | None)
        and isinstance(verdict["hardness"], str | None)
        and isinstance(differs, list)
        and all(isinstance(name, str) for name in differs)
    )


def read_exposure(path: Path, config: RunConfig, remarks: list[str]) -> dict | None:
    """Read a result of eval/exposure_bias.py; None, with a remark, if it has other questions or another teacher."""
    content = read_object(path, remarks)
    if content is None:
        return None
    interval = content.get("interval_16")
    well_formed = all(is_number(content.get(key)) for key in ("ex_acc_err_16", "prompts", "samples"))
    well_formed = well_formed and isinstance(interval, list) and isinstance(content.get("teacher"), str)
    expected: dict[str, Any] = {"benchmark": config.benchmark, "split": "dev"}
    if content.get("evidence") is not None:  # None: the benchmark has no evidence
        expected["evidence"] = config.evidence
    differ = [f"{key} {content.get(key)}, not {value}" for key, value in expected.items() if content.get(key) != value]
    if well_formed and config.teacher and canonical_model(content["teacher"]) != canonical_model(config.teacher):
        differ.append(f"teacher {content['teacher']}, not {config.teacher}")
    if reason := other_form(content, config):
        differ.append(reason)
    if not well_formed or differ:
        reason = f"measured with {'; '.join(differ)}" if well_formed else WRONG_FORMAT.format("eval/exposure_bias.py")
        remarks.append(f"{path} was skipped: {reason}")
        return None
    return content
