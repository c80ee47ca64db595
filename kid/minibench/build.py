"""Build the embedded benchmark in Spider's layout: databases, tables.json, and the questions of every split."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from kid.errors import InputError
from kid.minibench.label_errors import draw_wrong_label
from kid.minibench.patterns import PATTERNS, Pattern, pattern_turns
from kid.minibench.questions import Database, DrawnQuestion, draw_question
from kid.minibench.schemas import (
    SQL_TYPES,
    Rows,
    Schema,
    draw_rows,
    draw_schema,
    fill,
    tables_json_entry,
    write_database,
)
from kid.minibench.styles import STYLES, in_style
from kid.sql.comparison import Row, results_equal

# The mix of labels that every student is trained on. It was fixed before any student was trained.
LABELS, LABEL_ERRORS = 1000, 0.2  # number of labelled training questions, and the share of them with a wrong label
STYLE_SHARE = 0.35  # share of `STYLES` that an annotator uses; each database has one annotator
REFILLS = 3  # copies of a database with other rows: results must change under a wrong label, but not under a style

TRAIN_DATABASES, VALID_DATABASES, DEV_DATABASES = 125, 40, 100
SEEN_PER_DATABASE = 4  # new questions on a training database
VALID_PER_DATABASE, DEV_PER_DATABASE = 10, 10
LIKE_QUESTIONS = 3  # extra questions of the same pattern whose SQL may become a question's wrong label
QUERY_STEPS = 200_000  # limit of SQLite's virtual machine; a wrong join key can produce huge products


@dataclass
class Drawn:
    """A database, copies of it with other rows, and the styles of its annotator."""

    database: Database
    refilled: list[sqlite3.Connection]
    styles: list[str]

    def rows(self, query: str) -> list[list[Row]] | None:
        """The rows of a query on the database and on its refilled copies; None if the query fails on one of them."""
        try:
            return [connection.execute(query).fetchall() for connection in (self.database.connection, *self.refilled)]
        except sqlite3.Error:
            return None

    def in_style(self, query: str) -> str:
        """The query in the style of this database's annotator; unchanged if the style would change a result."""
        styled = in_style(query, self.styles)
        if styled == query:
            return query
        before, after = self.rows(query), self.rows(styled)
        ordered = "order by" in query.lower()
        same = after and all(results_equal(a, b, ordered) for a, b in zip(before, after, strict=True))
        return styled if same else query

    def wrong_label(self, query: str, others: Sequence[str], rng: random.Random) -> tuple[str, str] | None:
        """(wrong query, kind) to replace a gold query; see `label_errors.draw_wrong_label`."""
        schema = {
            table.name: {column.name: SQL_TYPES.get(column.kind, "INTEGER") for column in table.columns}
            for table in self.database.schema.values()
        }
        return draw_wrong_label(query, schema, others, self.rows, rng)


def filled(schema: Schema, rows: Rows) -> sqlite3.Connection:
    """An in-memory database, on which queries that take too long fail."""
    connection = sqlite3.connect(":memory:")
    fill(connection, schema, rows)
    connection.set_progress_handler(lambda: 1, QUERY_STEPS)
    return connection


def draw_database(db_id: str, rng: random.Random, stack: ExitStack, refills: int = REFILLS) -> Drawn:
    """Draw a database with its refilled copies and styles; `stack` closes the connections."""
    schema = draw_schema(rng)
    rows = draw_rows(schema, rng)
    first, *refilled = [
        stack.enter_context(closing(filled(schema, filling)))
        for filling in (rows, *(draw_rows(schema, rng) for _ in range(refills)))
    ]
    name = "_".join([*list(schema)[:2], db_id])
    styles = [style for style in STYLES if rng.random() < STYLE_SHARE]
    return Drawn(Database(name, schema, rows, first), refilled, styles)


def draw_questions(
    count: int, schedule: Iterator[Pattern], database: Database, rng: random.Random, avoid: Sequence[str] = ()
) -> list[DrawnQuestion]:
    """Draw `count` questions with different gold queries on a database, cycling through the patterns.

    Args:
        schedule: an endless sequence of patterns. A pattern that yields no new question on this database is skipped.
        avoid: gold queries of another split.
    """
    drawn: list[DrawnQuestion] = []
    queries = set(avoid)
    while len(drawn) < count:
        question = draw_question(next(schedule), database, rng)
        if question and question.query not in queries:
            drawn.append(question)
            queries.add(question.query)
    return drawn


def label_questions(
    drawn: Sequence[tuple[Drawn, list[DrawnQuestion]]], rate: float, rng: random.Random
) -> tuple[list[list[str]], list[dict]]:
    """Label the training questions in the annotator's style, a share `rate` of them wrongly.

    Returns:
        The labels by database, and for each wrong one its index among all labels, its kind and the gold query.
    """
    places = [(number, place) for number, (_, questions) in enumerate(drawn) for place in range(len(questions))]
    labels = [[database.in_style(question.query) for question in questions] for database, questions in drawn]
    target = round(rate * len(places))
    wrong: list[dict] = []
    for index in rng.sample(range(len(places)), len(places)):
        if len(wrong) == target:
            break
        number, place = places[index]
        database, questions = drawn[number]
        gold, pattern = questions[place].query, questions[place].pattern
        like = [draw_question(pattern, database.database, rng) for _ in range(LIKE_QUESTIONS)]
        others = [question.query for question in (*questions, *filter(None, like))]
        found = database.wrong_label(gold, others, rng)
        if found:
            labels[number][place] = database.in_style(found[0])
            wrong.append({"index": index, "kind": found[1], "gold": gold})
    return labels, sorted(wrong, key=lambda label: label["index"])


def write_json(path: Path, items: list[dict] | dict) -> None:
    """Write JSON in Spider's layout: indented, one key per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(items, indent=1) + "\n", encoding="utf-8")


def item(database: Database, question: DrawnQuestion, rng: random.Random, wording: str = "plain") -> dict[str, str]:
    """A question in Spider's format."""
    return {"db_id": database.db_id, "query": question.query, "question": question.text(wording, rng)}


def build_minibench(
    output: Path,
    seed: int = 0,
    labels: int = LABELS,
    label_errors: float = LABEL_ERRORS,
    train_databases: int = TRAIN_DATABASES,
    patterns: Sequence[Pattern] = PATTERNS,
) -> dict:
    """Write the benchmark. The same arguments give the same JSON bytes and the same rows.

    Splits: `train` (with annotators' styles and errors), `seen` (new questions on the training databases), `valid` and
    `dev` (on other databases), `syn` (dev's questions with synonyms of the schema's names) and `realistic` (dev's
    questions without column names). All except `train` are free of label errors. `labels.json` lists the wrong training
    labels and their kinds.

    Args:
        output: folder to write; new or empty.
        seed: random seed. valid and dev depend on no other argument.
        labels: number of training questions.
        label_errors: share of them with a wrong label.
        train_databases: number of training databases.
        patterns: kinds of question in `train`.

    Returns:
        `databases`, `questions`: counts by split; `patterns`: by split, the number of questions per pattern.

    Raises:
        InputError: `output` is not empty or not a folder, or an argument is out of range.
    """
    output = Path(output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output} exists and is not an empty folder; give another one with --output")
    if not 0 <= label_errors < 1 or labels < train_databases or train_databases < 1:
        raise InputError(
            f"{labels} labels on {train_databases} databases with {label_errors:g} wrong: give at least one label per "
            "database, and a share of at least 0 and below 1"
        )
    counts: dict[str, Counter] = {}
    entries: list[dict] = []

    def draw_split(
        split: str, databases: int, per_database: Sequence[tuple[str, int, Sequence[Pattern]]], stack: ExitStack
    ) -> list[tuple[Drawn, list[list[DrawnQuestion]]]]:
        """Draw databases and, on each, the questions of one or more splits in order."""
        schedules = []
        for name, _, kinds in per_database:
            turns = pattern_turns(kinds)
            schedules.append(cycle(random.Random(f"{seed}/{name}").sample(turns, len(turns))))
            counts[name] = Counter()
        found = []
        for number in range(databases):
            rng = random.Random(f"{seed}/{split}/{number}")
            drawn = draw_database(f"{split}{number}", rng, stack)
            write_database(
                output / "database" / drawn.database.db_id / f"{drawn.database.db_id}.sqlite",
                drawn.database.schema,
                drawn.database.rows,
            )
            entries.append(tables_json_entry(drawn.database.db_id, drawn.database.schema))
            groups: list[list[DrawnQuestion]] = []
            for schedule, (name, total, _) in zip(schedules, per_database, strict=True):
                count = total // databases + (number < total % databases)
                avoid = [question.query for group in groups for question in group]
                groups.append(draw_questions(count, schedule, drawn.database, rng, avoid))
                counts[name].update(question.pattern.name for question in groups[-1])
            found.append((drawn, groups))
        return found

    with ExitStack() as stack:
        seen = ("seen", SEEN_PER_DATABASE * train_databases, PATTERNS)
        train = draw_split("train", train_databases, [seen, ("train", labels, patterns)], stack)
        pairs = [(drawn, groups[1]) for drawn, groups in train]
        labelled, wrong = label_questions(pairs, label_errors, random.Random(f"{seed}/labels"))
        rng = random.Random(f"{seed}/words")
        items = [
            {**item(drawn.database, question, rng), "query": label}
            for (drawn, groups), found in zip(train, labelled, strict=True)
            for question, label in zip(groups[1], found, strict=True)
        ]
        write_json(output / "train_spider.json", items)
        write_json(
            output / "labels.json",
            {"wrong": wrong, "styles": {drawn.database.db_id: drawn.styles for drawn, _ in train}},
        )
        write_json(output / "seen.json", [item(d.database, q, rng) for d, groups in train for q in groups[0]])
    for split, databases, per_database in (
        ("valid", VALID_DATABASES, VALID_PER_DATABASE),
        ("dev", DEV_DATABASES, DEV_PER_DATABASE),
    ):
        with ExitStack() as stack:
            drawn = draw_split(split, databases, [(split, databases * per_database, PATTERNS)], stack)
            asked = [(found.database, question) for found, groups in drawn for question in groups[0]]
            rng = random.Random(f"{seed}/{split}/words")
            write_json(output / f"{split}.json", [item(database, question, rng) for database, question in asked])
            if split == "dev":
                items = [item(database, question, rng, "implied") for database, question in asked]
                write_json(output / "spider_realistic" / "spider-realistic.json", items)
                items = [item(database, question, rng, "synonym") for database, question in asked]
                renamed = [{**one, "SpiderSynQuestion": one.pop("question")} for one in items]
                write_json(output / "spider_syn" / "dev.json", renamed)
    write_json(output / "tables.json", entries)
    return {
        "databases": {
            "train": train_databases,
            "seen": train_databases,
            "valid": VALID_DATABASES,
            "dev": DEV_DATABASES,
        },
        "questions": {split: sum(count.values()) for split, count in counts.items()},
        "patterns": {
            split: {pattern.name: count[pattern.name] for pattern in PATTERNS} for split, count in counts.items()
        },
    }
