"""Figures over training steps: EX (the paper's Figure 6) and the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from kid.report.curves import BINS, comparable_curves, loss_curves
from kid.report.drawing import set_range
from kid.report.figures import COLORS, Figure, Panel, draw_figure, student_teacher_pairs
from kid.report.groups import Group
from kid.report.rows import Row
from kid.report.text import standard_error


def panels_of(groups: Sequence[Group]) -> list[tuple[str, list[Row]]]:
    """Return (title, rows) for each pair of student and teacher, and for a student without a teacher its SFT."""
    pairs = [(f"{group.student} from {teacher}", rows) for group, teacher, rows in student_teacher_pairs(groups)]
    return pairs + [(group.student, group.baselines()) for group in groups if not group.methods]


def steps_figure(groups: Sequence[Group]) -> Figure | None:
    """Draw Figure 6: EX over training steps, one line per method."""
    left_out: list[str] = []

    def panel(title: str, rows: list[Row]) -> Panel | None:
        curves = comparable_curves(rows)
        if curves is None:
            return None
        left_out.extend(f"{label} of {title}" for label in curves.left_out)

        def draw_panel(axes: Axes) -> str:
            extremes = []
            for row, points, n in curves.lines:
                errors = [standard_error([(ex, n)]) for _, ex in points]
                extremes += [
                    ex + sign * error for (_, ex), error in zip(points, errors, strict=True) for sign in (-1, 1)
                ]
                at, exs = zip(*points, strict=True)
                axes.errorbar(at, exs, yerr=errors, marker=".", elinewidth=0.7, capsize=3, **line_style(row))
            finish_panel(axes)
            set_range(axes, extremes, f"EX % on {curves.questions}")
            last = [(row.label, *points[-1]) for row, points, _ in curves.lines]
            return ", ".join(f"{label} {ex:.1f} after {step} steps" for label, step, ex in last)

        return title, draw_panel

    panels = [drawn for pair in panels_of(groups) if (drawn := panel(*pair))]
    caption = (
        "EX during training, of saved adapters or measured by the training: how many steps a method needs. With "
        "several seeds, the mean at the steps that all of them have. Whiskers: standard error, only from the number of "
        "questions."
    )
    caption += f" Not drawn, because measured on other questions: {', '.join(left_out)}." if left_out else ""
    return draw_figure("figure-6", "EX over steps", caption, panels)


def loss_figure(groups: Sequence[Group]) -> Figure | None:
    """Draw the training loss over steps, one line per method; not in the paper."""

    def panel(title: str, rows: list[Row]) -> Panel | None:
        curves = loss_curves(rows)
        if not curves:
            return None

        def draw_panel(axes: Axes) -> str:
            for row, points in curves:
                axes.plot(*zip(*points, strict=True), **line_style(row))
            finish_panel(axes)
            axes.set_ylabel("training loss")
            last = [(row, *points[-1]) for row, points in curves]
            return ", ".join(f"{row.label} {loss:.3g} after {step:.0f} steps" for row, step, loss in last)

        return title, draw_panel

    panels = [drawn for pair in panels_of(groups) if (drawn := panel(*pair))]
    caption = (
        "Each method has its own loss, so compare where the lines level off, not their heights. With several seeds, "
        f"the mean at the steps that all of them have. More than {BINS} steps are drawn as {BINS} means of consecutive "
        "steps."
    )
    return draw_figure("loss", "Training loss over steps", caption, panels)


def line_style(row: Row) -> dict[str, Any]:
    """Return label and style of a row's line; KID is wide and below the others, so that identical lines both show."""
    kid = row.method == "kid"
    return {"label": row.label, "color": COLORS[row.method], "lw": 3 if kid else 1.3, "zorder": 2 if kid else 3}


def finish_panel(axes: Axes) -> None:
    axes.set_xlabel("optimizer step")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
