"""Find the database cells that a question mentions, with the index of `kid.data.value_index`.

BM25 finds cells that share words with a part of the question. Of these, cells match that nearly equal a phrase of the
question. Cells in scripts without blanks between words match if they are a part of the question.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import bm25s
import pyarrow as pa
from rapidfuzz import fuzz, process

from kid.data.unspaced import find_parts, is_unspaced, lengths_by_beginning, stands_by_chance
from kid.data.value_index import CELLS_FILE, COLUMNS_FILE, FORMS_FILE, WORDS_FOLDER
from kid.data.words import LETTER, OUTER_PUNCTUATION, QUOTES, STOP_WORDS, UNSPACED, WORD, fold, stem

MAX_GRAM_WORDS = 4
CANDIDATES = 10
MIN_SIMILARITY = 90
MIN_WORD_SIMILARITY = 80
MAX_VALUES = 25
TOKEN_END = re.compile(f"[ {UNSPACED}]")
DIGITS = re.compile(r"\d+")

ScoredSpan = tuple[float, int, int]  # similarity, start and end of a span of a question
Matches = dict[int, dict[str, list[ScoredSpan]]]  # number of the column -> cell -> its spans


@dataclass
class FoldedQuestion:
    """A question in which cells are searched.

    text: the folded question.
    word_spans: (start, end) of each word in `text`. stems: the stem of each word.
    informative: for each word, whether it is looked up on its own.
    phrases_by_width: cached results of `phrases`.
    """

    text: str
    word_spans: list[tuple[int, int]]
    stems: list[str]
    informative: list[bool]
    phrases_by_width: dict[int, tuple[list[str], list[tuple[int, int]]]] = field(default_factory=dict)

    def token_around(self, start: int, end: int) -> str:
        """The span extended to the blanks around it, without outer quotes, brackets and punctuation.

        It also ends at characters of scripts without blanks.
        """
        while start > 0 and not TOKEN_END.match(self.text, start - 1):
            start -= 1
        right = TOKEN_END.search(self.text, end)
        return self.text[start : right.start() if right else None].strip(OUTER_PUNCTUATION)

    def is_quoted(self, start: int, end: int) -> bool:
        """Whether a span is in quotes."""
        after = self.text[end : end + 3].lstrip(".,;:?!")
        return self.text[max(start - 1, 0) : start] in QUOTES and after[:1] in QUOTES

    def phrases(self, width: int) -> tuple[list[str], list[tuple[int, int]]]:
        """All sequences of `width` words: (texts to compare with, (start, end) of each)."""
        if width not in self.phrases_by_width:
            texts, spans = self.phrases_by_width[width] = [], []
            for (start, _), (_, end) in zip(self.word_spans, self.word_spans[width - 1 :], strict=False):
                # Characters directly next to the words may belong to them: C++, 50%, McDonald's.
                for text in dict.fromkeys([self.text[start:end].casefold(), self.token_around(start, end).casefold()]):
                    texts.append(text)
                    spans.append((start, end))
        return self.phrases_by_width[width]


def fold_question(text: str) -> FoldedQuestion:
    """Fold a question and split it into words."""
    plain = fold(text)
    spans = [match.span() for match in WORD.finditer(plain)]
    words = [plain[start:end] for start, end in spans]
    shouted = plain.isupper()
    informative = [word.casefold() not in STOP_WORDS or (word.isupper() and not shouted) for word in words]
    return FoldedQuestion(plain, spans, [stem(word.casefold()) for word in words], informative)


def indexed_ngrams(question: FoldedQuestion, vocabulary: dict[str, int]) -> set[tuple[str, ...]]:
    """The 1- to 4-grams of the question's words that a shard has, except those with stop words only."""
    grams = set()
    for first, (start, _) in enumerate(question.word_spans):
        gram: list[str] = []
        informative = False
        for word in range(first, min(first + MAX_GRAM_WORDS, len(question.word_spans))):
            if question.stems[word] in vocabulary:
                gram.append(question.stems[word])
                informative = informative or question.informative[word]
                if informative or question.is_quoted(start, question.word_spans[word][1]):
                    grams.add(tuple(sorted(gram)))
    return grams


def best_documents(retriever: bm25s.BM25, gram: tuple[str, ...]) -> list[int]:
    """The `CANDIDATES` best documents that share a word with the n-gram; ties go to the first."""
    # Not bm25s's retrieve(), which sorts all scores for each n-gram, most of them zero; that took most of the time.
    scores = retriever.get_scores(list(gram))
    best: list[int] = []
    while len(best) < CANDIDATES and scores[document := int(scores.argmax())] > 0:
        best.append(document)
        scores[document] = 0
    return best


def is_plausible_match(value: str, text: str) -> bool:
    """Whether two similar texts may mean the same, unlike Boeing 737 and 747, or four vines and four wines."""
    if DIGITS.findall(value) != DIGITS.findall(text) or not LETTER.search(value):
        return False
    pairs = zip(WORD.findall(value), WORD.findall(text), strict=False)
    return all(fuzz.ratio(one, other) > MIN_WORD_SIMILARITY for one, other in pairs)


def find_spans(value: str, question: FoldedQuestion) -> list[ScoredSpan]:
    """The spans of a question that are nearly equal to a folded value and have as many words."""
    texts, spans = question.phrases(len(WORD.findall(value)))
    near = process.extract(value, texts, scorer=fuzz.ratio, score_cutoff=MIN_SIMILARITY, limit=None)
    return [(score, *spans[number]) for text, score, number in near if score == 100 or is_plausible_match(value, text)]


def is_mention(value: str, text: str, question: FoldedQuestion, span: ScoredSpan) -> bool:
    """Whether a span mentions the cell `text` (folded: `value`), rather than being equal by chance.

    A span in quotes does. Otherwise, numbers of one or two digits do not (nine times in ten they count something),
    single letters and codes of two capitals do if written as in the cell, and stop words do if also in capitals.
    """
    _, start, end = span
    stop = value in STOP_WORDS
    if question.is_quoted(start, end) or (len(value) > 2 and not stop):
        return True
    word, whole = question.text[start:end], question.token_around(start, end)
    same = fold(text).strip(OUTER_PUNCTUATION) in (word, whole)
    if len(value) == 1 and LETTER.match(value):
        # Exclude the D of Ph.D. and the article at the start of a question.
        return same and word not in STOP_WORDS and word not in ("A", "I") and word == whole
    if stop:
        return same and word.isupper() and not question.text.isupper()
    return not value.isdigit() and (same or not text.isupper())


def best_values(matches: dict[str, list[ScoredSpan]], taken: set[ScoredSpan]) -> list[str]:
    """The values of one column, sorted by similarity, position and text; drops values with better matches everywhere.

    A match in any column is better if its span contains this one, and it is at least as similar, and longer or more
    similar: New York City replaces New York, and Johnson replaces Johnston.

    Args:
        matches: cell -> its spans, of this column.
        taken: the spans of all columns.
    """
    ranked = []
    for text, spans in matches.items():
        free = [
            (-score, start, end)
            for score, start, end in spans
            if not any(s <= start and end <= e and score <= z and (z, s, e) != (score, start, end) for z, s, e in taken)
        ]
        if free:
            ranked.append((*min(free)[:2], text))
    return [text for *_, text in sorted(ranked)[:MAX_VALUES]]


def cells_of(table: pa.Table, document: int) -> Iterator[tuple[int, str]]:
    """(number of the column, text) of each cell of a document."""
    for cell in table["cells"][document].as_py():
        column, _, text = cell.partition("\t")
        yield int(column), text


def match_words(shard: Path, table: pa.Table, questions: list[FoldedQuestion], found: list[Matches]) -> None:
    """Add the cells of a shard that nearly equal some words of a question."""
    retriever = bm25s.BM25.load(shard / WORDS_FOLDER, mmap=True, show_progress=False)
    grams = [indexed_ngrams(question, retriever.vocab_dict) for question in questions]
    best = {gram: best_documents(retriever, gram) for gram in set().union(*grams)}
    for question, own_grams, matches in zip(questions, grams, found, strict=True):
        for document in {document for gram in own_grams for document in best[gram]}:
            value = table["folded"][document].as_py()
            if spans := find_spans(value, question):
                for column, text in cells_of(table, document):
                    if mentions := [span for span in spans if is_mention(value, text, question, span)]:
                        matches.setdefault(column, {})[text] = mentions


def match_parts(shard: Path, table: pa.Table, questions: list[FoldedQuestion], found: list[Matches]) -> None:
    """Add the cells of a shard that are part of a question, in scripts without blanks between words."""
    documents: dict[str, list[int]] = {}
    with pa.memory_map(str(shard / FORMS_FILE)) as file:
        forms = pa.ipc.open_file(file).read_all()
        for form, document in zip(forms["form"].to_pylist(), forms["document"].to_pylist(), strict=True):
            documents.setdefault(form, []).append(document)
    lengths = lengths_by_beginning(documents)
    for question, matches in zip(questions, found, strict=True):
        spans: dict[int, list[ScoredSpan]] = {}
        for form, start, end in find_parts(question.text, documents, lengths):
            if question.is_quoted(start, end) or not stands_by_chance(question.text, start, end):
                for document in documents[form]:
                    spans.setdefault(document, []).append((100.0, start, end))
        for document, mentions in spans.items():
            for column, text in cells_of(table, document):
                matches.setdefault(column, {})[text] = mentions


def match_shard(shard: Path, questions: list[FoldedQuestion], found: list[Matches]) -> None:
    """Add the matches in a shard to `found`, for each question."""
    with pa.memory_map(str(shard / CELLS_FILE)) as file:
        table = pa.ipc.open_file(file).read_all()
        if (shard / WORDS_FOLDER).is_dir():
            match_words(shard, table, questions, found)
        if (shard / FORMS_FILE).is_file() and any(is_unspaced(question.text) for question in questions):
            match_parts(shard, table, questions, found)


def match_values(index: Path, texts: list[str]) -> list[dict[tuple[str, str], list[str]]]:
    """For each text, the cells that it mentions: {(table, column): values}, in the database's order.

    Results do not depend on the other texts. Many texts at once are faster, because each shard is opened once.

    Args:
        index: the folder of `build_value_index`.
        texts: questions on that database, with their evidence if there is any.
    """
    columns = [tuple(column) for column in json.loads((index / COLUMNS_FILE).read_text())]
    questions = [fold_question(text) for text in texts]
    found: list[Matches] = [{} for _ in texts]
    # Compare the best candidates of every shard: word frequencies, and so scores, differ between shards, and merging
    # candidates by score could lose correct ones.
    for shard in sorted(path for path in index.iterdir() if path.is_dir()):
        match_shard(shard, questions, found)
    results = []
    for matches in found:
        taken = {span for values in matches.values() for spans in values.values() for span in spans}
        chosen = {columns[number]: best_values(matches[number], taken) for number in sorted(matches)}
        results.append({column: values for column, values in chosen.items() if values})
    return results
