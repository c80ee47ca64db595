"""BIRD's further metrics: soft F1 (how similar two results are) and R-VES (how fast a correct prediction is).

Values equal those of the official evaluators (bird-bench/mini_dev, evaluation_f1.py and evaluation_ves.py). Both run
queries without normalising them and compare rows by BIRD's rule, whatever the benchmark's own rule is.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from kid.data.cache import cache_folder
from kid.data.questions import Question
from kid.evaluation.execution import run_jobs
from kid.evaluation.execution_accuracy import Verdict, gold_results
from kid.evaluation.worker import Limits, Sandbox
from kid.sql.comparison import Row, bird_results_equal, first_query

METRICS = ("soft-f1", "r-ves")
RUNS = 100  # of each query, to measure its time for R-VES
OUTLIER_DEVIATIONS = 3
REWARDS = ((2.0, 1.25), (1.0, 1.0), (0.5, 0.75), (0.25, 0.5))  # (minimum time ratio, reward), best first
RESAMPLES = 2000  # of the bootstrap
LEAST_REWARD = 0.25  # of a correct prediction, however slow
Times = Sequence[tuple[float, float]]  # seconds of prediction and gold, run alternately


def soft_f1(predicted: Sequence[Row], gold: Sequence[Row]) -> float:
    """Compute the soft F1 of two results, 0 to 1: their distinct rows are compared in pairs, in order.

    In a pair of rows, a value matches if it occurs anywhere in the other row; it counts as a fraction of the number of
    gold columns. A value that occurs twice counts twice, so a pair may count for more than one row. A row without a
    partner counts as missing or surplus.
    """
    if not predicted and not gold:
        return 1.0
    predicted, gold = list(dict.fromkeys(predicted)), list(dict.fromkeys(gold))
    matched, surplus = 0.0, len(predicted) - len(gold)
    too_many, missing = float(max(surplus, 0)), float(max(-surplus, 0))
    for found, wanted in zip(predicted, gold, strict=False):
        hits = sum(value in wanted for value in found)
        matched += hits / len(wanted)
        too_many += (len(found) - hits) / len(wanted)
        missing += sum(value not in found for value in wanted) / len(wanted)
    # 2 P R / (P + R) with P = matched / (matched + too_many) and R = matched / (matched + missing)
    return 2 * matched / (2 * matched + too_many + missing)


def time_ratio(times: Times) -> float:
    """Return the gold query's time divided by the prediction's: the mean over the runs, without outliers.

    Outliers are three standard deviations or more from the mean of all runs. (If all runs are equal, the official code
    treats all as outliers and divides by 0; here none is an outlier.)
    """
    import numpy as np  # here and below, because eval/score.py --help imports METRICS from here

    predicted, gold = np.asarray(times, dtype=np.float64).T
    ratios = gold / predicted
    near = np.abs(ratios - ratios.mean()) < OUTLIER_DEVIATIONS * ratios.std()
    return float((ratios[near] if near.any() else ratios).mean())


def reward(ratio: float | None) -> float:
    """Return the reward for a time ratio; 0 for None, a wrong prediction."""
    if ratio is None:
        return 0.0
    return next((value for least, value in REWARDS if ratio >= least), LEAST_REWARD)


def r_ves(rewards: Sequence[float]) -> float:
    """Return the reward-based valid efficiency score: 100 x the mean square root of the rewards, up to 111.8."""
    return 100 * sum(map(math.sqrt, rewards)) / len(rewards)


def soft_f1_of_queries(sandbox: Sandbox, database: Path, gold: str, prediction: str, cache: Path) -> float:
    """The job of one question for soft F1. Raises QueryError: a query fails."""
    gold_rows, predicted = rows_of_both(sandbox, database, gold, prediction, cache)
    return soft_f1(predicted, gold_rows)


def times_of_queries(
    sandbox: Sandbox, database: Path, gold: str, prediction: str, cache: Path, runs: int
) -> list[tuple[float, float]] | None:
    """The job of one question for R-VES: times of `runs` runs of both queries; None if the prediction is wrong.

    Raises:
        QueryError: a query fails, or all runs together take longer than `runs` times the time limit.
    """
    gold_rows, predicted = rows_of_both(sandbox, database, gold, prediction, cache)
    if not bird_results_equal(gold_rows, predicted):
        return None
    sandbox.begin_stage("timing", runs * sandbox.limits.seconds)
    return sandbox.alternate_times(database, first_query(prediction), first_query(gold), runs)


def rows_of_both(
    sandbox: Sandbox, database: Path, gold: str, prediction: str, cache: Path
) -> tuple[list[Row], list[Row]]:
    """Run gold and prediction within one time limit, begin the stage "comparison" and return the rows of both."""
    sandbox.begin_stage("gold")
    ((gold_rows, seconds),) = gold_results(sandbox, [database], first_query(gold), cache)
    sandbox.begin_stage("prediction", sandbox.limits.seconds - seconds)
    predicted = sandbox.rows(database, first_query(prediction))
    sandbox.begin_stage("comparison")
    return gold_rows, predicted


def measure_soft_f1(
    pairs: Sequence[tuple[Question, str]], databases: Mapping[str, Path], workers: int, limits: Limits
) -> dict[int, float]:
    """Compute the soft F1 of each (question, prediction) by the question's index; 0 if a query fails."""
    found = _run("soft F1", soft_f1_of_queries, pairs, databases, workers, limits)
    return {index: value or 0.0 for index, value in found.items()}


def measure_times(
    pairs: Sequence[tuple[Question, str]], databases: Mapping[str, Path], limits: Limits, runs: int = RUNS
) -> dict[int, Times | None]:
    """Measure the times of each (question, prediction) by the question's index; None if it is wrong or fails.

    One worker runs one query at a time, so that queries do not slow each other down.
    """
    return _run("R-VES", times_of_queries, pairs, databases, 1, limits, runs)


def _run(
    title: str,
    job: Callable,
    pairs: Sequence[tuple[Question, str]],
    databases: Mapping[str, Path],
    workers: int,
    limits: Limits,
    *more: object,
) -> dict:
    """Run a job for each pair and return its value by the question's index; None if it failed."""
    jobs = [(databases[q.db_id], q.query, prediction, cache_folder(), *more) for q, prediction in pairs]
    found = {}
    for outcome in tqdm(run_jobs(job, jobs, workers, limits), total=len(jobs), desc=title, unit="query", disable=None):
        index = pairs[outcome.index][0].index
        found[index] = outcome.value
        if outcome.stage == "timing":
            tqdm.write(f"note: question {index} is correct but gets no reward: {outcome.error}", file=sys.stderr)
    return found


def metric_lines(
    metrics: Sequence[str],
    questions: Sequence[Question],
    predictions: Sequence[str],
    verdicts: Sequence[Verdict],
    databases: Mapping[str, Path],
    workers: int,
    limits: Limits,
) -> dict[int, dict]:
    """Compute the values of these metrics for the lines of a score file, by index of each question with gold SQL.

    Args:
        metrics: names in `METRICS`.
        questions, predictions, verdicts: n each, in the same order; the verdicts are EX. A prediction (or gold query)
            with an error in its verdict is not run again and gets 0.

    Returns:
        `soft_f1`, 0 to 1; `reward`, `time_ratio` (null: no reward), and `time_ratio_halves`: the ratios of the odd and
        of the even runs.
    """
    lines: dict[int, dict] = {}
    pairs = []
    for question, prediction, verdict in zip(questions, predictions, verdicts, strict=True):
        if question.gold_rows:
            continue
        line = lines[question.index] = {}
        if "soft-f1" in metrics:
            line["soft_f1"] = 0.0
        if "r-ves" in metrics:
            line |= {"reward": 0.0, "time_ratio": None, "time_ratio_halves": [None, None]}
        if verdict.error is None:
            pairs.append((question, prediction))
    if "soft-f1" in metrics:
        for index, value in measure_soft_f1(pairs, databases, workers, limits).items():
            lines[index]["soft_f1"] = round(value, 6)
    if "r-ves" in metrics:
        for index, times in measure_times(pairs, databases, limits).items():
            if times:
                exact = time_ratio(times)
                halves = [round(time_ratio(half), 4) for half in (times[::2], times[1::2])]
                lines[index] |= {"reward": reward(exact), "time_ratio": round(exact, 4), "time_ratio_halves": halves}
    return lines


def metric_summary(lines: Sequence[dict]) -> dict:
    """Summarise the metrics over the lines of a score file that have them, with n and a 95 % interval; {} if none has.

    The noise of R-VES: `halves` is R-VES computed from each half of the runs, and `rewards_that_differ` counts the
    questions whose reward differs between the halves.
    """
    found: dict[str, dict] = {}
    f1 = [line["soft_f1"] for line in lines if "soft_f1" in line]
    if f1:
        found["soft_f1"] = {"n": len(f1), "percent": round(100 * sum(f1) / len(f1), 2), "interval": mean_interval(f1)}
    timed = [line for line in lines if "reward" in line]
    if timed:
        rewards = [line["reward"] for line in timed]
        halves = [[reward(line["time_ratio_halves"][place]) for line in timed] for place in (0, 1)]
        found["r_ves"] = {
            "n": len(timed),
            "score": round(r_ves(rewards), 2),
            "interval": mean_interval([math.sqrt(value) for value in rewards]),
            "runs": RUNS,
            "halves": [round(r_ves(half), 2) for half in halves],
            "rewards_that_differ": sum(one != other for one, other in zip(*halves, strict=True)),
        }
    return found


def mean_interval(values: Sequence[float]) -> list[float] | None:
    """Return the 95 % bootstrap interval (2000 resamples) of 100 times the mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    import numpy as np
    from scipy.stats import bootstrap  # here, because the import takes a second

    data = (100 * np.asarray(values),)
    found = bootstrap(data, np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(0))
    return [round(float(end), 2) for end in found.confidence_interval]
