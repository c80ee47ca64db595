"""Group runs as in the paper's tables: by student, then teacher, then method."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from kid.config.benchmarks import BENCHMARKS
from kid.config.methods import METHODS
from kid.report.names import canonical_model, model_names, short_name
from kid.report.rows import METHOD_LABELS, Row, metrics_of
from kid.report.runs import Run
from kid.report.score_files import SCORE_COLUMNS, Score, ScoreColumn
from kid.report.settings import Variant, describe_settings, differences, shared_settings, variant

TABLE_2_ONLY = ("gkd-fkl", "gkd-jsd")  # in the paper's later tables, GKD has only its best divergence
ABLATED_SETTINGS = ("rewrite", "mask_strategy", "mask_ratio")  # Table 5 and Figures 4 and 5 vary one of these


@dataclass(frozen=True, eq=False)
class Group:
    """All rows of one student.

    sft: the baseline, or None; variants: SFT with other losses. methods, teachers: by teacher, smallest first.
    shared: non-default settings shared by all runs that use them.
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
        """Return the baselines and the rows of all methods, without the teachers' own rows."""
        return [*self.baselines(), *chain.from_iterable(self.methods.values())]

    def row(self, teacher: str, method: str, variant: Variant = ()) -> Row | None:
        rows = self.methods[teacher]
        return next((row for row in rows if row.method == method and row.variant == variant), None)

    def main_rows(self, teacher: str) -> list[Row]:
        """Return the teacher's rows without KID ablations and without divergences that only Table 2 compares."""
        rows = [row for row in self.methods[teacher] if row.method not in TABLE_2_ONLY]
        if self.row(teacher, "kid"):
            rows = [row for row in rows if not is_ablation(row)]
        return rows or self.methods[teacher]


def teachers_by_table(group: Group) -> dict[int, list[str]]:
    """Return number of the paper's table -> the teachers in it.

    Table 4 has CodeGen and the LLaMAs, Table 6 the teacher 64 times larger than its student, Table 3 all others.
    """
    number = 4 if re.match(r"codegen|(tiny-?)?llama", group.student.lower()) else 3
    largest = [teacher for teacher in group.methods if re.search(r"(?<!\d)32b", teacher)]
    others = [teacher for teacher in group.methods if teacher not in largest]
    return ({number: others} if others or not largest else {}) | ({6: largest} if largest else {})


def compared_rows(group: Group, teachers: Sequence[str]) -> list[Row]:
    """Return the rows of a table that are compared with each other: SFT and the methods, if they have a score."""
    rows = [row for teacher in teachers for row in group.main_rows(teacher)]
    return [row for row in group.baselines() + rows if metrics_of([row])]


def is_ablation(row: Row) -> bool:
    """Whether a row is KID with exactly one changed setting, one of those in Table 5 and Figures 4 and 5."""
    return row.method == "kid" and len(row.variant) == 1 and row.variant[0][0] in ABLATED_SETTINGS


def model_size(model: str) -> float:
    """Return billions of parameters according to a model's name; infinity if it has no size, to sort it last."""
    size = re.search(r"(?<![\d.])(\d+(?:\.\d+)?)([bm])(?![a-z])", model.lower())
    return float(size[1]) / {"b": 1, "m": 1000}[size[2]] if size else float("inf")


def group_runs(runs: Sequence[Run], remarks: list[str]) -> list[Group]:
    """Group runs by student, then teacher, then method; runs that cannot be compared are skipped with a remark."""
    students = model_names((run.benchmark_key, run.config.student) for run in runs)
    teachers = model_names((run.benchmark_key, run.config.teacher) for run in runs if is_distilled(run))
    for name in dict.fromkeys(short_name(run.config.student) for run in runs):
        distinct = sorted({full for student, full in students.items() if short_name(student) == name})
        if len(distinct) > 1:
            remarks.append(f"{' and '.join(distinct)} are different models by their paths, so each has its own tables")
    with_own_files = {run.benchmark_key for run in runs if BENCHMARKS[run.config.benchmark].own_files}
    by_student: dict[str, list[Run]] = {}
    for run in runs:
        name = students[run.config.student]
        if run.benchmark_key in with_own_files and len(with_own_files) > 1:
            name += f" on {run.config.questions or run.config.data}"  # different questions are not comparable
        by_student.setdefault(name, []).append(run)
    groups = [make_group(name, student_runs, runs, teachers, remarks) for name, student_runs in by_student.items()]
    # Students that are only the teacher or base of other runs need no table.
    used_models = {
        canonical_model(name) for run in runs if is_distilled(run) for name in (run.config.student, run.config.teacher)
    }
    teacher_folders = {run.folder for group in groups for row in group.teachers.values() for run in row.runs}
    kept = [
        group
        for group in groups
        if group.methods
        or not all(run.folder in teacher_folders or run_paths(run) & used_models for run in by_student[group.student])
    ]
    for group in kept:
        compare_settings(group, remarks)
    return kept


def is_distilled(run: Run) -> bool:
    return METHODS[run.config.method].needs_teacher


def make_group(
    student: str, student_runs: Sequence[Run], runs: Sequence[Run], teacher_names: dict[str, str], remarks: list[str]
) -> Group:
    """Group the rows of one student and of its teachers' own fine-tuning.

    Args:
        student_runs: the runs of this student; runs: all runs.
        teacher_names: path or hub id of a teacher -> its name in the tables.
    """
    shared = shared_settings([run.config for run in student_runs])
    runs_by_row: dict[tuple[str, str, Variant], list[Run]] = {}
    for run in student_runs:
        teacher = teacher_names[run.config.teacher].lower() if is_distilled(run) else ""
        runs_by_row.setdefault((teacher, run.config.method, variant(run.config, shared)), []).append(run)
    order = list(METHOD_LABELS)
    keys = sorted(runs_by_row, key=lambda key: (order.index(key[1]), len(key[2])))
    # In each column, scores must have the same questions as the first row, the baseline if it was scored.
    reference: dict[ScoreColumn, Score] = {}
    for run in chain.from_iterable(runs_by_row[key] for key in keys):
        for column, score in run.scores.items():
            reference.setdefault(column, score)
    rows = [Row(student, *key, one_run_per_seed(runs_by_row[key], remarks), reference) for key in keys]
    sft = [row for row in rows if row.method == "sft"]
    sorted_teachers = sorted({row.teacher: None for row in rows if row.teacher}, key=model_size)
    methods = {teacher: [row for row in rows if row.teacher == teacher] for teacher in sorted_teachers}
    teachers = {}
    for teacher, method_rows in methods.items():
        fine_tuned = teacher_runs({run.config.teacher for row in method_rows for run in row.runs}, runs, student_runs)
        if fine_tuned:
            base = short_name(fine_tuned[0].config.student)
            teachers[teacher] = Row(base, "", "sft", (), one_run_per_seed(fine_tuned, remarks), reference)
    for row in [*rows, *teachers.values()]:
        remarks += incomparable_scores(row)
    return Group(student, sft[0] if sft else None, sft[1:], methods, teachers, tuple(shared.items()))


def run_paths(run: Run) -> set[str]:
    """Return resolved folders of a run that models may refer to: where it is now and where it was trained."""
    return {os.path.realpath(path) for path in (run.folder, run.config.output) if str(path)}


def teacher_runs(teachers: set[str], runs: Sequence[Run], student_runs: Sequence[Run]) -> list[Run]:
    """Find the SFT runs that trained the teachers, by path; otherwise, those of the only base with a teacher's name.

    A student's own runs are never its teacher.
    """
    fine_tuned = [run for run in runs if run.config.method == "sft" and run not in student_runs]
    paths = set(map(canonical_model, teachers))
    by_path = [run for run in fine_tuned if run_paths(run) & paths]
    names = {short_name(teacher).lower() for teacher in teachers}
    same_name = [run for run in fine_tuned if short_name(run.config.student).lower() in names]
    same_base = len({(canonical_model(run.config.student), variant(run.config, {})) for run in same_name}) == 1
    return by_path or (same_name if same_base else [])


def one_run_per_seed(runs: Sequence[Run], remarks: list[str]) -> tuple[Run, ...]:
    """Return the runs sorted by seed, skipping those with the benchmark and seed of an earlier one."""
    kept: dict[tuple, Run] = {}
    for run in runs:
        first = kept.setdefault((run.benchmark_key, run.config.seed), run)
        if first is not run:
            differ = differences(first, run)
            reason = f"it differs in {differ}" if differ else "it is the same configuration"
            remarks.append(
                f"{run.folder} was skipped in the tables: {first.folder} is {run.config.method} on the same models, "
                f"benchmark and seed, and was given first; {reason}"
            )
    for first in kept.values():
        for run in kept.values():
            if (
                run.benchmark_key == first.benchmark_key
                and run.config.seed > first.config.seed
                and differences(first, run)
            ):
                remarks.append(f"{first.folder} and {run.folder} are averaged, but differ in {differences(first, run)}")
    return tuple(sorted(kept.values(), key=lambda run: (run.benchmark_key[0], run.config.seed)))


def incomparable_scores(row: Row) -> list[str]:
    """Return a line for each score that a row skips because its questions differ from those of the baseline."""
    lines = []
    for run in row.runs:
        for score in chain(run.scores.values(), *(scores.values() for scores in run.curve.values())):
            if not row.is_comparable(score):
                baseline = row.reference[score.column]
                how_many = f"{score.n} and {baseline.n}" if score.n != baseline.n else f"{score.n}, but different ones"
                lines.append(
                    f"{score.path} was skipped in tables and figures: its questions of "
                    f"{SCORE_COLUMNS[score.column]} differ from those of {baseline.path} ({how_many})"
                )
    return lines


def compare_settings(group: Group, remarks: list[str]) -> None:
    """Add remarks on training settings that differ from those of the baseline, and on settings that all runs share."""
    if group.shared:
        remarks.append(f"{group.student}: all runs to which this applies have {describe_settings(group.shared)}")
    for row in group.rows()[1:] if group.sft else []:
        for run in row.runs:
            baseline = next((base for base in group.sft.runs if base.benchmark_key == run.benchmark_key), None)
            differ = differences(baseline, run) if baseline else ""
            if differ:
                remarks.append(
                    f"{run.folder} and its baseline {baseline.folder} differ not only in the method but in {differ}"
                )
