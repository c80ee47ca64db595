"""Score predictions: execution accuracy (EX), test-suite accuracy (TS), BIRD's metrics, and what differs in misses."""

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
from kid.evaluation.provenance import HASH_KEY, QUESTIONS_KEY, check_scored_as, read_json, recorded_evidence
from kid.evaluation.sample_scores import load_samples, score_samples
from kid.evaluation.samples_file import SampledQuery
from kid.evaluation.scores import find_suites, score_record, with_faults
from kid.evaluation.voting import majority_votes
from kid.evaluation.worker import Limits
from kid.files import check_writable, file_sha256, write_atomically
from kid.report.score_screen import EXAMPLES, failures_page, show_doubtful, show_samples, show_scores

LONG_SECONDS = 3600  # a run that may take longer says so first
Score = Callable[..., list[Verdict]]  # `score_predictions` with everything set but its first three arguments and title
EXAMPLE = """\
examples:
  python eval/score.py --benchmark spider --data spider/ --predictions preds.sql --json scores/dev.json
  python eval/score.py --benchmark spider --data spider/ --predictions preds.sql --test-suite suites/dev
  python eval/score.py --benchmark bird --data bird/ --predictions preds.sql --failures failures.md
  python eval/score.py --benchmark bird --data minidev/ --split mini-dev --predictions preds.sql --metrics soft-f1 r-ves
  python eval/score.py --benchmark spider --data spider/ --predictions preds.sql --vote majority

  preds.sql holds one SQL query a line, in the order of the benchmark's questions; what follows a tab is ignored, and
  an empty line is a wrong prediction. The JSON object of BIRD's evaluator is read too. By Spider's rule a prediction is
  right (EX) if its result equals the gold query's: rows in any order unless the gold query has ORDER BY, columns in any
  order, DISTINCT ignored. TS asks for the same on every database of a test suite (eval/make_test_suite.py makes one).
  By BIRD's rule results are equal as sets of rows, columns in order. --vote majority also scores what
  eval/predict.py --samples drew: the sample whose result on the database most samples share, pass@k and the oracle.
  Queries run read-only; docs/evaluation.md has the rules, the limits, the JSON.
"""


def parse_arguments() -> argparse.Namespace:
    parser = OneLineParser(
        description=__doc__, epilog=EXAMPLE, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_question_flags(parser)
    parser.add_argument(
        "--predictions", required=True, metavar="FILE", type=Path, help="one SQL query a line, or BIRD's JSON"
    )
    damaged_help = "damaged questions: error, or skip, and they count as wrong (default: error)"
    parser.add_argument("--damaged", choices=("error", "skip"), default="error", help=damaged_help)
    suite_help = "also TS, on DIR/DB_ID/*.sqlite; default: the folders of the databases, if they hold several files"
    parser.add_argument("--test-suite", metavar="DIR", type=Path, help=suite_help)
    metrics_help = (
        "also BIRD's soft F1, and R-VES, for which each right prediction and its gold run 100 times, one by one"
    )
    parser.add_argument("--metrics", choices=METRICS, nargs="+", default=[], help=metrics_help)
    evidence_help = "noted in the JSON: whether prompts had evidence (default: what eval/predict.py noted)"
    parser.add_argument("--evidence", metavar="yes|no", choices=("yes", "no"), help=evidence_help)
    exclude_help = "leave out the questions that this file of eval/audit.py --exclude names; preds.sql has all the same"
    parser.add_argument("--exclude", metavar="FILE", type=Path, help=exclude_help)
    parser.add_argument("--workers", metavar="N", type=int, default=default_workers(), help="default: number of cores")
    timeout_help = "seconds each query may take (default: 60); of bird, gold and prediction in sum (default: 30)"
    parser.add_argument("--timeout", metavar="S", type=float, help=timeout_help)
    distinct_help = "compare with DISTINCT, as the official code's --keep_distinct does (default: DISTINCT is dropped)"
    parser.add_argument("--keep-distinct", action="store_true", help=distinct_help)
    vote_help = "also score the samples in FILE.samples.jsonl: greedy, voted, pass@k and oracle side by side"
    parser.add_argument("--vote", choices=("majority",), help=vote_help)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures and every verdict to this file")
    overwrite_help = "write FILE also where that drops the TS it has (default: an error)"
    parser.add_argument("--overwrite", action="store_true", help=overwrite_help)
    failures_help = f"write the misses by class and hardness, and {EXAMPLES} examples of each class, to this file"
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
    """Create the folder of `path` now, so that a wrong path is met before the work and not after it."""
    if path.is_dir():
        raise InputError(f"{flag} {path} is a folder; name a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{flag} {path}: cannot create its folder: {error.strerror}") from None
    check_writable(path.parent, flag)


def check_keeps_ts(path: Path, has_suite: bool) -> None:
    """Raises InputError where a score file has TS, which takes long to measure, and the new one would have none."""
    if not has_suite and read_json(path).get("ts") is not None:
        raise InputError(
            f"--json {path} has TS, which without a test suite would be lost; give --test-suite, or another file, or "
            "--overwrite"
        )


def show_worst_case(asked: Asked, limits: Limits, workers: int) -> None:
    """Say first how long scoring may take, if that is long."""
    # Each distinct sample is run once for the vote and once to be scored.
    sampled = [asked.questions[place] for place, own in enumerate(asked.samples) for _ in {one.sql for one in own}]
    everything = [*asked.questions, *sampled, *sampled]
    cases = [worst_case_seconds(everything, files, limits.seconds, workers) for files in asked.roots]
    count, seconds = (sum(case[place] for case in cases) for place in (0, 1))
    if seconds > LONG_SECONDS:
        less = f"{limits.seconds * LESS_PATIENT_SHARE:g} s, or {GOLD_TIMES} times what the gold query takes"
        print(
            f"note: at worst {seconds / 3600:.1f} h, if every prediction runs into its time limit ({count} queries of "
            f"{limits.seconds:g} s on {workers} workers; after {PATIENT_TIMEOUTS} time-outs on a database the limit "
            f"there falls to {less})",
            file=sys.stderr,
        )


def check_gold_kinds(questions: list[Question], arguments: argparse.Namespace) -> int:
    """How many questions have rows as their gold; a line says what they lack.

    Raises:
        InputError: a flag needs gold SQL.
    """
    with_rows = sum(question.gold_rows is not None for question in questions)
    if with_rows and arguments.test_suite:
        check_gold_sql(questions, "--test-suite")
    if with_rows == len(questions) and arguments.metrics:
        check_gold_sql(questions, f"--metrics {' '.join(arguments.metrics)}")
    if with_rows:
        print(
            f"{with_rows} of {len(questions)} questions have rows as their gold, which give no hardness by Spider's "
            "rule, no classes of misses, no soft F1 and no R-VES; there is no TS"
        )
    return with_rows


@dataclass(frozen=True)
class Asked:
    """What is scored: n questions in order, their predictions, their samples (none without --vote).

    files: the SQLite file of each db_id. suites: those of its test suite; None: there is no suite. left_out: index of
    each question of the split that --exclude names -> the kinds of its findings. questions_hash: of the whole split.
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
    """Read and check everything that was given. Raises InputError; writes nothing but folders for the output."""
    benchmark, split = arguments.benchmark, arguments.split
    damage = Damage(arguments.damaged)
    questions = load_questions(benchmark, split, arguments.data, arguments.questions, damage)
    damage.raise_unless_skipped()
    for line in damage.lines():
        print(f"counted as wrong: {line}")
    whole = next((question.index for question in questions if question.prompt), None)
    if whole is not None:
        raise InputError(f"question {whole} brings its own prompt and no database; it cannot be scored")
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
    """The verdicts on the test suites of the questions that are right by EX; None without suites."""
    if not asked.suites:
        return None
    # Whoever is wrong on the database itself is wrong on the suite.
    right = [place for place, verdict in enumerate(ex) if verdict.correct]
    chosen, queries = [asked.questions[place] for place in right], asked.predictions.queries
    if without := without_suite(asked):
        print(f"the test suite has no database for {', '.join(without)}: there TS is EX")
    return score(chosen, [queries[place] for place in right], asked.suites, title="TS")


def without_suite(asked: Asked) -> list[str]:
    """The db_ids for which the test suite has no database."""
    return sorted(db_id for db_id, files in (asked.suites or {}).items() if not files)


def vote_and_score(
    asked: Asked, ex: list[Verdict], ts: dict[int, Verdict] | None, how: dict, score: Score
) -> tuple[dict, list[Verdict]]:
    """Hold the vote, then score every sample: what `score_samples` returns."""
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
    record |= {"keep_distinct": True} if arguments.keep_distinct else {}
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
        what = "the gold query reads the clock or random numbers, so that the verdict depends on when it is run"
        print(f"question {', '.join(chance)}: {what}")


if __name__ == "__main__":
    run_script(main)
