"""The result of an audit: counts, every finding, what could not be looked at, and which questions to leave out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from kid.data.exclusion import Reasons
from kid.data.questions import Question
from kid.evaluation.audit.checks import CHECKS, Finding
from kid.evaluation.audit.material import TRAIN, Material

SHOWN = 5  # names and reasons that a line gives


def counts(findings: Sequence[Finding]) -> dict[str, Counter[str | None]]:
    """Number of findings by check and split; None is the split of databases that no question uses."""
    found: dict[str, Counter[str | None]] = {kind: Counter() for kind in CHECKS}
    for finding in findings:
        found[finding.kind][finding.split] += 1
    return found


def some(names: Collection[str]) -> str:
    """The first names of many, and how many there are."""
    shown = ", ".join(list(names)[:SHOWN])
    return f"{shown}, ... ({len(names)})" if len(names) > SHOWN else shown


def limits_of_questions(material: Material, question: Question) -> tuple[str, str] | None:
    """(what could not be looked at, the name or reason to list) of one question; None if all could."""
    seen = material.observation(question)
    if question.fault:
        return "damaged: not looked at", question.fault
    if question.prompt:
        return "bring their own prompts: only compared with train", "no database"
    if seen is None:
        return "neither database nor schema: gold SQL not looked at", question.db_id
    if not seen.executed:
        return "no database: gold SQL compiled on the schema's empty tables, not run", question.db_id
    if seen.undecided:
        return "ties, groups and NULL order not looked at, or in part", seen.undecided
    return None


def not_looked_at(material: Material) -> list[dict]:
    """What the audit could not look at: {"what", "split", "questions", "names"}; names are db_ids or reasons."""
    found: dict[tuple[str, str], list[str]] = {}
    for split, questions in material.splits.items():
        for question in questions:
            if limit := limits_of_questions(material, question):
                found.setdefault((split, limit[0]), []).append(limit[1])
    lines: list[dict] = [
        {"what": what, "split": split, "questions": len(names), "names": sorted(set(names))}
        for (split, what), names in found.items()
    ]
    if not material.duplicates:
        what = f"duplicates not looked at: they need {TRAIN} and another split"
        lines.append({"what": what, "split": None, "questions": None, "names": []})
    if not material.complete:
        what = "databases never used not looked at: that needs all splits, so no --splits"
        lines.append({"what": what, "split": None, "questions": None, "names": []})
    return lines


def describe(line: dict) -> str:
    """One line of `not_looked_at` for people."""
    where = f"{line['split']}: {line['questions']} questions, " if line["split"] else ""
    return where + line["what"] + (f" ({some(line['names'])})" if line["names"] else "")


def audit_record(benchmark: str, material: Material, findings: Sequence[Finding]) -> dict:
    """The content of the JSON file, see docs/data.md."""
    return {
        "benchmark": benchmark,
        "seconds": material.seconds,
        "splits": {split: len(questions) for split, questions in material.splits.items()},
        "counts": {
            kind: {str(split): count for split, count in found.items()} for kind, found in counts(findings).items()
        },
        "findings": [vars(finding) for finding in findings],
        "not_looked_at": not_looked_at(material),
    }


def reasons_to_exclude(findings: Sequence[Finding], kinds: Collection[str]) -> Reasons:
    """(split, index) of each question that has a finding of one of these kinds -> kind -> what was found."""
    reasons: Reasons = {}
    for finding in findings:
        if finding.kind in kinds and finding.split is not None and finding.index is not None:
            reasons.setdefault((finding.split, finding.index), {})[finding.kind] = finding.detail
    return reasons
