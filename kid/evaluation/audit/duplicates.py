"""Find questions and gold queries of one split that also occur in another, exactly or nearly."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from rapidfuzz import fuzz, process

from kid.data.questions import Question
from kid.data.words import fold, stem
from kid.evaluation.audit.kinds import NEAR_QUESTION, SAME_QUESTION, SAME_SQL
from kid.progress import progress_bar

# rapidfuzz's token_sort_ratio, out of 100. Between Spider's train and dev, 95 finds the 7 questions that are equal; 90
# finds eleven more, which ask for different things ("how many continents", "how many counties").
MIN_SIMILARITY = 95
QUESTIONS_PER_CHUNK = 256  # compared with all others at once, in a matrix with one byte per pair
SAME_WORD = 85  # of 100: words as alike as this are one word in two spellings; "male" and "female" are not (80)
WORD = re.compile(r"\w+")
NUMBER = re.compile(r"\d+")
QUOTED = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`""")


class Duplicate(NamedTuple):
    """`question` equals or resembles `other`, a question of the split that it is compared with."""

    kind: str
    question: Question
    other: Question
    similarity: int


def plain(text: str) -> str:
    """Return the words of a text, ignoring case, accents, punctuation and repeated blanks."""
    return " ".join(WORD.findall(fold(text).casefold()))


def question_words(question: Question) -> str:
    """Return a question as `plain` text."""
    return plain(question.question or question.prompt)


class Wording(NamedTuple):
    """What tells a question from others of its template: words, numbers, and the values of its gold SQL."""

    text: str
    words: Counter[str]
    numbers: Counter[str]
    values: frozenset[str]


def wording(question: Question) -> Wording:
    text = question_words(question)
    values = frozenset(map(plain, QUOTED.findall(question.query)))
    return Wording(text, Counter(map(stem, text.split())), Counter(NUMBER.findall(text)), values)


def ask_different_things(one: Wording, other: Wording) -> bool:
    """Whether one of two similar questions has another number, value or word where the other has its own.

    Words that only one of them has ("all", "the") are no difference, nor is another spelling of a word.
    """
    values = one.values | other.values
    if one.numbers != other.numbers or any((value in one.text) != (value in other.text) for value in values):
        return True
    own, others = list((one.words - other.words).elements()), list((other.words - one.words).elements())
    fewer, more = sorted((own, others), key=len)
    return any(max(fuzz.ratio(word, each) for each in more) < SAME_WORD for word in fewer)


def find_duplicates(
    questions: Sequence[Question],
    others: Sequence[Question],
    normalised: Callable[[Question], str],
    title: str,
    workers: int = 1,
) -> Iterator[Duplicate]:
    """Yield duplicates of `others` in `questions`; of several similar ones, the first. Shows a progress bar.

    Args:
        normalised: returns a question's gold query in canonical form; "" if there is nothing to compare.
        title: title of the progress bar.
        workers: number of threads.
    """
    questions = [question for question in questions if not question.fault]
    others = [other for other in others if not other.fault]
    wordings, other_wordings = list(map(wording, questions)), list(map(wording, others))
    texts, other_texts = [own.text for own in wordings], [own.text for own in other_wordings]
    by_text = {text: other for text, other in zip(reversed(other_texts), reversed(others), strict=True)}
    by_sql = {(other.db_id, normalised(other)): other for other in reversed(others)}
    with progress_bar(title, "question", len(questions)) as bar:
        for start in range(0, len(questions), QUESTIONS_PER_CHUNK):
            chunk = questions[start : start + QUESTIONS_PER_CHUNK]
            similarity = process.cdist(
                texts[start : start + len(chunk)], other_texts, scorer=fuzz.token_sort_ratio,
                score_cutoff=MIN_SIMILARITY, dtype=np.uint8, workers=workers,
            )  # fmt: skip
            for question, own, row in zip(chunk, wordings[start:], similarity, strict=False):
                near = np.argsort(-row.astype(int), kind="stable")[: np.count_nonzero(row)]
                alike = (place for place in near if not ask_different_things(own, other_wordings[place]))
                if own.text in by_text:
                    yield Duplicate(SAME_QUESTION, question, by_text[own.text], 100)
                elif (place := next(alike, None)) is not None:
                    yield Duplicate(NEAR_QUESTION, question, others[place], int(row[place]))
                sql = normalised(question)
                if sql and (question.db_id, sql) in by_sql:
                    yield Duplicate(SAME_SQL, question, by_sql[question.db_id, sql], 100)
            bar.update(len(chunk))
