"""The output of eval/score.py: scores, misses, samples, doubtful verdicts; and the page of misses that it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table

from kid.config.trained import form_words
from kid.console import Console
from kid.data.questions import Question
from kid.evaluation.execution import ENDED_FROM_OUTSIDE
from kid.evaluation.execution_accuracy import Verdict, gold_failures
from kid.evaluation.provenance import FORM_KEY
from kid.evaluation.worker import DAMAGED
from kid.report.score_tables import noise_line, score_tables
from kid.report.text import code_block, escape_markdown, markdown_table

EXAMPLES = 3  # number for each class of misses
# Part of an error that may not be the prediction's fault -> what to do.
DOUBTFUL = {DAMAGED: "repair the file", ENDED_FROM_OUTSIDE: "score again with fewer --workers"}


def print_table(title: str, header: list[str], rows: list[list[str]], left: int) -> None:
    """Print a table with its first `left` columns left-aligned."""
    table = Table(title=title, title_justify="left")
    for place, name in enumerate(header):
        table.add_column(name, justify="left" if place < left else "right")
    for row in rows:
        table.add_row(*map(str, row))
    Console().print(table)


def show_scores(record: Mapping, ex: Sequence[Verdict], ts: Sequence[Verdict] | None) -> None:
    """Print the scores, also by hardness and database, the misses by class, and the questions whose gold SQL failed."""
    from kid.evaluation.failures import failure_table  # here and below, so that --help does not import sqlglot

    failed, lines, console = gold_failures(ex), record["verdicts"], Console()
    timeouts = sum(verdict.error == "timeout" for verdict in ex)
    errors = sum(verdict.error is not None for verdict in ex) - timeouts - len(failed)
    percents = [f"{value:.2f}" if value is not None else "-" for value in (record["ex"], record["ts"])]
    header = ["benchmark", "split", "n", "EX %", "TS %", "time-outs", "errors", "gold failed"]
    counts = map(str, (timeouts, errors, len(failed)))
    print_table("", header, [[record["benchmark"], record["split"], str(record["n"]), *percents, *counts]], 2)
    if form := record.get(FORM_KEY):
        Console(soft_wrap=True, highlight=False).print(f"predicted with {form_words(form)}", markup=False)
    for table in score_tables(record):
        print_table(*table, 1)
    if line := noise_line(record):
        print(line)
    if any(line["differs"] for line in lines):
        print_table("misses of EX by difference (a miss may count in several classes)", *failure_table(lines), 1)
    on_suite = [verdict for verdict in ts or [] if verdict.error]
    if on_suite:
        of_gold, late = len(gold_failures(on_suite)), sum(verdict.error == "timeout" for verdict in on_suite)
        rest = len(on_suite) - of_gold - late
        print(f"on the test suite: {late} time-outs, {rest} errors, gold SQL failed for {of_gold}")
    for where, verdicts in (("", failed), (" on the test suite", gold_failures(on_suite))):
        for verdict in verdicts:
            text = f"question {verdict.index} (counted as wrong{where}): {verdict.error}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)


def show_samples(samples: dict) -> None:
    """Print the accuracy of samples, one column for each way to use them, and how many did not vote."""
    for kind in ("ex", "ts"):
        if figures := samples[kind]:
            ways = {"greedy": figures["greedy"], "voted": figures["voted"]}
            ways |= {f"pass@{k}": value for k, value in figures["pass_at"].items()} | {"oracle": figures["oracle"]}
            title = f"{kind.upper()} % with {samples['k']} samples per question"
            print_table(title, list(ways), [[f"{value:.2f}" for value in ways.values()]], 0)
    print(
        f"{samples['timeouts'] + samples['errors']} of {samples['k'] * len(samples['verdicts'])} samples did not vote "
        f"({samples['timeouts']} time-outs, {samples['errors']} errors)"
    )
    if samples["without_votes"]:
        print(f"{samples['without_votes']} questions have no sample with a result; their most probable sample is used")
    if samples["without_samples"]:
        print(f"{samples['without_samples']} questions have no samples and count as wrong")


def show_doubtful(verdicts: list[Verdict]) -> None:
    """Print the questions whose predictions count as wrong because of an error that may not be theirs."""
    for sign, what_to_do in DOUBTFUL.items():
        found = list(dict.fromkeys(str(verdict.index) for verdict in verdicts if sign in (verdict.error or "")))
        if found:
            print(f"question {', '.join(found)}: wrong because {sign.split(':')[0].split(';')[0]}; {what_to_do}")


def failures_page(lines: list[dict], questions: list[Question], predictions: list[str]) -> str:
    """Write a Markdown page with the table of misses and examples of each class."""
    from kid.evaluation.failures import failure_examples, failure_table

    page = ["# Misses of EX by difference from the gold query", "", markdown_table(*failure_table(lines)), ""]
    page += ["A miss may count in several classes; the last row counts each miss once.", ""]
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
