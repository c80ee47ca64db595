"""Score predictions: execution accuracy (EX), test-suite accuracy (TS), BIRD's metrics, and a list of failures."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cli import add_question_flags, name_benchmark

from kid.data.database import check_not_in_use
from kid.data.exclusion import exclusion_remark, read_exclusion
from kid.data.faults import Damage
from kid.data.questions import Question, check_gold_sql, find_databases, load_questions, questions_hash
from kid.errors import InputError, OneLineParser, run_script
from kid.evaluation.bird_metrics import METRICS, metric_lines
from kid.evaluation.execution import default_workers
from kid.evaluation.execution_accuracy import (
    GOLD_TIMES,
    LESS_PATIENT_SHARE,
    PATIENT_TIMEOUTS,
    Verdict,
    comparison_rule,
    score_predictions,
    worst_case_seconds,
)
from kid.evaluation.gold_cache import depends_on_chance
from kid.evaluation.predictions_file import Predictions, read_predictions
from kid.evaluation.provenance import (
    FORM_KEY,
    HASH_KEY,
    QUESTIONS_KEY,
    SUITE_KEY,
    check_scored_as,
    read_json,
    recorded_evidence,
    recorded_form,
)
from kid.evaluation.sample_scores import load_samples, score_samples
from kid.evaluation.samples_file import SampledQuery
from kid.evaluation.scores import find_suites, score_record, with_faults
from kid.evaluation.suites.folders import suite_hash
from kid.evaluation.voting import majority_votes
from kid.evaluation.worker import Limits
from kid.files import check_writable, file_sha256, write_atomically
from kid.report.score_screen import EXAMPLES, failures_page, show_doubtful, show_samples, show_scores

LONG_SECONDS = 3600  # if scoring may take longer, a note is printed first
Score = Callable[..., list[Verdict]]  # `score_predictions` with everything set but its first three arguments and title
EXAMPLE = """\
examples:
  python eval/score.py --benchmark spider --data spider/ --predictions preds.sql --json scores/dev.json
  python eval/score.py --benchmark spider --data spider/ --predictions preds.sql --test-suite suites/dev
  python eval/score.py --benchmark bird --data bird/ --predictions preds.sql --failures failures.md
  python eval/score.py --benchmark bird --data minidev/ --split mini-dev --predictions preds.sql --metrics soft-f1 r-ves
  python eval/score.py --benchmark spider --data spider/ --predictions preds.sql --vote majority

  preds.sql has one SQL query per line, in the order of the benchmark's questions. The text after a tab is ignored, and
  an empty line is a wrong prediction. The JSON object of BIRD's evaluator is accepted too.
  By Spider's rule a prediction is correct (EX) if its result equals that of the gold query: rows in any order unless
  the gold query has ORDER BY, columns in any order, DISTINCT ignored. TS requires this on every database of a test
  suite (see eval/make_test_suite.py). By BIRD's rule results are compared as sets of rows, with columns in order.
  --vote majority also scores the samples of eval/predict.py --samples: the majority vote (the sample whose result is
  the most frequent), pass@k and the oracle. Queries run read-only. docs/evaluation.md describes the rules, the limits
  and the JSON.
"""


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, epilog=EXAMPLE, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_question_flags(parser)
    parser.add_argument(
        "--predictions", required=True, metavar="FILE", type=Path, help="one SQL query per line, or BIRD's JSON"
    )
    damaged_help = "if questions are damaged: error, or skip, which counts them as wrong (default: error)"
    parser.add_argument("--damaged", choices=("error", "skip"), default="error", help=damaged_help)
    suite_help = "also score TS, on DIR/DB_ID/*.sqlite; default: the databases' folders if they hold several files"
    parser.add_argument("--test-suite", metavar="DIR", type=Path, help=suite_help)
    metrics_help = (
        "also BIRD's soft F1 and R-VES; R-VES runs each correct prediction and its gold SQL 100 times, one at a time"
    )
    parser.add_argument("--metrics", choices=METRICS, nargs="+", default=[], help=metrics_help)
    evidence_help = "whether prompts had evidence, for the JSON (default: as recorded by eval/predict.py)"
    parser.add_argument("--evidence", metavar="yes|no", choices=("yes", "no"), help=evidence_help)
    exclude_help = "exclude the questions in this file of eval/audit.py --exclude; preds.sql still has a line for them"
    parser.add_argument("--exclude", metavar="FILE", type=Path, help=exclude_help)
    parser.add_argument("--workers", metavar="N", type=int, default=default_workers(), help="default: number of cores")
    timeout_help = (
        "time limit of a query in seconds (default: 60); bird: of gold and predicted SQL together (default: 30)"
    )
    parser.add_argument("--timeout", metavar="S", type=float, help=timeout_help)
    distinct_help = "do not ignore DISTINCT, like --keep_distinct of the official code (default: DISTINCT is removed)"
    parser.add_argument("--keep-distinct", action="store_true", help=distinct_help)
    vote_help = "also score the samples in FILE.samples.jsonl: compare greedy, vote, pass@k and oracle"
    parser.add_argument("--vote", choices=("majority",), help=vote_help)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the scores and every verdict to this file")
    overwrite_help = "replace FILE even if it has TS and the new scores do not (default: an error)"
    parser.add_argument("--overwrite", action="store_true", help=overwrite_help)
    failures_help = f"write the failures by class and hardness, and {EXAMPLES} examples of each class, to this file"
    parser.add_argument("--failures", metavar="F.md", type=Path, help=failures_help)
    arguments = parser.parse_args()
    name_benchmark(arguments)
    rule = comparison_rule(arguments.benchmark, arguments.keep_distinct)
    arguments.timeout = rule.seconds if arguments.timeout is None else arguments.timeout
    for name in ("workers", "timeout"):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"--{name} {getattr(arguments, name)} is out of range; give a number above 0")
    return arguments


def prepare_file(path: Path, flag: str) -> None:
    """Create the folder of `path` now, so that a wrong path is reported before any work is done."""
    if path.is_dir():
        raise InputError(f"{flag} {path} is a folder; name a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{flag} {path}: cannot create its folder: {error.strerror}") from None
    check_writable(path.parent, flag)


def check_keeps_ts(path: Path, has_suite: bool) -> None:
    """Raise InputError if a score file has TS, which takes long to compute, and the new one would not."""
    if not has_suite and read_json(path).get("ts") is not None:
        raise InputError(
            f"--json {path} has TS, which would be lost without a test suite; give --test-suite, another file or "
            "--overwrite"
        )


def show_worst_case(asked: Asked, limits: Limits, workers: int) -> None:
    """Print the longest time that scoring may take, if it is long."""
    # Each distinct sample is executed once for the vote and once for its score.
    sampled = [asked.questions[place] for place, own in enumerate(asked.samples) for _ in {one.sql for one in own}]
    everything = [*asked.questions, *sampled, *sampled]
    cases = [worst_case_seconds(everything, files, limits.seconds, workers) for files in asked.roots]
    count, seconds = (sum(case[place] for case in cases) for place in (0, 1))
    if seconds > LONG_SECONDS:
        less = f"{limits.seconds * LESS_PATIENT_SHARE:g} s, or {GOLD_TIMES} times the time of the gold query"
        print(
            f"note: scoring usually takes minutes, but up to {seconds / 3600:.1f} h if every prediction reaches its "
            f"time limit ({count} queries of {limits.seconds:g} s on {workers} workers; after {PATIENT_TIMEOUTS} "
            f"time-outs on a database its limit becomes {less})",
            file=sys.stderr,
        )


def check_gold_kinds(questions: list[Question], arguments: argparse.Namespace) -> int:
    """Count the questions that have gold rows instead of gold SQL; prints which scores they do not get.

    Raises:
        InputError: a flag requires gold SQL.
    """
    with_rows = sum(question.gold_rows is not None for question in questions)
    if with_rows and arguments.test_suite:
        check_gold_sql(questions, "--test-suite")
    if with_rows == len(questions) and arguments.metrics:
        check_gold_sql(questions, f"--metrics {' '.join(arguments.metrics)}")
    if with_rows:
        print(
            f"{with_rows} of {len(questions)} questions have gold rows instead of gold SQL: they get no hardness by "
            "Spider's rule, no failure class, no soft F1 and no R-VES, and TS is not scored"
        )
    return with_rows


@dataclass(frozen=True)
class Asked:
    """What to score: n questions in order, their predictions, their samples (none without --vote).

    files: db_id -> its SQLite file. suites: db_id -> the files of its test suite; None without a suite. left_out: index
    of each question in the file of --exclude -> the kinds of its findings. questions_hash: of the whole
    split.
    """

    questions: list[Question]
    predictions: Predictions
    samples: list[list[SampledQuery]]
    files: dict[str, list[Path]]
    suites: dict[str, list[Path]] | None
    left_out: dict[int, list[str]]
    questions_hash: str

    @property
    def roots(self) -> list[dict[str, list[Path]]]:
        """The files for EX and, with a suite, those for TS."""
        return [self.files, self.suites] if self.suites else [self.files]


def read_asked(arguments: argparse.Namespace) -> Asked:
    """Read and check all input. Raises InputError. Creates the folders of the output files, but writes nothing else."""
    benchmark, split = arguments.benchmark, arguments.split
    damage = Damage(arguments.damaged)
    questions = load_questions(benchmark, split, arguments.data, arguments.questions, damage)
    damage.raise_unless_skipped()
    for line in damage.lines():
        print(f"counted as wrong: {line}")
    whole = next((question.index for question in questions if question.prompt), None)
    if whole is not None:
        raise InputError(f"question {whole} has its own prompt and no database; it cannot be scored")
    db_ids = [question.db_id for question in questions if not question.fault]
    databases = find_databases(benchmark, split, arguments.data, db_ids, arguments.databases)
    for path in databases.values():
        check_not_in_use(path)
    suites = None if check_gold_kinds(questions, arguments) else find_suites(arguments.test_suite, databases, db_ids)
    if arguments.json and not arguments.overwrite:
        check_keeps_ts(arguments.json, suites is not None)
    check_scored_as(arguments.predictions, benchmark, split)
    read = read_predictions(arguments.predictions, len(questions), [question.db_id for question in questions])
    samples = load_samples(arguments.predictions, len(questions)) if arguments.vote else []
    left_out = read_exclusion(arguments.exclude, benchmark, split, questions) if arguments.exclude else {}
    places = [place for place, question in enumerate(questions) if question.index not in left_out]
    for flag in ("json", "failures"):
        if path := getattr(arguments, flag):
            prepare_file(path, f"--{flag}")
    return Asked(
        [questions[place] for place in places],
        read.of(places),
        [samples[place] for place in places] if samples else [],
        {db_id: [path] for db_id, path in databases.items()},
        suites,
        left_out,
        questions_hash(questions, gold=True),
    )


def score_suites(asked: Asked, ex: list[Verdict], score: Score) -> list[Verdict] | None:
    """Return the TS verdicts of the questions that are correct by EX; None without a test suite."""
    if not asked.suites:
        return None
    # A prediction that is wrong on the database itself is wrong on the suite.
    right = [place for place, verdict in enumerate(ex) if verdict.correct]
    chosen, queries = [asked.questions[place] for place in right], asked.predictions.queries
    if without := without_suite(asked):
        print(f"the test suite has no database for {', '.join(without)}: EX is used as their TS")
    return score(chosen, [queries[place] for place in right], asked.suites, title="TS")


def without_suite(asked: Asked) -> list[str]:
    """Return the db_ids for which the test suite has no database."""
    return sorted(db_id for db_id, files in (asked.suites or {}).items() if not files)


def vote_and_score(
    asked: Asked, ex: list[Verdict], ts: dict[int, Verdict] | None, how: dict, score: Score
) -> tuple[dict, list[Verdict]]:
    """Compute the majority votes, score every sample, and return the result of `score_samples`."""
    questions, samples = asked.questions, asked.samples
    voters = {place: own for place, own in enumerate(samples) if own and not questions[place].fault}
    votes = majority_votes(voters, {place: asked.files[questions[place].db_id][0] for place in voters}, **how)
    queries = asked.predictions.runnable()
    return score_samples(questions, samples, votes, queries, ex, ts, asked.files, asked.suites, score)


def main() -> None:
    arguments = parse_arguments()
    asked, limits = read_asked(arguments), Limits(seconds=arguments.timeout)
    questions, read = asked.questions, asked.predictions
    predictions_hash = file_sha256(arguments.predictions)
    if read.faults:
        print(f"warning: {arguments.predictions}: {read.warning()}", file=sys.stderr)
    show_worst_case(asked, limits, arguments.workers)
    how = {"workers": arguments.workers, "limits": limits, "benchmark": arguments.benchmark}
    how["keep_distinct"] = arguments.keep_distinct
    score = partial(score_predictions, **how)
    ex = with_faults(score(questions, read.runnable(), asked.files, title="EX"), read.faults)
    on_suites = score_suites(asked, ex, score)
    ts = None if on_suites is None else {verdict.index: verdict for verdict in on_suites}
    further = None
    if arguments.metrics:
        databases = {db_id: files[0] for db_id, files in asked.files.items()}
        given = questions, read.runnable(), ex, databases, arguments.workers, limits
        further = metric_lines(arguments.metrics, *given)
    evidence = arguments.evidence == "yes" if arguments.evidence else recorded_evidence(arguments.predictions)
    head = arguments.benchmark, arguments.split, evidence
    record = score_record(*head, questions, read.queries, ex, ts, further)
    record |= {HASH_KEY: predictions_hash, QUESTIONS_KEY: asked.questions_hash}
    form = recorded_form(arguments.predictions)
    record |= {FORM_KEY: form} if form else {}
    record |= {"keep_distinct": True} if arguments.keep_distinct else {}
    record |= {SUITE_KEY: suite_hash(arguments.test_suite)} if arguments.test_suite else {}
    record |= {"ts_is_ex": without_suite(asked)} if without_suite(asked) else {}
    if arguments.exclude:
        record["excluded"] = {str(index): kinds for index, kinds in asked.left_out.items()}
        print(exclusion_remark(arguments.exclude, asked.left_out))
    of_samples: list[Verdict] = []
    if arguments.vote:
        record["samples"], of_samples = vote_and_score(asked, ex, ts, how, score)
    if arguments.failures:
        write_atomically(arguments.failures, failures_page(record["verdicts"], questions, read.queries))
    if arguments.json:
        write_atomically(arguments.json, json.dumps(record, indent=1) + "\n")
    show_scores(record, ex, on_suites)
    if arguments.vote:
        show_samples(record["samples"])
    show_doubtful([*ex, *(on_suites or []), *of_samples])
    chance = [str(question.index) for question in questions if not question.fault and depends_on_chance(question.query)]
    if chance:
        what = "the gold query uses the clock or random numbers, so its verdict can differ from run to run"
        print(f"question {', '.join(chance)}: {what}")


if __name__ == "__main__":
    run_script(main)
