"""Classes of wrong predictions, from the verdict and from comparing the prediction's syntax tree with the gold query's.

A prediction with a wrong table and a wrong literal is in two classes, so the counts of the classes do not add up to the
number of misses.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from sqlglot.errors import SqlglotError

from kid.data.questions import Question
from kid.errors import InputError
from kid.evaluation.execution_accuracy import GOLD_FAILED
from kid.sql import hardness
from kid.sql.query_parts import MaskedExpression, QueryBlock, extract_parts, resolve, unify_column_names

# The order of all lists and tables. The first three come from the verdict; at most one of them applies, except that a
# query that timed out may be unparsable too. The others are ordered by importance to a reader.
CLASSES = (
    "does not parse",  # empty, a syntax error, or not parsed by sqlglot (also: too long or too deep)
    "does not run",  # unknown names, misused functions; too much memory or too many rows
    "time-out",
    "tables",  # different tables
    "columns",  # SELECT lists have different columns (or, if nothing else differs, a different order)
    "aggregation",  # SELECT lists differ in aggregates, functions or arithmetic (or only in what COUNT counts)
    "joins",  # tables of both queries are joined on different columns, with a different kind of join, or not at all
    "conditions",  # WHERE, HAVING or ON test something different
    "values",  # the same condition with a different literal, or LIMIT with a different number
    "grouping",
    "ordering",  # ORDER BY, or whether there is a LIMIT
    "set operation",
    "other",  # differences in none of these, such as SELECT DISTINCT
)
SYNTAX_ERRORS = re.compile("syntax error|incomplete input|unrecognized token|empty prediction|is not UTF-8")
PARSE_ERRORS = (InputError, RecursionError, SqlglotError)
HARDNESS_ORDER = (*hardness.LEVELS, "simple", "moderate", "challenging")  # Spider's, then BIRD's


def failure_classes(gold: str, prediction: str, error: str | None) -> list[str]:
    """Find the classes that apply to a wrong prediction.

    Args:
        gold: the gold query; if sqlglot cannot parse it, only the verdict is used.
        prediction: the predicted query.
        error: the verdict's error; the failure of a gold query says nothing about the prediction.

    Returns:
        Names from `CLASSES`, in its order, at least one.
    """
    found = {verdict_class(prediction, error)} - {None}
    try:
        predicted, expected = resolve(prediction), None
        with contextlib.suppress(*PARSE_ERRORS):
            expected = resolve(gold)
        found |= tree_failure_classes(expected, predicted) if expected else set()
    except PARSE_ERRORS:
        found = found - {"does not run"} | {"does not parse"}
    return sorted(found or {"other"}, key=CLASSES.index)


def verdict_class(prediction: str, error: str | None) -> str | None:
    """Return the class that follows from the verdict, or None."""
    if not prediction.strip():
        return "does not parse"
    if error is None or error.startswith(GOLD_FAILED):
        return None
    if error == "timeout":
        return "time-out"
    return "does not parse" if SYNTAX_ERRORS.search(error) else "does not run"


def tree_failure_classes(gold: list[QueryBlock], predicted: list[QueryBlock]) -> set[str]:
    """Find the classes that follow from comparing the syntax trees."""
    shared = unify_column_names(gold, predicted)
    a, b = extract_parts(gold, shared), extract_parts(predicted, shared)
    # SELECT lists of a subquery, or of an arm of a set operation, that only one query has are not compared.
    both = {role for role, count in a.selects.items() if b.selects[role] == count}
    for parts in (a, b):
        parts.columns = Counter({key: count for key, count in parts.columns.items() if key[0] in both})
        parts.aggregation = [item for item in parts.aggregation if item[0][0] in both]
    if not a.ordering:
        # Results are compared in any order then, so ORDER BY only matters with LIMIT.
        b.ordering = {(keys, limited) for keys, limited in b.ordering if limited}
    with_literals = ((a.aggregation, b.aggregation), (a.conditions, b.conditions), (a.limits, b.limits))
    found = {
        "tables": a.tables != b.tables,
        "columns": a.columns != b.columns,
        "aggregation": count_masked(a.aggregation) != count_masked(b.aggregation),
        "joins": a.joins != b.joins,
        "conditions": count_masked(a.conditions) != count_masked(b.conditions),
        "values": any(literals_differ(*pair) for pair in with_literals),
        "grouping": a.grouping != b.grouping,
        "ordering": a.ordering != b.ordering,
        "set operation": a.set_operations != b.set_operations,
    }
    if not any(found.values()) and a.selected != b.selected:  # a different order, or what COUNT counts
        reordered = list(map(sorted, a.selected)) == list(map(sorted, b.selected))
        found["columns" if reordered else "aggregation"] = True
    return {name for name, differs in found.items() if differs}


def count_masked(items: Iterable[MaskedExpression]) -> Counter:
    return Counter(masked for masked, _ in items)


def literals_differ(gold: Iterable[MaskedExpression], predicted: Iterable[MaskedExpression]) -> bool:
    """Whether expressions of both queries differ only in literals; an expression missing in one does not count."""
    missing, extra = Counter(gold) - Counter(predicted), Counter(predicted) - Counter(gold)
    return not count_masked(missing).keys().isdisjoint(count_masked(extra))


def hardness_levels(verdicts: Sequence[dict]) -> list[str]:
    """List the hardness levels that occur: known ones from easy to hard, then the file's own in alphabetical order."""
    present = {verdict["hardness"] for verdict in verdicts} - {None}
    return [level for level in HARDNESS_ORDER if level in present] + sorted(present - set(HARDNESS_ORDER))


def failure_table(verdicts: Sequence[dict]) -> tuple[list[str], list[list]]:
    """Count misses (EX) by class and hardness.

    Args:
        verdicts: of a score JSON; `differs` has the classes of a wrong prediction.

    Returns:
        header: "class", the hardness levels that occur, "all".
        rows: one per class, in the order of `CLASSES`, and a last row "misses" that counts each miss once.
    """
    levels = hardness_levels(verdicts)
    misses = [verdict for verdict in verdicts if not verdict["ex"]]

    def row(name: str, members: list[dict]) -> list:
        return [name, *(sum(v["hardness"] == level for v in members) for level in levels), len(members)]

    rows = [row(name, [verdict for verdict in misses if name in verdict["differs"]]) for name in CLASSES]
    return ["class", *levels, "all"], [*rows, row("misses", misses)]


def failure_examples(
    verdicts: Sequence[dict], questions: Sequence[Question], predictions: Sequence[str], per_class: int
) -> list[dict]:
    """Choose example misses of each class, those with the fewest other classes first; each is shown at most once.

    Args:
        verdicts: n verdicts of a score JSON.
        questions: n, in the same order.
        predictions: n, in the same order.
        per_class: maximum number of examples per class.

    Returns:
        Dictionaries with class, index, question, db_id, gold, prediction, error, in the order of `CLASSES`.

    Raises:
        InputError: the three sequences differ in length.
    """
    if not len(verdicts) == len(questions) == len(predictions):
        raise InputError(
            f"{len(verdicts)} verdicts do not match {len(questions)} questions and {len(predictions)} predictions; "
            "score the predictions again"
        )
    misses = [triple for triple in zip(verdicts, questions, predictions, strict=True) if not triple[0]["ex"]]
    misses.sort(key=lambda triple: len(triple[0]["differs"]))
    examples, shown = [], set()
    for name in CLASSES:
        showing = [miss for miss in misses if name in miss[0]["differs"] and miss[0]["index"] not in shown]
        for verdict, question, prediction in showing[:per_class]:
            shown.add(verdict["index"])
            examples.append(
                {
                    "class": name,
                    "index": verdict["index"],
                    "question": question.question,
                    "db_id": question.db_id,
                    "gold": question.query,
                    "prediction": prediction,
                    "error": verdict["error"],
                }
            )
    return examples
