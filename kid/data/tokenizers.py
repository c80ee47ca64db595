"""Whether two tokenizers give token ids the same meaning. The losses compare a student and its teacher id by id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kid.data.prompts.chat import chat_turn
from kid.data.sharing import common_prefix_length
from kid.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# Tokenizers differ in how they treat digits, letter case, accents, line breaks and blanks.
PROBES = (
    "database schema :\ntable concert , columns = [ concert.concert_id ( int | primary key | values : 1 , 2 ) ]\n",
    'CREATE TABLE singer (\n  singer_id INTEGER PRIMARY KEY,\n\t"Net Worth (€)" REAL -- e.g. 1234567.890\n);\n\n\n',
    "SELECT T1.name, count(*) FROM singer AS T1 WHERE T1.year >= 2014 AND T1.city LIKE '%São Paulo%' LIMIT 10;",
    "How many of the 30,412 pupils aren't from Zürich, Ærø or ﬁfth?   And\r\n\tin  2009-10-31 12:05?",
    "有多少名歌手来自法国? Сколько певцов? كم عدد المغنين؟ गायक कितने हैं? 🎤",
)
NAMED = 3  # differing tokens that a message names


def base_vocabulary(tokenizer: PreTrainedTokenizerFast) -> dict[int, str]:
    """Id -> token, without added tokens (special ones among them), which no ordinary text is encoded with."""
    added = tokenizer.added_tokens_decoder
    return {number: token for token, number in tokenizer.get_vocab().items() if number not in added}


def differing(ours: dict[int, str], theirs: dict[int, str]) -> list[int]:
    """The ids that do not have the same token in both."""
    return sorted(number for number in ours.keys() | theirs.keys() if ours.get(number) != theirs.get(number))


def name_ids(ids: list[int], ours: dict[int, str], theirs: dict[int, str]) -> str:
    """The first of some ids, with the tokens of student and teacher."""
    named = [f"{number} is {ours.get(number, 'nothing')} and {theirs.get(number, 'nothing')}" for number in ids]
    return ", ".join(named[:NAMED]) + (", ..." if len(ids) > NAMED else "")


def compare_tokenizers(
    student: PreTrainedTokenizerFast,
    teacher: PreTrainedTokenizerFast,
    student_name: str,
    teacher_name: str,
    chat_template: str = "none",
) -> str:
    """Check that two tokenizers agree on all ids that texts are encoded with, whatever the width of their models.

    Added tokens may differ, as between generations of a family, since no text of a prompt or an output contains them.

    Args:
        student, teacher: as loaded by `kid.models.pretrained.load_tokenizer`.
        student_name, teacher_name: what the user gave, for messages.
        chat_template: the key of the run, for the text around prompts.

    Returns:
        A remark on added tokens that differ; empty if none do.

    Raises:
        InputError: an ordinary token, EOS, or the ids of a probe text or of the chat template differ.
    """
    pair = f"--teacher {teacher_name} has another tokenizer than --student {student_name}"
    same_family = "use two models of the same family"
    ours, theirs = base_vocabulary(student), base_vocabulary(teacher)
    if ids := differing(ours, theirs):
        shared = len(ours.keys() | theirs.keys()) - len(ids)
        raise InputError(
            f"{pair}: {len(ids)} ids differ and {shared} are shared; in the student's and the teacher's, "
            f"{name_ids(ids, ours, theirs)}; {same_family}"
        )
    if (student.eos_token, student.eos_token_id) != (teacher.eos_token, teacher.eos_token_id):
        raise InputError(
            f"--teacher {teacher_name} ends its outputs with {teacher.eos_token} and --student {student_name} with "
            f"{student.eos_token}; use two models of the same kind, and --chat-template auto if both have a template"
        )
    ours, theirs = (
        {number: str(token) for number, token in tokenizer.added_tokens_decoder.items()}
        for tokenizer in (student, teacher)
    )
    ids = differing(ours, theirs)
    in_both = [token for number, token in ours.items() if number not in ids]
    turn = chat_turn(student, chat_template)
    around = [turn.opening + turn.closing + turn.end] if turn else []
    for text in (*PROBES, " ".join(in_both), *around):
        if (own := student.encode(text)) != (other := teacher.encode(text)):
            place = common_prefix_length(own, other)
            raise InputError(
                f"{pair}: {text[:40]!r} has other ids from token {place + 1} on, {own[place : place + NAMED]} and "
                f"{other[place : place + NAMED]}; {same_family}"
            )
    if not ids:
        return ""
    shared = len(student.get_vocab().items() & teacher.get_vocab().items())
    return (
        f"the tokenizers of student and teacher share {shared} ids; {len(ids)} added tokens differ, which no ordinary "
        f"text contains: {name_ids(ids, ours, theirs)}"
    )
