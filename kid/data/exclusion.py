"""Questions to exclude from training and scoring: the file that eval/audit.py writes and both read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from kid.data.cache import json_hash
from kid.data.questions import Question
from kid.errors import InputError

FORMAT = "questions to leave out, of eval/audit.py"
# (split, index) of a question -> kind of finding -> details of the finding.
Reasons = dict[tuple[str, int], dict[str, str]]


def identity(question: Question) -> str:
    """A hash of a question's database, text and gold SQL: 16 hex digits."""
    return json_hash([question.db_id, question.question or question.prompt, question.query])[:16]


def exclusion_record(benchmark: str, splits: Mapping[str, Sequence[Question]], reasons: Reasons) -> dict:
    """The content of an exclude file.

    Args:
        splits: all questions of the splits that were checked.
        reasons: the questions to exclude, with reasons.
    """
    by_key = {(split, q.index): q for split, questions in splits.items() for q in questions}
    return {
        "format": FORMAT,
        "benchmark": benchmark,
        "splits": {split: len(questions) for split, questions in splits.items()},
        "questions": [
            {"split": split, "index": index, "identity": identity(by_key[split, index]), "reasons": found}
            for (split, index), found in sorted(reasons.items())
        ],
    }


def read_exclusion(path: Path, benchmark: str, split: str, questions: Sequence[Question]) -> dict[int, list[str]]:
    """Read the questions of a split to exclude: index -> kinds of findings.

    Args:
        questions: all questions of the split.

    Raises:
        InputError: the file cannot be read, was made for other questions, or excludes all questions.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError("it has another format")
        made_for, sizes = content["benchmark"], dict(content["splits"])
        entries = [
            (entry["split"], int(entry["index"]), entry["identity"], list(entry["reasons"]))
            for entry in content["questions"]
        ]
    except OSError as error:
        raise InputError(f"--exclude {path}: {error.strerror}; create it with eval/audit.py --exclude") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(
            f"--exclude {path} is not a file of eval/audit.py --exclude, or damaged; create it again"
        ) from None
    again = "run eval/audit.py on these questions"
    if made_for != benchmark or split not in sizes:
        checked = ", ".join(map(str, sizes))
        raise InputError(f"--exclude {path} is for {made_for} {checked}, not for {benchmark} {split}; {again}")
    if sizes[split] != len(questions):
        raise InputError(
            f"--exclude {path} is for {sizes[split]} questions of {split}, but it has {len(questions)}; {again}"
        )
    by_index = {question.index: question for question in questions}
    left_out: dict[int, list[str]] = {}
    for name, index, hashed, kinds in entries:
        if name != split:
            continue
        if index not in by_index or identity(by_index[index]) != hashed:
            raise InputError(f"--exclude {path} is for other questions: question {index} of {split} differs; {again}")
        left_out[index] = kinds
    if len(left_out) == len(questions):
        raise InputError(f"--exclude {path} leaves no question of {split}; name fewer kinds with --exclude-kinds")
    return left_out


def exclusion_remark(path: Path, left_out: Mapping[int, Sequence[str]]) -> str:
    """A line that counts the excluded questions by kind; a question with several kinds counts for each."""
    by_kind = Counter(kind for kinds in left_out.values() for kind in kinds)
    reasons = ", ".join(f"{count} {kind}" for kind, count in by_kind.most_common())
    if not left_out:
        return f"--exclude {path} excludes none of these questions"
    return f"{len(left_out)} question{'s' if len(left_out) > 1 else ''} excluded by --exclude {path}: {reasons}"
