"""The result of an audit: counts, every finding, what could not be looked at, and which questions to leave out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from kid.data.exclusion import Reasons
from kid.data.questions import Question
from kid.errors import first_of
from kid.evaluation.audit.checks import CHECKS, Finding
from kid.evaluation.audit.material import TRAIN, Material


def counts(findings: Sequence[Finding]) -> dict[str, Counter[str | None]]:
    """Number of findings by check and split; None is the split of databases that no question uses."""
    found: dict[str, Counter[str | None]] = {kind: Counter() for kind in CHECKS}
    for finding in findings:
        found[finding.kind][finding.split] += 1
    return found


def was_looked_for(material: Material, kind: str, split: str) -> bool:
    """Whether a check could find anything in a split."""
    needs = CHECKS[kind].needs
    if needs == "rows":
        seen = map(material.observation, material.splits[split])
        return any(observation and observation.executed for observation in seen)
    if needs == TRAIN:
        return split in material.duplicates
    return needs != "all splits" or material.complete


def blind_spot(material: Material, question: Question) -> tuple[str, str] | None:
    """(what of a question could not be looked at, the database or the reason); None if all of it could."""
    seen = material.observation(question)
    if question.fault:
        return "anything, for they are damaged", question.fault
    if question.prompt:
        return "their gold SQL, for they bring their own prompts", "no database"
    if question.gold_rows:
        return "their gold, which is rows", question.db_id
    if seen is None:
        return "their gold SQL, for there is neither a database nor a schema", question.db_id
    if not seen.executed:
        return (
            "the rows of their gold SQL, compiled on the schema's empty tables, for want of a database",
            question.db_id,
        )
    if seen.undecided:
        return "all that their results leave to chance", seen.undecided
    return None


def not_looked_at(material: Material) -> list[dict]:
    """What the audit could not look at: {"what", "split", "questions", "names"}; names are db_ids or reasons."""
    found: dict[tuple[str, str], list[str]] = {}
    for split, questions in material.splits.items():
        for question in questions:
            if spot := blind_spot(material, question):
                found.setdefault((split, spot[0]), []).append(spot[1])
    lines: list[dict] = [
        {"what": what, "split": split, "questions": len(names), "names": sorted(set(names))}
        for (split, what), names in found.items()
    ]
    whole = []
    if not material.duplicates:
        whole.append(f"duplicates, which need {TRAIN} and another split")
    if not material.complete:
        whole.append("databases never used, which needs all splits (no --splits)")
    return lines + [{"what": what, "split": None, "questions": None, "names": []} for what in whole]


def describe(line: dict) -> str:
    """One line of `not_looked_at` for people."""
    where = f"{line['split']}, {line['questions']} questions: " if line["split"] else ""
    return where + line["what"] + (f" ({first_of(line['names'])})" if line["names"] else "")


def audit_record(benchmark: str, material: Material, findings: Sequence[Finding]) -> dict:
    """The content of the JSON file, see docs/data.md."""
    return {
        "benchmark": benchmark,
        "seconds": material.seconds,
        "splits": {split: len(questions) for split, questions in material.splits.items()},
        "counts": {
            kind: {split or "all": count for split, count in found.items()} for kind, found in counts(findings).items()
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
