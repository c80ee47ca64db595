"""What is wrong with a wrong prediction: classes read from its tree beside the gold query's, and from its verdict.

A prediction with one wrong table and one wrong literal is in two classes: each says how many misses show it, and they
do not add up to the number of misses.
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
from kid.sql.query_parts import Item, QueryBlock, give_common_names, resolve, take_apart

# In the order of every list and table. The first three come from the verdict, and of these one applies at most, except
# that a query which ran into the time limit may be unreadable too. Then what a person would say first comes first.
CLASSES = (
    "does not parse",  # empty, a syntax error, or nothing that sqlglot reads (also: too long or too deep)
    "does not run",  # unknown names, misused functions; too much memory or too many rows
    "time-out",
    "tables",  # other tables
    "columns",  # SELECT lists have other columns (or, if nothing else differs, another order of them)
    "aggregation",  # SELECT lists have other aggregates, functions or arithmetic (or, alone, COUNT of something else)
    "joins",  # tables of both queries are joined on other columns, in another way, or not at all
    "conditions",  # WHERE, HAVING or ON test something else
    "values",  # the same condition, but another literal; LIMIT another number
    "grouping",
    "ordering",  # ORDER BY, or whether there is a LIMIT
    "set operation",
    "other",  # what none of these shows, such as SELECT DISTINCT
)
SYNTAX_ERRORS = re.compile("syntax error|incomplete input|unrecognized token|empty prediction")
UNREADABLE = (InputError, RecursionError, SqlglotError)
HARDNESS = (*hardness.LEVELS, "simple", "moderate", "challenging")  # Spider's, then BIRD's


def differences(gold: str, prediction: str, error: str | None) -> list[str]:
    """The classes that apply to a wrong prediction.

    Args:
        gold: the gold query; if sqlglot cannot read it, only the verdict tells.
        prediction: the predicted query.
        error: the verdict's error; that of a gold query which failed says nothing about the prediction.

    Returns:
        Names out of `CLASSES`, in its order, at least one.
    """
    found = {failure(prediction, error)} - {None}
    try:
        predicted, expected = resolve(prediction), None
        with contextlib.suppress(*UNREADABLE):
            expected = resolve(gold)
        found |= tree_differences(expected, predicted) if expected else set()
    except UNREADABLE:
        found = found - {"does not run"} | {"does not parse"}
    return sorted(found or {"other"}, key=CLASSES.index)


def failure(prediction: str, error: str | None) -> str | None:
    """The class that the verdict gives, if any."""
    if not prediction.strip():
        return "does not parse"
    if error is None or error.startswith(GOLD_FAILED):
        return None
    if error == "timeout":
        return "time-out"
    return "does not parse" if SYNTAX_ERRORS.search(error) else "does not run"


def tree_differences(gold: list[QueryBlock], predicted: list[QueryBlock]) -> set[str]:
    """The classes that the trees show."""
    shared = give_common_names(gold, predicted)
    a, b = take_apart(gold, shared), take_apart(predicted, shared)
    # A subquery or an arm of a set operation that only one query has is not a matter of its SELECT list.
    both = {role for role, count in a.selects.items() if b.selects[role] == count}
    for parts in (a, b):
        parts.columns = Counter({key: count for key, count in parts.columns.items() if key[0] in both})
        parts.aggregation = [item for item in parts.aggregation if item[0][0] in both]
    if not a.ordering:
        # Rows then count in any order; only a LIMIT makes an ORDER BY matter.
        b.ordering = {(keys, limited) for keys, limited in b.ordering if limited}
    with_literals = ((a.aggregation, b.aggregation), (a.conditions, b.conditions), (a.limits, b.limits))
    found = {
        "tables": a.tables != b.tables,
        "columns": a.columns != b.columns,
        "aggregation": heads(a.aggregation) != heads(b.aggregation),
        "joins": a.joins != b.joins,
        "conditions": heads(a.conditions) != heads(b.conditions),
        "values": any(other_literals(*pair) for pair in with_literals),
        "grouping": a.grouping != b.grouping,
        "ordering": a.ordering != b.ordering,
        "set operation": a.set_operations != b.set_operations,
    }
    if not any(found.values()) and a.selected != b.selected:  # another order, or what a COUNT counts
        reordered = list(map(sorted, a.selected)) == list(map(sorted, b.selected))
        found["columns" if reordered else "aggregation"] = True
    return {name for name, differs in found.items() if differs}


def heads(items: Iterable[Item]) -> Counter:
    return Counter(head for head, _ in items)


def other_literals(gold: list[Item], predicted: list[Item]) -> bool:
    """Whether items that are the same but for their literals have other ones; a missing item is no such case."""
    missing, extra = Counter(gold) - Counter(predicted), Counter(predicted) - Counter(gold)
    return not heads(missing).keys().isdisjoint(heads(extra))


def levels_of(verdicts: Sequence[dict]) -> list[str]:
    """The levels of hardness that occur, the known ones from easy to hard, then a file's own words by alphabet."""
    present = {verdict["hardness"] for verdict in verdicts} - {None}
    return [level for level in HARDNESS if level in present] + sorted(present - set(HARDNESS))


def failure_table(verdicts: Sequence[dict]) -> tuple[list[str], list[list]]:
    """Counts of misses (EX) by class and hardness.

    Args:
        verdicts: of a score JSON; `differs` holds the classes of a wrong one.

    Returns:
        header: "class", the levels of hardness that occur, "all".
        rows: one a class, in the order of `CLASSES`, and last "misses", in which each counts once.
    """
    levels = levels_of(verdicts)
    misses = [verdict for verdict in verdicts if not verdict["ex"]]

    def row(name: str, members: list[dict]) -> list:
        return [name, *(sum(v["hardness"] == level for v in members) for level in levels), len(members)]

    rows = [row(name, [verdict for verdict in misses if name in verdict["differs"]]) for name in CLASSES]
    return ["class", *levels, "all"], [*rows, row("misses", misses)]


def failure_examples(
    verdicts: Sequence[dict], questions: Sequence[Question], predictions: Sequence[str], per_class: int
) -> list[dict]:
    """Misses that show each class, those with the fewest other classes first, each miss at most once.

    Args:
        verdicts: n of them, of a score JSON.
        questions: n, in the same order.
        predictions: n.
        per_class: examples of a class, at most.

    Returns:
        Dictionaries with class, index, question, db_id, gold, prediction, error, in the order of `CLASSES`.

    Raises:
        InputError: the three are not of one length.
    """
    if not len(verdicts) == len(questions) == len(predictions):
        raise InputError(
            f"{len(verdicts)} verdicts, {len(questions)} questions and {len(predictions)} predictions do not belong "
            "together; score the predictions again"
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
