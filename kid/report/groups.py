"""Runs put together as the paper's tables have them: by student, then teacher, then method."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from kid.config.methods import METHODS
from kid.report.names import identity, model_names, short_name
from kid.report.rows import METHOD_LABELS, Row, metrics_of
from kid.report.runs import Run
from kid.report.score_files import COLUMNS, Column, Score
from kid.report.settings import Variant, differences, in_words, shared_settings, variant

TABLE_2_ONLY = ("gkd-fkl", "gkd-jsd")  # the paper's later tables have GKD with its best divergence alone
ABLATED = ("rewrite", "mask_strategy", "mask_ratio")  # Table 5 and Figures 4 and 5 vary one of these


@dataclass(frozen=True, eq=False)
class Group:
    """All rows of one student.

    sft: the baseline, or None; variants: SFT with another loss. methods, teachers: by teacher, small ones first.
    shared: settings, other than the defaults, that all runs have which use them.
    """

    student: str
    sft: Row | None
    variants: list[Row]
    methods: dict[str, list[Row]]
    teachers: dict[str, Row]
    shared: Variant

    def baselines(self) -> list[Row]:
        return [*([self.sft] if self.sft else []), *self.variants]

    def rows(self) -> list[Row]:
        """The baselines and every method's rows; not the teachers'."""
        return [*self.baselines(), *chain.from_iterable(self.methods.values())]

    def row(self, teacher: str, method: str, variant: Variant = ()) -> Row | None:
        rows = self.methods[teacher]
        return next((row for row in rows if row.method == method and row.variant == variant), None)

    def main_rows(self, teacher: str) -> list[Row]:
        """The teacher's rows without ablations of its KID and divergences that Table 2 alone compares."""
        rows = [row for row in self.methods[teacher] if row.method not in TABLE_2_ONLY]
        if self.row(teacher, "kid"):
            rows = [row for row in rows if not is_ablation(row)]
        return rows or self.methods[teacher]


def blocks(group: Group) -> dict[int, list[str]]:
    """Number of the paper's table -> the teachers whose rows stand in it.

    Table 4 has CodeGen and the LLaMAs, Table 6 the teacher that is 64 times larger than its student, Table 3 all else.
    """
    number = 4 if re.match(r"codegen|(tiny-?)?llama", group.student.lower()) else 3
    largest = [teacher for teacher in group.methods if re.search(r"(?<!\d)32b", teacher)]
    others = [teacher for teacher in group.methods if teacher not in largest]
    return ({number: others} if others or not largest else {}) | ({6: largest} if largest else {})


def compared_rows(group: Group, teachers: Sequence[str]) -> list[Row]:
    """The rows of a block that are compared with one another: SFT and the methods, those that have a score."""
    rows = [row for teacher in teachers for row in group.main_rows(teacher)]
    return [row for row in group.baselines() + rows if metrics_of([row])]


def is_ablation(row: Row) -> bool:
    """Whether a row is KID with exactly one of Table 5's and Figures 4 and 5's settings changed."""
    return row.method == "kid" and len(row.variant) == 1 and row.variant[0][0] in ABLATED


def billions(model: str) -> float:
    """The size that a model's name gives, to sort by; those that give none come last, in the order given."""
    size = re.search(r"(?<![\d.])(\d+(?:\.\d+)?)([bm])(?![a-z])", model.lower())
    return float(size[1]) / {"b": 1, "m": 1000}[size[2]] if size else float("inf")


def group_runs(runs: Sequence[Run], remarks: list[str]) -> list[Group]:
    """The runs by student, then teacher, then method; what cannot be compared is left out, with a remark."""
    students = model_names((run.home, run.config.student) for run in runs)
    teachers = model_names((run.home, run.config.teacher) for run in runs if distilled(run))
    for name in dict.fromkeys(short_name(run.config.student) for run in runs):
        apart = sorted({full for student, full in students.items() if short_name(student) == name})
        if len(apart) > 1:
            remarks.append(f"{' and '.join(apart)} are other models by their paths, so each has tables of its own")
    own_files = {run.home for run in runs if run.config.benchmark == "jsonl"}
    by_student: dict[str, list[Run]] = {}
    for run in runs:
        name = students[run.config.student]
        if run.home in own_files and len(own_files) > 1:
            name += f" on {run.config.questions or run.config.data}"  # other questions: nothing to compare
        by_student.setdefault(name, []).append(run)
    groups = [as_group(name, own, runs, teachers, remarks) for name, own in by_student.items()]
    # What only served others, as their teacher or as their base, needs no table of its own.
    serving = {identity(name) for run in runs if distilled(run) for name in (run.config.student, run.config.teacher)}
    shown = {run.folder for group in groups for row in group.teachers.values() for run in row.runs}
    kept = [
        group
        for group in groups
        if group.methods or not all(run.folder in shown or made_by(run) & serving for run in by_student[group.student])
    ]
    for group in kept:
        compare_settings(group, remarks)
    return kept


def distilled(run: Run) -> bool:
    return METHODS[run.config.method].needs_teacher


def as_group(student: str, own: Sequence[Run], runs: Sequence[Run], names: dict[str, str], remarks: list[str]) -> Group:
    """The rows of one student, and those of its teachers' own fine-tuning.

    Args:
        own: the student's runs. runs: all of them.
        names: what the teachers are called.
    """
    shared = shared_settings([run.config for run in own])
    keyed: dict[tuple[str, str, Variant], list[Run]] = {}
    for run in own:
        teacher = names[run.config.teacher].lower() if distilled(run) else ""
        keyed.setdefault((teacher, run.config.method, variant(run.config, shared)), []).append(run)
    order = list(METHOD_LABELS)
    keys = sorted(keyed, key=lambda key: (order.index(key[1]), len(key[2])))
    # Of each column, the questions that count: the baseline's, where it was scored.
    reference: dict[Column, Score] = {}
    for run in chain.from_iterable(keyed[key] for key in keys):
        for column, score in run.scores.items():
            reference.setdefault(column, score)
    rows = [Row(student, *key, one_a_seed(keyed[key], remarks), reference) for key in keys]
    sft = [row for row in rows if row.method == "sft"]
    found = sorted({row.teacher: None for row in rows if row.teacher}, key=billions)
    methods = {teacher: [row for row in rows if row.teacher == teacher] for teacher in found}
    teachers = {}
    for teacher, taught in methods.items():
        tuned = teacher_runs({run.config.teacher for row in taught for run in row.runs}, runs, own)
        if tuned:
            base = short_name(tuned[0].config.student)
            teachers[teacher] = Row(base, "", "sft", (), one_a_seed(tuned, remarks), reference)
    for row in [*rows, *teachers.values()]:
        remarks += other_questions(row)
    return Group(student, sft[0] if sft else None, sft[1:], methods, teachers, tuple(shared.items()))


def made_by(run: Run) -> set[str]:
    """Where the models that a run made lie, resolved: where it is now, and where it was trained."""
    return {os.path.realpath(place) for place in (run.folder, run.config.output) if str(place)}


def teacher_runs(teachers: set[str], runs: Sequence[Run], own: Sequence[Run]) -> list[Run]:
    """The SFT runs that made the teachers, by their place; else those of the only base model of a teacher's name.

    A student's own runs are never its teacher.
    """
    tuned = [run for run in runs if run.config.method == "sft" and run not in own]
    places = set(map(identity, teachers))
    made = [run for run in tuned if made_by(run) & places]
    called = {short_name(teacher).lower() for teacher in teachers}
    alike = [run for run in tuned if short_name(run.config.student).lower() in called]
    only = len({(identity(run.config.student), variant(run.config, {})) for run in alike}) == 1
    return made or (alike if only else [])


def one_a_seed(runs: Sequence[Run], remarks: list[str]) -> tuple[Run, ...]:
    """The runs without those that have benchmark and seed in common with an earlier one; by seed."""
    kept: dict[tuple, Run] = {}
    for run in runs:
        first = kept.setdefault((run.home, run.config.seed), run)
        if first is not run:
            differ = differences(first, run)
            reason = f"it differs in {differ}" if differ else "it is the same configuration"
            remarks.append(
                f"{run.folder} was left out of the tables: {first.folder} is {run.config.method} on the same models, "
                f"benchmark and seed, and was given first; {reason}"
            )
    for first in kept.values():
        for run in kept.values():
            if run.home == first.home and run.config.seed > first.config.seed and differences(first, run):
                remarks.append(f"{first.folder} and {run.folder} are averaged, but differ in {differences(first, run)}")
    return tuple(sorted(kept.values(), key=lambda run: (run.home[0], run.config.seed)))


def other_questions(row: Row) -> list[str]:
    """A line for each score that a row leaves out, since it is of other questions than the baseline's."""
    lines = []
    for run in row.runs:
        for score in chain(run.scores.values(), *(scores.values() for scores in run.curve.values())):
            if not row.fits(score):
                baseline = row.reference[score.column]
                how_many = f"{score.n} and {baseline.n}" if score.n != baseline.n else f"{score.n}, but others"
                lines.append(
                    f"{score.path} was left out of tables and figures: it is of other questions of "
                    f"{COLUMNS[score.column]} than {baseline.path} ({how_many})"
                )
    return lines


def compare_settings(group: Group, remarks: list[str]) -> None:
    """Say where a method was trained under other settings than the baseline, and what all have changed."""
    if group.shared:
        remarks.append(f"{group.student}: all runs that this concerns have {in_words(group.shared)}")
    for row in group.rows()[1:] if group.sft else []:
        for run in row.runs:
            baseline = next((base for base in group.sft.runs if base.home == run.home), None)
            differ = differences(baseline, run) if baseline else ""
            if differ:
                remarks.append(
                    f"{run.folder} and its baseline {baseline.folder} differ in {differ}: not in the method alone"
                )
