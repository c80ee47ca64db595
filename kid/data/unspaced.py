"""Find values as parts of texts in languages without blanks between words (`kid.data.words.UNSPACED`).

Word boundaries are unknown there. A value matches wherever it occurs, unless that splits a letter, a number or a word
of another script, or the value is so short that it may occur by chance.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator

from kid.data.words import UNSPACED, UNSPACED_CHARACTER, WORD

CHINESE_NUMERALS = "〇零一二三四五六七八九十百千万亿萬億两兩"
# LEADING: vowels written before their consonant. FOLLOWING: what belongs to the letter before it: marks, vowels, small
# kana.
LEADING = "\u0e40-\u0e44\u0ec0-\u0ec4"
FOLLOWING = (
    "\u0e30-\u0e3a\u0e45\u0e47-\u0e4e\u0eb0-\u0ebd\u0ec8-\u0ecf"  # Thai, Lao
    "\u102b-\u103e\u1056-\u1059\u105e-\u1060\u1062-\u1064\u1067-\u106d\u1071-\u1074\u1082-\u108d\u108f\u109a-\u109d"
    "\u17b4-\u17d3\u17dd"  # Khmer
    "\u3099\u309aぁぃぅぇぉゃゅょゎァィゥェォャュョヮ\u31f0-\u31ff"
)
STACKED = f"(?<=[\u1039\u17d2])[{UNSPACED}]"  # a consonant written below another one
BURMESE_FINAL = "[\u1000-\u1021]\u1037?\u103a"  # the consonant that ends a syllable
# Units that a match must not split.
UNIT = re.compile(
    rf"{WORD.pattern}|[{CHINESE_NUMERALS}]+|[{LEADING}]?[{UNSPACED}](?:[{FOLLOWING}]|{STACKED}|{BURMESE_FINAL})*",
    re.IGNORECASE,
)
CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
HANGUL = re.compile("[\uac00-\ud7a3]")
KATAKANA = re.compile("[\u30a1-\u30fa\u30fc\u31f0-\u31ff]")
# Chinese characters that are common in questions of any content; a single one matches in quotes only.
COMMON_CHARACTERS = frozenset(
    CHINESE_NUMERALS
    + "的了是有无無否不在和与與或个個人年月日时時分号號名为為以于於到从從对對被把就也都很最更大小多少上下中内內外前后後"
    + "间間新老高低长長短我你他她它们們这這那哪何几幾每各所其第等及数數位回本件次"
)  # fmt: skip
REMOVABLE_BLANK = re.compile(f"(?<=[{UNSPACED}]) | (?=[{UNSPACED}])")


def is_unspaced(text: str) -> bool:
    """Whether any part of the text is in a script without blanks between words."""
    return UNSPACED_CHARACTER.search(text) is not None


def written_forms(value: str) -> list[str]:
    """The forms of a folded value in questions: unchanged, and without blanks next to characters of such scripts."""
    return list(dict.fromkeys([value, REMOVABLE_BLANK.sub("", value)]))


def lengths_by_beginning(forms: Iterable[str]) -> dict[str, set[int]]:
    """The first two characters of a form (or its only one) -> the lengths of the forms that begin with them."""
    lengths: dict[str, set[int]] = {}
    for form in forms:
        lengths.setdefault(form[:2], set()).add(len(form))
    return lengths


def find_parts(text: str, forms: Container[str], lengths: dict[str, set[int]]) -> Iterator[tuple[str, int, int]]:
    """Yield (form, start, end) for each occurrence of a form in a folded text, ignoring letter case.

    Args:
        forms: should be a dict or a set, because there is a look-up for each length at each character.
        lengths: from `lengths_by_beginning`.
    """
    units = [match.span() for match in UNIT.finditer(text)]
    inside = {position for start, end in units for position in range(start + 1, end)}
    for start in range(len(text)):
        if start in inside:
            continue
        two = text[start : start + 2].casefold()
        for length in lengths.get(two[:2], set()) | lengths.get(two[:1], set()):
            end = start + length
            if end <= len(text) and end not in inside and (form := text[start:end].casefold()) in forms:
                yield form, start, end


def stands_by_chance(text: str, start: int, end: int) -> bool:
    """Whether a part of a folded text is too short to be a mention at its position.

    A single letter counts as a word if it is Chinese and not a common one, or if it is separate. Two letters of Hangul
    count at the start of a word, because particles follow words; two of katakana, if no other is next to them.
    """
    part, before, after = text[start:end], text[max(start - 1, 0) : start], text[end : end + 1]
    units = len(UNIT.findall(part))
    if units == 1 and (is_unspaced(before) or is_unspaced(after)):
        return not CHINESE.fullmatch(part) or part in COMMON_CHARACTERS
    if units <= 2 and HANGUL.match(part) and HANGUL.match(before):
        return True
    beside = KATAKANA.match(before), KATAKANA.match(after)
    return units <= 2 and bool((KATAKANA.match(part) and beside[0]) or (KATAKANA.match(part[-1]) and beside[1]))
