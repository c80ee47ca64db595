"""The result of an audit: counts, all findings, what could not be checked, and which questions to exclude."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from kid.data.exclusion import Reasons
from kid.data.questions import Question
from kid.errors import first_of
from kid.evaluation.audit.checks import CHECKS, Finding
from kid.evaluation.audit.material import TRAIN, Material

SHOWN = 3  # indices, findings of a kind


def counts(findings: Sequence[Finding]) -> dict[str, Counter[str | None]]:
    """Count findings by check and split; the split of a finding about a database is None."""
    found: dict[str, Counter[str | None]] = {kind: Counter() for kind in CHECKS}
    for finding in findings:
        found[finding.kind][finding.split] += 1
    return found


def was_looked_for(material: Material, kind: str, split: str) -> bool:
    """Whether a check was possible in a split."""
    needs = CHECKS[kind].needs
    if needs == "rows":
        seen = map(material.observation, material.splits[split])
        return any(observation and observation.executed for observation in seen)
    if needs == TRAIN:
        return split in material.duplicates
    return bool(material.databases) if needs == "databases" else needs != "all splits" or material.complete


def blind_spot(material: Material, question: Question) -> tuple[str, str] | None:
    """Return (what could not be checked for a question, the database or the reason); None if everything could."""
    seen = material.observation(question)
    if question.fault:
        return "damaged questions", question.fault
    if question.prompt:
        return "gold SQL of questions with their own prompts", "no database"
    if question.gold_rows:
        return "gold rows", question.db_id
    if seen is None:
        return "gold SQL without a database and a schema", question.db_id
    if not seen.executed:
        return (
            "rows of gold SQL that was only compiled on the schema's empty tables, because the database is missing",
            question.db_id,
        )
    if seen.undecided:
        return "some kinds of chance", seen.undecided
    return None


def not_looked_at(material: Material) -> list[dict]:
    """List what the audit could not check: {"what", "split", "questions", "indices", "names"}.

    questions: how many; indices: which; names: their db_ids or the reasons.
    """
    found: dict[tuple[str, str], dict[int, str]] = {}
    for split, questions in material.splits.items():
        for question in questions:
            if spot := blind_spot(material, question):
                found.setdefault((split, spot[0]), {})[question.index] = spot[1]
    lines: list[dict] = [
        {
            "what": what, "split": split, "questions": len(names), "indices": list(names),
            "names": sorted(set(names.values())),
        }
        for (split, what), names in found.items()
    ]  # fmt: skip
    lines += [
        {"what": "foreign keys", "split": None, "questions": None, "indices": [], "names": [f"{db_id}: {why}"]}
        for db_id, why in sorted(material.unchecked.items())
    ]
    whole = []
    if not material.duplicates:
        whole.append(f"duplicates, which need {TRAIN} and another split")
    if not material.complete:
        whole.append("unused databases, which need all splits (remove --splits)")
    return lines + [{"what": what, "split": None, "questions": None, "indices": [], "names": []} for what in whole]


def describe(line: dict) -> str:
    """Write one item of `not_looked_at` as a line."""
    questions = "question" if line["questions"] == 1 else "questions"
    which = ", ".join(map(str, line["indices"][:SHOWN])) + (", ..." if len(line["indices"]) > SHOWN else "")
    where = f"{line['split']}, {line['questions']} {questions} ({which}): " if line["split"] else ""
    return where + line["what"] + (f" ({first_of(line['names'])})" if line["names"] else "")


def audit_record(benchmark: str, material: Material, findings: Sequence[Finding]) -> dict:
    """Return the content of the JSON file, see docs/data.md."""
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
    """Return (split, index) of each question with a finding of one of these kinds -> kind -> what was found."""
    reasons: Reasons = {}
    for finding in findings:
        if finding.kind in kinds and finding.split is not None and finding.index is not None:
            reasons.setdefault((finding.split, finding.index), {})[finding.kind] = finding.detail
    return reasons
