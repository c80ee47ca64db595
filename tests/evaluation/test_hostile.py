"""Predictions that mean harm: each ends within its limit, alone, and leaves nothing behind."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.databases import make_database
from helpers.hostile import ENDLESS, ODD_CLOTHES, hostile_predictions

from kid.data.questions import Question
from kid.evaluation.execution_accuracy import Verdict, score_predictions
from kid.evaluation.worker import Limits

SECONDS, MEMORY = 0.2, 600 << 20
# In a process of its own, for its memory and that of its workers; one worker, so that time can be told by prediction.
SCRIPT = f"""
import json, resource, sys, time
from pathlib import Path
from helpers.hostile import ODD_CLOTHES, hostile_predictions
from kid.data.questions import Question
from kid.evaluation.execution import run_jobs
from kid.evaluation.execution_accuracy import Verdict, match_on_databases, _verdict
from kid.evaluation.scores import score_record
from kid.evaluation.worker import Limits

database, cache = map(Path, sys.argv[1:])
dressed = [(gold, text) for gold, texts in ODD_CLOTHES.items() for text in texts]
pairs = []
for place, text in enumerate(hostile_predictions()):
    pairs += [("SELECT name FROM singer", text), dressed[place % len(dressed)]]
jobs = [("spider", (database,), gold, text, cache) for gold, text in pairs]
found, times, before = [], [], time.monotonic()
for outcome in run_jobs(match_on_databases, jobs, 1, Limits(seconds={SECONDS}, rows=100_000, memory={MEMORY})):
    found.append(_verdict(outcome.index, outcome))
    times.append(time.monotonic() - before)
    before = time.monotonic()
found.sort(key=lambda verdict: verdict.index)
questions = [Question(place, "concert", "?", gold) for place, (gold, _) in enumerate(pairs)]
before = time.monotonic()
record = score_record("spider", "dev", None, questions, [text for _, text in pairs], found, None)
own_peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({{
    "verdicts": [[verdict.correct, verdict.error] for verdict in found],
    "differs": [line["differs"] for line in record["verdicts"]],
    "slowest": max(times), "analysis": time.monotonic() - before,
    # Not its own ru_maxrss, which begins with that of the process it was forked from.
    "memory": [peak << 10 for peak in (own_peak, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)],
}}))
"""


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> dict:
    """What became of all predictions, hostile and dressed ones in turn; and the folder before and after."""
    folder = tmp_path_factory.mktemp("hostile")
    database = make_database(folder / "database" / "concert" / "concert.sqlite")
    places = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    state = [hashlib.sha256(database.read_bytes()).hexdigest(), database.stat().st_mtime_ns]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, database, folder / "cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    state += [hashlib.sha256(database.read_bytes()).hexdigest(), database.stat().st_mtime_ns]
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if "cache" not in path.parts[-3:])
    return json.loads(done.stdout) | {"state": state, "left": left}


@pytest.mark.slow
def test_there_are_200_and_none_is_right(scored):
    hostile = scored["verdicts"][::2]
    assert len(hostile) >= 200
    assert [text[:60] for text, (right, _) in zip(hostile_predictions(), hostile, strict=True) if right] == []


def test_verdicts_between_them_are_unchanged(scored):
    assert scored["verdicts"][1::2] == [[True, None]] * len(scored["verdicts"][1::2])


def test_each_ends_within_its_limit(scored):
    # Gold, prediction and comparison have the limit each; the alarm comes half a second later; a new process starts.
    assert scored["slowest"] < 3 * SECONDS + 0.5 + 2


def test_memory_stays_bounded(scored):
    own, of_workers = scored["memory"]
    assert of_workers < MEMORY and own < MEMORY


def test_database_and_folder_are_as_they_were(scored):
    assert scored["state"][:2] == scored["state"][2:]
    assert scored["left"] == ["database", "database/concert", "database/concert/concert.sqlite"]


def test_each_miss_has_a_class_and_none_takes_long(scored):
    assert all(scored["differs"][::2])
    assert scored["analysis"] < 60


def test_each_way_to_be_refused_is_met(scored):
    """Not one limit does the work of all."""
    errors = {error or "" for _, error in scored["verdicts"]}
    wanted = ("timeout", "not authorized", "string or blob too big", "null character")
    assert [text for text in wanted if not any(text in error for error in errors)] == []


@pytest.mark.parametrize(
    ("prediction", "error"),
    [
        ("SELECT zeroblob(30000000) FROM singer a, singer b, singer c", "out of memory"),
        (f"{ENDLESS} SELECT x FROM n", "more than 100000 rows"),
    ],
)
def test_memory_and_rows_are_limited_too(database, prediction, error):
    """With time enough to come to these limits on a busy machine."""
    (question,) = [Question(0, "concert", "?", "SELECT name FROM singer")]
    limits = Limits(seconds=60, rows=100_000, memory=MEMORY)
    found = score_predictions([question], [prediction], {"concert": [database]}, 1, limits)
    assert found == [Verdict(0, False, error)]


def test_odd_clothes_by_more_workers(database):
    pairs = [(gold, text) for gold, texts in ODD_CLOTHES.items() for text in texts]
    questions = [Question(place, "concert", "?", gold) for place, (gold, _) in enumerate(pairs)]
    found = score_predictions(questions, [text for _, text in pairs], {"concert": [database]}, 2, Limits(seconds=10))
    assert found == [Verdict(place, True) for place in range(len(pairs))]
