"""Fold texts for comparison, and split them into words."""

from __future__ import annotations

import re
import unicodedata

from bm25s.stopwords import STOPWORDS_EN_PLUS

# Characters of scripts that do not separate words by blanks (Chinese, Japanese, Thai, Lao, Khmer, Burmese), and of
# Korean, which joins particles to words. Their digits are not included: a number is a word in every script.
UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecf\u0edc-\u0edf"  # Thai, Lao
    "\u1000-\u103f\u104c-\u108f\u109a-\u109f\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa7f"  # Burmese
    "\u1780-\u17d3\u17d7\u17dc\u17dd"  # Khmer
    "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff"  # Hangul
    "\u3041-\u3096\u3099-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\U0001b000-\U0001b16f"  # kana
    "\u3005-\u3007\u3021-\u3029\u3038-\u303b\u3105-\u312f\u31a0-\u31bf"  # Chinese numerals and signs, Bopomofo
    "\u2e80-\u2fdf\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Chinese characters
)
UNSPACED_CHARACTER = re.compile(f"[{UNSPACED}]")
OTHER_CHARACTERS = re.compile(f"[^{UNSPACED}]+")

REQUEST_WORDS = (
    "count date end find first give go id ids last least list many much name names number numbers one per please show "
    "tell three top total two"
)
# Stop words match values only in quotes or in capitals.
STOP_WORDS = frozenset(STOPWORDS_EN_PLUS) | frozenset(REQUEST_WORDS.split())
# A number with its decimals or minutes is one word, so that 3 is not found in 3.5. Endings after an apostrophe, such as
# s, are not words.
WORD = re.compile(
    rf"\d+(?:[.,:]\d+)+|(?!(?<=[^\W_]')(?:s|t|d|m|re|ll|ve)\b)[^\W_{UNSPACED}]+",
    re.IGNORECASE,
)
LETTER = re.compile(r"[^\W\d_]")
WORD_JOINER = re.compile(r"(?<=[^\W_])[-_/]+(?=[^\W_])")  # but not the minus in -5 or in the grade B-
QUOTES = tuple("'\"`「」『』《》〈〉")
OUTER_PUNCTUATION = "'\"`.,;:?!()[]{} 「」『』《》〈〉【】。、"
PLAIN_PUNCTUATION = str.maketrans("\u2018\u2019\u00b4\u201c\u201d\u2010\u2011\u2012\u2013\u2014", "'''\"\"-----")


def fold(text: str) -> str:
    """`text` without accents, dashes inside words and repeated blanks; letter case is kept.

    For characters in `UNSPACED`, only the width is normalised, because marks that look like accents change the letter.
    """
    if not text.isascii():
        # Replace quotes first: NFKC would turn a separate acute accent into a blank and an accent.
        composed = unicodedata.normalize("NFKC", text.translate(PLAIN_PUNCTUATION))
        text = OTHER_CHARACTERS.sub(lambda match: without_accents(match[0]), composed)
    return " ".join(WORD_JOINER.sub(" ", text).split())


def without_accents(text: str) -> str:
    return "".join(part for part in unicodedata.normalize("NFKD", text) if not unicodedata.combining(part))


def stem(word: str) -> str:
    """`word` without a plural s. Only used to find candidates, which are then compared as a whole."""
    if len(word) > 3 and word[-1] == "s" and word[-2] not in "sui":
        return word[:-3] + "y" if word.endswith("ies") else word[:-1]
    return word
