"""Score samples: greedy, voted, pass@k and oracle accuracy, for a score file's `samples`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import comb
from pathlib import Path

from kid.data.questions import Question
from kid.errors import InputError
from kid.evaluation.execution_accuracy import Verdict
from kid.evaluation.provenance import provenance_path, read_json
from kid.evaluation.samples_file import SampledQuery, read_samples, samples_path
from kid.evaluation.voting import Vote

Pair = tuple[int, str]  # (position of a question, query)


def load_samples(predictions: Path, expected: int) -> list[list[SampledQuery]]:
    """Read the samples beside a file of predictions, see `read_samples`.

    Raises:
        InputError: the samples cannot be used, or eval/predict.py has since written the predictions without them.
    """
    path, made = samples_path(predictions), read_json(provenance_path(predictions))
    samples = read_samples(path, expected)
    count = max(map(len, samples))
    if made and made.get("samples") != count:
        raise InputError(
            f"{path} has {count} samples per question, but according to {provenance_path(predictions)}, {predictions} "
            f"was made with {made.get('samples') or 'none'}; run eval/predict.py --samples again"
        )
    return samples


def pass_at(n: int, correct: int, k: int) -> float:
    """Return the probability that at least one of k samples, chosen from n without replacement, is correct.

    With n independent samples this is the unbiased estimate of pass@k (Chen et al. 2021, Eq. 1). 1 <= k <= n.
    """
    return 1 - comb(n - correct, k) / comb(n, k)


def ks_to_report(n: int) -> list[int]:
    """Return the powers of two below n, and n."""
    return [1 << power for power in range((n - 1).bit_length())] + [n]


def figures(greedy: Sequence[bool], votes: Mapping[int, Vote], right: Sequence[Sequence[bool]], n: int) -> dict:
    """Compute accuracies in percent to two decimals. Questions without samples count; only greedy can be right there.

    Args:
        greedy: whether each question's greedy prediction is correct.
        votes: by position, for the questions that have samples.
        right: whether each of a question's n samples is correct; empty if it has none.

    Returns:
        {"greedy", "voted", "pass_at": {"1": ..., "2": ..., str(n): ...}, "oracle"}.
    """

    def percent(values: Sequence[float]) -> float:
        return round(100 * sum(values) / len(greedy), 2)

    voted = [right[place][vote.number] for place, vote in votes.items()]
    at = {str(k): percent([pass_at(n, sum(own), k) for own in right if own]) for k in ks_to_report(n)}
    return {"greedy": percent(greedy), "voted": percent(voted), "pass_at": at, "oracle": percent(list(map(any, right)))}


def judge(
    pairs: Sequence[Pair],
    known: dict[Pair, bool],
    questions: Sequence[Question],
    score: Callable[[list[Question], list[str]], list[Verdict]],
) -> list[Verdict]:
    """Score the pairs that are not in `known`, each once, and add them: pair -> whether it is correct.

    Returns:
        The verdicts on these pairs.
    """
    new = [pair for pair in dict.fromkeys(pairs) if pair not in known]
    # Verdicts are identified by index, but here a question occurs several times.
    asked = [replace(questions[place], index=at) for at, (place, _) in enumerate(new)]
    verdicts = score(asked, [query for _, query in new]) if new else []
    known.update((pair, verdict.correct) for pair, verdict in zip(new, verdicts, strict=True))
    return [replace(verdict, index=questions[place].index) for verdict, (place, _) in zip(verdicts, new, strict=True)]


def score_samples(
    questions: Sequence[Question],
    samples: Sequence[Sequence[SampledQuery]],
    votes: Mapping[int, Vote],
    predictions: Sequence[str],
    ex: Sequence[Verdict],
    ts: Mapping[int, Verdict] | None,
    files: Mapping[str, Sequence[Path]],
    suites: Mapping[str, Sequence[Path]] | None,
    score: Callable[..., list[Verdict]],
) -> tuple[dict, list[Verdict]]:
    """Return (`samples` of a score file, see docs/evaluation.md; the verdicts of the queries that were run for it).

    Each distinct sample of a question is scored once; a sample that equals the greedy prediction has its verdict.

    Args:
        questions, samples, predictions, ex: n each, in the same order; the predictions are the greedy ones.
        votes: by position, for the questions that have samples and no fault.
        ts: verdicts on the test suites by question index, for the questions correct by EX; None without a suite.
        files, suites: the SQLite files of each db_id, for EX and for TS.
        score: `score_predictions` with all arguments set except the first three and `title`.
    """
    count = max(map(len, samples))
    pairs = [(place, one.sql) for place in votes for one in samples[place]]
    greedy = {
        (place, query): verdict.correct for place, (query, verdict) in enumerate(zip(predictions, ex, strict=True))
    }
    known = dict(greedy)
    found = judge(pairs, known, questions, partial(score, databases=files, title="EX of samples"))
    kinds = {"ex": (greedy, known)}
    if suites and ts is not None:
        correct = {index for index, verdict in ts.items() if verdict.correct}
        greedy = {(place, query): questions[place].index in correct for place, query in greedy}
        # A sample that is wrong on the database itself is wrong on the suite.
        known = greedy | {pair: False for pair, right in known.items() if not right}
        found += judge(pairs, known, questions, partial(score, databases=suites, title="TS of samples"))
        kinds["ts"] = (greedy, known)
    right = {
        name: [[known[place, one.sql] for one in own] if place in votes else [] for place, own in enumerate(samples)]
        for name, (_, known) in kinds.items()
    }
    failures = [reason for vote in votes.values() for reason in vote.failures]
    record = {
        "k": count,
        "vote": "majority",
        "ts": None,
        **{name: figures(list(kinds[name][0].values()), votes, right[name], count) for name in kinds},
        "timeouts": failures.count("timeout"),
        "errors": len(failures) - failures.count("timeout"),
        "without_votes": sum(vote.votes == 0 for vote in votes.values()),
        "without_samples": len(questions) - len(votes),
        "verdicts": [
            {"index": questions[place].index, "voted": vote.number, "votes": vote.votes}
            | {name: "".join(str(int(one)) for one in right[name][place]) for name in kinds}
            for place, vote in votes.items()
        ],
    }
    return record, found
