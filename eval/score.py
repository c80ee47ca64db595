"""Score predictions: execution accuracy (EX), test-suite accuracy (TS), BIRD's metrics, and what differs in misses."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path

from cli import add_question_flags
from rich.table import Table

from kid.console import Console
from kid.data.database import check_not_in_use
from kid.data.exclusion import exclusion_remark, read_exclusion
from kid.data.faults import Damage
from kid.data.questions import Question, check_gold_sql, find_databases, load_questions
from kid.errors import InputError, OneLineParser, run_script
from kid.evaluation.bird_metrics import METRICS, metric_lines
from kid.evaluation.execution import ENDED_FROM_OUTSIDE, default_workers
from kid.evaluation.execution_accuracy import (
    GOLD_TIMES,
    LESS_PATIENT_SHARE,
    PATIENT_TIMEOUTS,
    Verdict,
    comparison_rule,
    gold_failures,
    score_predictions,
    worst_case_seconds,
)
from kid.evaluation.failures import failure_examples, failure_table
from kid.evaluation.gold_cache import depends_on_chance
from kid.evaluation.predictions_file import read_predictions
from kid.evaluation.sample_scores import load_samples, score_samples
from kid.evaluation.samples_file import SampledQuery
from kid.evaluation.scores import find_suites, recorded_evidence, score_record, with_faults
from kid.evaluation.voting import majority_votes
from kid.evaluation.worker import DAMAGED, Limits
from kid.files import check_writable, write_atomically
from kid.report.score_tables import noise_line, score_tables
from kid.report.text import code_block, escape_markdown, markdown_table

EXAMPLES = 3  # of each class of misses
LONG_SECONDS = 3600  # a run that may take longer says so first
# What an error may hold that is not the prediction's own fault -> what to do.
DOUBTFUL = {DAMAGED: "mend the file", ENDED_FROM_OUTSIDE: "score again with fewer --workers"}
console = Console()
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
    parser.add_argument("--evidence", choices=("yes", "no"), help=evidence_help)
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
    failures_help = f"write the misses by class and hardness, and {EXAMPLES} examples of each class, to this file"
    parser.add_argument("--failures", metavar="F.md", type=Path, help=failures_help)
    arguments = parser.parse_args()
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


def print_table(title: str, header: list[str], rows: list[list[str]], left: int) -> None:
    """A table on the terminal with its first `left` columns to the left."""
    table = Table(title=title, title_justify="left")
    for place, name in enumerate(header):
        table.add_column(name, justify="left" if place < left else "right")
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)


def show(record: dict, ex: list[Verdict], ts: list[Verdict] | None) -> None:
    """Print the figures, also by hardness and database, the misses by class, and the questions whose gold failed."""
    failed, lines = gold_failures(ex), record["verdicts"]
    timeouts = sum(verdict.error == "timeout" for verdict in ex)
    errors = sum(verdict.error is not None for verdict in ex) - timeouts - len(failed)
    percents = [f"{value:.2f}" if value is not None else "-" for value in (record["ex"], record["ts"])]
    header = ["benchmark", "split", "n", "EX %", "TS %", "time-outs", "errors", "gold failed"]
    counts = map(str, (timeouts, errors, len(failed)))
    print_table("", header, [[record["benchmark"], record["split"], str(record["n"]), *percents, *counts]], 2)
    for table in score_tables(record):
        print_table(*table, 1)
    if line := noise_line(record):
        print(line)
    if any(line["differs"] for line in lines):
        print_table("misses of EX by what differs (one may count in several classes)", *failure_table(lines), 1)
    on_suite = [verdict for verdict in ts or [] if verdict.error]
    if on_suite:
        of_gold, late = len(gold_failures(on_suite)), sum(verdict.error == "timeout" for verdict in on_suite)
        rest = len(on_suite) - of_gold - late
        print(f"on the test suite: {late} time-outs, {rest} errors, {of_gold} gold failed")
    for where, verdicts in (("", failed), (" on the test suite", gold_failures(on_suite))):
        for verdict in verdicts:
            text = f"question {verdict.index} (counted as wrong{where}): {verdict.error}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)


def vote_and_score(
    arguments: argparse.Namespace,
    limits: Limits,
    questions: list[Question],
    samples: list[list[SampledQuery]],
    predictions: list[str],
    ex: list[Verdict],
    ts: dict[int, Verdict] | None,
    files: dict[str, list[Path]],
    suites: dict[str, list[Path]] | None,
) -> tuple[dict, list[Verdict]]:
    """Hold the vote, then score every sample: what `score_samples` returns."""
    how = {"workers": arguments.workers, "limits": limits, "benchmark": arguments.benchmark}
    how["keep_distinct"] = arguments.keep_distinct
    voters = {place: own for place, own in enumerate(samples) if own and not questions[place].fault}
    votes = majority_votes(voters, {place: files[questions[place].db_id][0] for place in voters}, **how)
    score = partial(score_predictions, **how)
    return score_samples(questions, samples, votes, predictions, ex, ts, files, suites, score)


def show_samples(samples: dict) -> None:
    """Print what samples are worth, each way in a column of its own, and what did not vote."""
    for kind in ("ex", "ts"):
        if figures := samples[kind]:
            ways = {"greedy": figures["greedy"], "voted": figures["voted"]}
            ways |= {f"pass@{k}": value for k, value in figures["pass_at"].items()} | {"oracle": figures["oracle"]}
            title = f"{kind.upper()} % with {samples['k']} samples a question"
            print_table(title, list(ways), [[f"{value:.2f}" for value in ways.values()]], 0)
    print(
        f"of {samples['k'] * len(samples['verdicts'])} samples {samples['timeouts'] + samples['errors']} did not vote "
        f"({samples['timeouts']} time-outs, {samples['errors']} errors)"
    )
    if samples["without_votes"]:
        print(f"{samples['without_votes']} questions have no sample that gives a result: the most probable is taken")
    if samples["without_samples"]:
        print(f"{samples['without_samples']} questions have no samples and count as wrong")


def show_doubtful(verdicts: list[Verdict]) -> None:
    """Name the predictions that count as wrong by an error that need not be theirs."""
    for sign, what_to_do in DOUBTFUL.items():
        found = list(dict.fromkeys(str(verdict.index) for verdict in verdicts if sign in (verdict.error or "")))
        if found:
            print(f"question {', '.join(found)}: wrong because {sign.split(':')[0].split(';')[0]}; {what_to_do}")


def show_worst_case(questions: list[Question], databases: list[dict], limits: Limits, workers: int) -> None:
    """Say first how long scoring may take, if that is long. `databases`: the files of each db_id, for EX and for TS."""
    cases = [worst_case_seconds(questions, files, limits.seconds, workers) for files in databases]
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


def failures_page(lines: list[dict], questions: list[Question], predictions: list[str]) -> str:
    """Markdown: the table of misses, and examples of each class."""
    page = ["# Misses of EX by what differs from the gold query", "", markdown_table(*failure_table(lines)), ""]
    page += ["A miss may count in several classes; the row of totals counts each once.", ""]
    shown = None
    for example in failure_examples(lines, questions, predictions, EXAMPLES):
        if example["class"] != shown:
            shown = example["class"]
            page += [f"## {shown}", ""]
        question, db_id = escape_markdown(example["question"]), escape_markdown(example["db_id"])
        page += [f"**{question}** ({db_id}, question {example['index']})", ""]
        page += [code_block(f"gold       {example['gold']}\nprediction {example['prediction']}", "sql"), ""]
        page += [f"Error: {escape_markdown(example['error'])}", ""] if example["error"] else []
    return "\n".join(page)


def main() -> None:
    arguments = parse_arguments()
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
    read = read_predictions(arguments.predictions, len(questions), [question.db_id for question in questions])
    samples = load_samples(arguments.predictions, len(questions)) if arguments.vote else []
    left_out = read_exclusion(arguments.exclude, benchmark, split, questions) if arguments.exclude else {}
    places = [place for place, question in enumerate(questions) if question.index not in left_out]
    questions, read = [questions[place] for place in places], read.of(places)
    samples = [samples[place] for place in places] if samples else []
    predictions = read.queries
    for flag in ("json", "failures"):
        if path := getattr(arguments, flag):
            prepare_file(path, f"--{flag}")
    limits = Limits(seconds=arguments.timeout)
    files = {db_id: [path] for db_id, path in databases.items()}
    if read.faults:
        print(f"warning: {arguments.predictions}: {read.warning()}", file=sys.stderr)
    # Each distinct sample is run once for the vote and once to be scored.
    sampled = [questions[place] for place, own in enumerate(samples) for _ in {one.sql for one in own}]
    asked = [*questions, *sampled, *sampled]
    show_worst_case(asked, [files, suites] if suites else [files], limits, arguments.workers)
    keep = arguments.keep_distinct
    ex = score_predictions(questions, read.runnable(), files, arguments.workers, limits, benchmark, "EX", keep)
    ex = with_faults(ex, read.faults)
    found, ts, without_suite = None, None, []
    if suites:
        # Whoever is wrong on the database itself is wrong on the suite.
        right = [place for place, verdict in enumerate(ex) if verdict.correct]
        chosen, lines = [questions[place] for place in right], [predictions[place] for place in right]
        found = score_predictions(chosen, lines, suites, arguments.workers, limits, benchmark, "TS", keep)
        ts = {verdict.index: verdict for verdict in found}
        without_suite = sorted(db_id for db_id, files in suites.items() if not files)
        if without_suite:
            print(f"the test suite has no database for {', '.join(without_suite)}: there TS is EX")
    further = None
    if arguments.metrics:
        pairs = questions, read.runnable(), ex, databases
        further = metric_lines(arguments.metrics, *pairs, arguments.workers, limits)
    evidence = arguments.evidence == "yes" if arguments.evidence else recorded_evidence(arguments.predictions)
    record = score_record(benchmark, split, evidence, questions, predictions, ex, ts, further)
    if keep:
        record["keep_distinct"] = True
    if arguments.exclude:
        record["excluded"] = {str(index): kinds for index, kinds in left_out.items()}
        print(exclusion_remark(arguments.exclude, left_out))
    if without_suite:
        record["ts_is_ex"] = without_suite
    of_samples: list[Verdict] = []
    if arguments.vote:
        record["samples"], of_samples = vote_and_score(
            arguments, limits, questions, samples, read.runnable(), ex, ts, files, suites
        )
    if arguments.failures:
        write_atomically(arguments.failures, failures_page(record["verdicts"], questions, predictions))
    if arguments.json:
        write_atomically(arguments.json, json.dumps(record, indent=1) + "\n")
    show(record, ex, found)
    if arguments.vote:
        show_samples(record["samples"])
    show_doubtful([*ex, *(found or []), *of_samples])
    chance = [str(question.index) for question in questions if not question.fault and depends_on_chance(question.query)]
    if chance:
        what = "the gold query reads the clock or random numbers, so that the verdict depends on when it is run"
        print(f"question {', '.join(chance)}: {what}")


if __name__ == "__main__":
    run_script(main)
