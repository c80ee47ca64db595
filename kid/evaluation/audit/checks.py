"""The checks of an audit as a table: what each finds, what that means, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from rapidfuzz import fuzz, process

from kid.data.annotation import question_with_evidence
from kid.data.questions import Question
from kid.data.schema import Schema
from kid.data.schema_filter import MIN_SIMILARITY, split_words
from kid.data.words import fold, stem
from kid.evaluation.audit import kinds
from kid.evaluation.audit.material import TRAIN, Material
from kid.evaluation.audit.observations import Observation
from kid.evaluation.gold_cache import depends_on_chance

QUOTED = re.compile(r"""['"]([^'"]*)['"]""")
# If more questions of a split than both share no word with their schema, they are in another language than its names,
# or in other words, and a finding for each would say the same.
SINGLE_QUESTIONS, SINGLE_SHARE = 20, 0.05


@dataclass(frozen=True)
class Finding:
    """One finding: its check, where it is, and what was found.

    split, index: None if it is about a database or a file; index: None if it is about a whole split.
    db_id: "" if it is about a file or a whole split.
    """

    kind: str
    split: str | None
    index: int | None
    db_id: str
    detail: str


@dataclass(frozen=True)
class Check:
    """One check; its kind is in `kid.evaluation.audit.kinds`.

    meaning: what a finding means.
    advice: what to do about it.
    find: returns all findings of this kind.
    needs: what the check requires: "rows" of gold queries, hence databases; "train", to compare with; "all splits";
        "databases"; "files". The last three are not about the questions of a split.
    """

    meaning: str
    advice: str
    find: Callable[[Material, str], Iterator[Finding]]
    needs: str = ""

    @property
    def counted_once(self) -> bool:
        """Whether there is a number for all splits together instead of one for each."""
        return self.needs in ("all splits", "databases", "files")


def each_question(
    says: Callable[[Material, Question, Observation | None], str | None], material: Material, kind: str
) -> Iterator[Finding]:
    """Yield a finding for each question for which `says` returns a fault."""
    for split, questions in material.splits.items():
        for question in questions:
            if detail := says(material, question, material.observation(question)):
                yield Finding(kind, split, question.index, question.db_id, detail)


def failure(material: Material, question: Question, seen: Observation | None) -> str | None:
    if seen is None or seen.error in (None, "timeout"):
        return None
    return seen.error if seen.executed else f"{seen.error} (compiled on empty tables, because the database is missing)"


def slowness(material: Material, question: Question, seen: Observation | None) -> str | None:
    return f"takes more than {material.seconds:g} s" if seen and seen.error == "timeout" else None


def emptiness(material: Material, question: Question, seen: Observation | None) -> str | None:
    if seen is None or not (seen.rows == 0 or seen.only_null):
        return None
    return "returns nothing but NULL" if seen.only_null else "returns no rows"


def clock(material: Material, question: Question, seen: Observation | None) -> str | None:
    reads = not question.fault and not question.prompt and depends_on_chance(question.query)
    return "uses the clock or random numbers" if reads else None


def choice(kind: str, detail: str) -> Callable[[Material, str], Iterator[Finding]]:
    """Create the check for a kind of chance that `kid.evaluation.audit.observations` tests by running queries."""
    return partial(each_question, lambda material, question, seen: detail if seen and kind in seen.choices else None)


def duplicate(material: Material, kind: str) -> Iterator[Finding]:
    """Yield what the other splits have in common with train."""
    for split, pairs in material.duplicates.items():
        for found in pairs:
            if found.kind == kind:
                same = found.question.db_id == found.other.db_id
                where = "the same database" if same else f"database {found.other.db_id}"
                how = f" (similarity {found.similarity} of 100)" if kind == kinds.NEAR_QUESTION else ""
                detail = f"like {TRAIN} {found.other.index} on {where}{how}"
                yield Finding(kind, split, found.question.index, found.question.db_id, detail)


def content_words(text: str) -> set[str]:
    """Return the words of a name or question to compare: singular, with more than one letter, no numbers."""
    return {stem(word) for word in split_words(text) if len(word) > 1 and not word.isdigit()}


def schema_words(schema: Schema) -> tuple[list[str], list[str]]:
    """Return (words of a schema's names and comments, its names that are not ASCII, which may have no blanks)."""
    texts = [text for table in schema.tables for text in (table.name, *(c.name for c in table.columns))]
    texts += [column.comment for table in schema.tables for column in table.columns]
    return sorted(set().union(*map(content_words, texts))), sorted(
        {fold(text).casefold() for text in texts if not text.isascii()}
    )


def without_schema_words(material: Material, kind: str) -> Iterator[Finding]:
    words = {db_id: schema_words(schema) for db_id, schema in material.schemas.items()}

    def says(_: Material, question: Question, __: Observation | None) -> str | None:
        if question.fault or question.db_id not in words or question.db_id in material.unread:
            return None
        text, (names, unspaced) = question_with_evidence(question, True), words[question.db_id]
        # A question may ask for values only: "How many parrots are there?"
        own, names = content_words(text), [*names, *content_words(" ".join(QUOTED.findall(question.query)))]
        shared = not own.isdisjoint(names) or any(name in fold(text).casefold() for name in unspaced)
        if shared or process.cdist(list(own), names, scorer=fuzz.ratio, score_cutoff=MIN_SIMILARITY).any():
            return None
        return "shares no word with the schema"

    by_split: dict[str, list[Finding]] = {}
    for finding in each_question(says, material, kind):
        by_split.setdefault(finding.split, []).append(finding)
    for split, found in by_split.items():
        total = len(material.splits[split])
        if len(found) > max(SINGLE_QUESTIONS, SINGLE_SHARE * total):
            detail = f"{len(found)} of {total} questions share no word with their schema; such as question "
            yield Finding(kind, split, None, "", detail + f"{found[0].index} ({found[0].db_id})")
        else:
            yield from found


def unused_databases(material: Material, kind: str) -> Iterator[Finding]:
    used = {question.db_id for questions in material.splits.values() for question in questions}
    for db_id in sorted(material.known - used) if material.complete else ():
        yield Finding(kind, None, None, db_id, "no question uses it")


def file_faults(material: Material, kind: str) -> Iterator[Finding]:
    for fault in material.faults:
        yield Finding(kind, None, None, "", fault)


def unmatched(material: Material, kind: str) -> Iterator[Finding]:
    for db_id, keys in sorted(material.unmatched.items()):
        for table, column, other, referenced in keys:
            yield Finding(kind, None, None, db_id, f"no value of {table}.{column} is in {other}.{referenced}")


CORRECT, DROP = "correct it or exclude it", "drop one of the two"
DROP_QUESTION = f"if both are on the same database, {DROP}"
CHECKS: dict[str, Check] = {
    "damaged": Check(
        "an item without question, SQL or database name", "correct the file",
        partial(each_question, lambda material, question, seen: question.fault or None),
    ),
    "damaged-file": Check(
        "a line or entry of a file, or a database, cannot be read", "correct it: training and scoring refuse it",
        file_faults, "files",
    ),
    "does-not-run": Check("the gold SQL fails", CORRECT, partial(each_question, failure)),
    "too-slow": Check(
        "the gold SQL runs longer than --timeout", f"{CORRECT}, or raise --timeout",
        partial(each_question, slowness), "rows",
    ),
    "empty": Check(
        "the gold SQL returns no rows or nothing but NULL, like many wrong queries",
        "check the SQL, and whether its tables have rows",
        partial(each_question, emptiness), "rows",
    ),
    kinds.TIES: Check(
        "rows tie at the LIMIT, so chance decides which are returned", "add a sort key, or ask for all that tie",
        choice(kinds.TIES, "rows tie at the LIMIT"), "rows",
    ),
    kinds.TIED_ORDER: Check(
        "rows tie under ORDER BY, so chance decides their order, which the benchmark's rule compares", "add a sort key",
        choice(kinds.TIED_ORDER, "rows tie under ORDER BY"), "rows",
    ),
    kinds.UNORDERED: Check(
        "LIMIT without ORDER BY, so chance decides which rows are returned", "add ORDER BY",
        choice(kinds.UNORDERED, "LIMIT without ORDER BY drops rows"), "rows",
    ),
    kinds.BARE: Check(
        "a column that is neither grouped nor aggregated has several values in a group", "group by it or aggregate it",
        choice(kinds.BARE, "a bare column has several values in a group"), "rows",
    ),
    kinds.NULLS: Check(
        "ORDER BY ... LIMIT returns rows whose key is NULL, which SQLite sorts first", "add IS NOT NULL, or NULLS LAST",
        choice(kinds.NULLS, "rows whose key is NULL come first"), "rows",
    ),
    "clock": Check(
        "the gold SQL uses the clock or random numbers", "write the date as a literal",
        partial(each_question, clock),
    ),
    kinds.SAME_QUESTION: Check("the same words as a training question", DROP_QUESTION, duplicate, TRAIN),
    kinds.NEAR_QUESTION: Check("nearly the same words as a training question", DROP_QUESTION, duplicate, TRAIN),
    kinds.SAME_SQL: Check("the same SQL as a training question on the same database", DROP, duplicate, TRAIN),
    "no-schema-word": Check(
        "the question and its evidence share no word with the schema's names and comments or the gold SQL's values",
        "check db_id, or add plain names in the questions' words and language to tables.json",
        without_schema_words,
    ),
    "unmatched-key": Check(
        "a foreign key has values, but the column that it points at has none of them",
        "check the key in tables.json or in the database: joins by it are empty", unmatched, "databases",
    ),
    "unused-database": Check(
        "no question uses the database", "add a question, or remove it", unused_databases, "all splits",
    ),
}  # fmt: skip


def find_all(material: Material) -> list[Finding]:
    """Return all findings, in the order of the table, the splits and the questions."""
    return [finding for kind, check in CHECKS.items() for finding in check.find(material, kind)]
