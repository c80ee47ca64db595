"""Find questions and gold queries of one split that also occur in another, exactly or nearly."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from rapidfuzz import fuzz, process

from kid.data.questions import Question
from kid.data.words import fold
from kid.evaluation.audit.kinds import NEAR_QUESTION, SAME_QUESTION, SAME_SQL
from kid.progress import progress_bar

# rapidfuzz's token_sort_ratio, out of 100. Between Spider's train and dev, 95 finds the 7 questions that are equal; 90
# finds eleven more, which ask for different things ("how many continents", "how many counties").
MIN_SIMILARITY = 95
QUESTIONS_PER_CHUNK = 256  # compared with all others at once, in a matrix with one byte per pair
WORD = re.compile(r"\w+")


class Duplicate(NamedTuple):
    """`question` equals or resembles `other`, a question of the split that it is compared with."""

    kind: str
    question: Question
    other: Question
    similarity: int


def question_words(question: Question) -> str:
    """Return a question's words, ignoring case, accents, punctuation and repeated blanks."""
    return " ".join(WORD.findall(fold(question.question or question.prompt).casefold()))


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
    texts, other_texts = list(map(question_words, questions)), list(map(question_words, others))
    by_text = {text: other for text, other in zip(reversed(other_texts), reversed(others), strict=True)}
    by_sql = {(other.db_id, normalised(other)): other for other in reversed(others)}
    with progress_bar(title, "question", len(questions)) as bar:
        for start in range(0, len(questions), QUESTIONS_PER_CHUNK):
            chunk = questions[start : start + QUESTIONS_PER_CHUNK]
            similarity = process.cdist(
                texts[start : start + len(chunk)], other_texts, scorer=fuzz.token_sort_ratio,
                score_cutoff=MIN_SIMILARITY, dtype=np.uint8, workers=workers,
            )  # fmt: skip
            for question, text, row in zip(chunk, texts[start:], similarity, strict=False):
                if text in by_text:
                    yield Duplicate(SAME_QUESTION, question, by_text[text], 100)
                elif row.any():
                    yield Duplicate(NEAR_QUESTION, question, others[int(row.argmax())], int(row.max()))
                sql = normalised(question)
                if sql and (question.db_id, sql) in by_sql:
                    yield Duplicate(SAME_SQL, question, by_sql[question.db_id, sql], 100)
            bar.update(len(chunk))
