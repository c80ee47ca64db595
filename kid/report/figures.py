"""Figures from grouped runs, as PNG for Markdown and as SVG for the HTML page: the paper's Figures 1, 2, 4 and 5."""

from __future__ import annotations

import io
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.text import Text

from kid.report.drawing import draw_bars, draw_line, draw_seeds, set_range
from kid.report.groups import Group, compared_rows, teachers_by_table
from kid.report.rows import METHOD_LABELS, Row, average, common_metrics, main_column, relative_latency
from kid.report.score_files import SCORE_COLUMNS, ScoreColumn
from kid.report.text import pluralize, standard_error
from kid.terminal import printable

# Each method has the same colour in every figure.
COLORS = {method: f"C{number}" for number, method in enumerate(METHOD_LABELS)}
STRATEGIES = ("random", "uniform", "hard", "easy")
PANEL = (5.2, 3.6)  # inches
# In the HTML page, black and white are replaced by colours of the reader's light or dark theme.
THEME_COLORS = {"#000000": "currentColor", "#ffffff": "var(--paper)"}


@dataclass(frozen=True)
class Figure:
    """A drawn figure. alt: its numbers as text, for readers who cannot see the figure."""

    name: str
    title: str
    caption: str
    alt: str
    png: bytes
    svg: str


Panel = tuple[str, Callable[[Axes], str]]  # title, function that draws into the axes and returns the panel's alt text


def draw_figure(name: str, title: str, caption: str, panels: Sequence[Panel]) -> Figure | None:
    """Draw a figure with these panels, two per row; None without panels."""
    if not panels:
        return None
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 10, "text.parse_math": False}
    ):
        size = (PANEL[0] * columns + (2 if columns == 1 else 0), PANEL[1] * rows)
        figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
        texts = []
        for panel_axes, (panel_title, draw_panel) in zip(axes.flat, panels, strict=False):
            texts.append(f"{panel_title}: {draw_panel(panel_axes)}")
            panel_axes.set_title(panel_title, fontsize=10)
        for panel_axes in axes.flat[len(panels) :]:
            panel_axes.set_visible(False)
        for text in figure.findobj(Text):
            text.set_text(printable(text.get_text()))
        png, svg = io.BytesIO(), io.StringIO()
        figure.savefig(png, format="png", dpi=130)
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(svg, format="svg", transparent=True, metadata=nothing)
        plt.close(figure)
    return Figure(name, title, caption, "; ".join(texts), png.getvalue(), inline_svg(svg.getvalue()))


def inline_svg(svg: str) -> str:
    """Return the <svg> element for embedding in HTML: no prologue, no namespaces, colours of the page's theme."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # matplotlib numbers them from 1 in every figure
    for color, variable in THEME_COLORS.items():
        svg = svg.replace(color, variable)
    return svg.strip()


def student_teacher_pairs(groups: Sequence[Group]) -> list[tuple[Group, str, list[Row]]]:
    """Return (group, teacher, SFT baselines followed by the teacher's main rows) for each student and teacher."""
    return [
        (group, teacher, group.baselines() + group.main_rows(teacher)) for group in groups for teacher in group.methods
    ]


def tradeoff_figure(groups: Sequence[Group]) -> Figure | None:
    """Draw Figure 1: average performance over relative latency, one point per method."""

    def panel(group: Group, teacher: str, rows: list[Row]) -> Panel | None:
        block = next(teachers for teachers in teachers_by_table(group).values() if teacher in teachers)
        common = common_metrics(compared_rows(group, block))  # the same Avg. as in the table
        measured = [(relative_latency(row, group.sft)[0], average(row, common), row) for row in rows]
        points = [(latency, found[0], row) for latency, found, row in measured if latency and found]
        if len(points) < 2:
            return None

        def draw_panel(axes: Axes) -> str:
            latencies = [latency for latency, _, _ in points]
            columns, extremes = list(dict.fromkeys(column for column, _ in common)), []
            middle = (min(latencies) + max(latencies)) / 2
            for latency, score, row in points:
                marker, size = ("*", 120) if row.method == "kid" else ("o", 60)
                axes.scatter(latency, score, s=size, color=COLORS[row.method], marker=marker)
                error = standard_error([(mean_ex(row, column), row.reference[column].n) for column in columns])
                axes.errorbar(latency, score, yerr=error, color=COLORS[row.method], alpha=0.5, capsize=3, zorder=0)
                extremes += [score - error, score + error]
                # Put the label on the side with more space.
                shift, alignment = ((6, 5), "left") if latency <= middle else ((-6, 5), "right")
                axes.annotate(row.label, (latency, score), shift, textcoords="offset points", ha=alignment, fontsize=9)
            averaged = pluralize(len(common), "score")
            axes.set(xlabel="seconds per step, relative to SFT")
            axes.margins(x=0.1)
            axes.grid(alpha=0.3)
            set_range(axes, extremes, f"average of {averaged} (%)")
            return ", ".join(f"{row.label} {score:.1f} at {latency:.1f}" for latency, score, row in points)

        return f"{group.student} from {teacher}", draw_panel

    panels = [panel(*pair) for pair in student_teacher_pairs(groups)]
    caption = (
        "Average performance over training latency relative to SFT: up and to the left is better. Whiskers: standard "
        "error, only from the number of questions. Methods whose latency cannot be compared are not drawn; the table's "
        "footnotes say why."
    )
    return draw_figure("figure-1", "Performance and latency", caption, [drawn for drawn in panels if drawn])


def mean_ex(row: Row, column: ScoreColumn) -> float:
    """Return the mean EX over seeds in a score column."""
    return statistics.mean(row.values((column, "ex")))


def latencies(group: Group) -> dict[tuple[str, str], float]:
    """Return (teacher, method) -> relative latency of the method with its defaults, if comparable with SFT."""
    rows = {teacher: [row for row in group.main_rows(teacher) if not row.variant] for teacher in group.methods}
    return {
        (teacher, row.method): latency
        for teacher in rows
        for row in rows[teacher]
        if (latency := relative_latency(row, group.sft)[0])
    }


def latency_figure(groups: Sequence[Group]) -> Figure | None:
    """Draw Figure 2: relative latency of each method by teacher, for students with several teachers."""
    drawn = [group for group in groups if len({teacher for teacher, _ in latencies(group)}) > 1]

    def panel(group: Group) -> Panel:
        found = latencies(group)

        def draw_panel(axes: Axes) -> str:
            methods = [method for method in METHOD_LABELS if any(method == other for _, other in found)]
            teachers = [teacher for teacher in group.methods if any(teacher == other for other, _ in found)]
            width = 0.8 / len(methods)
            upright = len(found) > 8  # numbers over narrow bars would overlap
            for number, method in enumerate(methods):
                label = METHOD_LABELS[method]
                for position, teacher in enumerate(teachers):
                    if (teacher, method) not in found:
                        continue
                    x, height = position + (number - (len(methods) - 1) / 2) * width, found[teacher, method]
                    axes.bar(x, height, width * 0.9, color=COLORS[method], label=label)
                    axes.annotate(
                        f"{height:.1f}", (x, height), (0, 3), textcoords="offset points", ha="center", size=7,
                        rotation=90 if upright else 0,
                    )  # fmt: skip
                    label = None  # a legend entry per method, not per bar
            axes.axhline(1, linestyle="--", color="black", linewidth=0.8, label="SFT")
            axes.set_xticks(range(len(teachers)), list(map(printable, teachers)))
            axes.set(xlabel="teacher", ylabel="seconds per step, relative to SFT")
            axes.set_ylim(top=1.35 * max(found.values()))
            axes.legend(fontsize=8, ncols=4, loc="upper center")
            return ", ".join(f"{METHOD_LABELS[method]} {found[t, method]:.1f} at {t}" for t, method in found)

        return group.student, draw_panel

    caption = "Training latency of each method relative to SFT (dashed), by teacher."
    excluded: dict[str, list[str]] = {}
    for group in drawn:
        for teacher in group.methods:
            for row in group.main_rows(teacher):
                for reason in relative_latency(row, group.sft)[1]:
                    excluded.setdefault(reason, []).append(f"{row.label} from {teacher}")
    lines = [f"{', '.join(dict.fromkeys(names))} ({reason})" for reason, names in excluded.items()]
    caption += f" Not compared: {'; '.join(lines)}." if lines else ""
    return draw_figure("figure-2", "Latency by teacher", caption, list(map(panel, drawn)))


def undrawn_latency(groups: Sequence[Group]) -> list[str]:
    """Say why `latency_figure` draws nothing, if latencies are known but each student has only one teacher."""
    teachers = [{teacher for teacher, _ in latencies(group)} for group in groups]
    if not any(teachers) or max(map(len, teachers)) > 1:
        return []
    return ["Latency by teacher is not drawn: no student has several teachers. The table of runs has seconds per step."]


def kid_ex_by_setting(group: Group, teacher: str, key: str, column: ScoreColumn) -> dict[Any, list[float]]:
    """Return value of a KID setting -> EX of each seed, with all other settings at their defaults."""
    rows = [row for row in group.methods[teacher] if row.method == "kid" and {name for name, _ in row.variant} <= {key}]
    values = {getattr(row.runs[0].config, key): row.values((column, "ex")) for row in rows}
    return {value: exs for value, exs in values.items() if exs}


def strategies_figure(groups: Sequence[Group]) -> Figure | None:
    """Draw Figure 4: EX of KID by masking strategy."""

    def draw_panel(axes: Axes, values: dict[str, list[float]], sft: list[float], column: ScoreColumn) -> str:
        draw_bars(axes, values)
        return finish_ablation_panel(axes, values, sft, column)

    caption = "EX of KID by masking strategy; dashed: SFT. Whiskers: standard deviation over seeds."
    panels = ablation_panels(groups, "mask_strategy", draw_panel, STRATEGIES)
    return draw_figure("figure-4", "Masking strategies", caption, panels)


def ratios_figure(groups: Sequence[Group]) -> Figure | None:
    """Draw Figure 5: EX of KID over the mask ratio."""

    def draw_panel(axes: Axes, values: dict[float, list[float]], sft: list[float], column: ScoreColumn) -> str:
        axes.plot(list(values), [statistics.mean(exs) for exs in values.values()], marker="o", color=COLORS["kid"])
        for ratio, exs in values.items():
            draw_seeds(axes, ratio, exs, 0.012)
        axes.set_xticks(list(values))
        axes.set_xlabel("mask ratio")
        return finish_ablation_panel(axes, values, sft, column)

    caption = "EX of KID over the fraction of tokens that are masked; dashed: SFT."
    return draw_figure("figure-5", "Mask ratio", caption, ablation_panels(groups, "mask_ratio", draw_panel))


def ablation_panels(
    groups: Sequence[Group], key: str, draw_panel: Callable[..., str], order: Sequence[str] | None = None
) -> list[Panel]:
    """Draw a panel for each student and teacher with KID runs of at least two values of the setting, in order."""
    panels: list[Panel] = []
    for group, teacher, _ in student_teacher_pairs(groups):
        column = main_column(group.methods[teacher])
        values = kid_ex_by_setting(group, teacher, key, column) if column else {}
        if len(values) < 2:
            continue
        values = {value: values[value] for value in sorted(values, key=order.index if order else None)}
        sft = group.sft.values((column, "ex")) if group.sft else []
        title = f"{group.student} from {teacher}"
        panels.append((title, partial(draw_panel, values=values, sft=sft, column=column)))
    return panels


def finish_ablation_panel(axes: Axes, values: dict[Any, list[float]], sft: list[float], column: ScoreColumn) -> str:
    """Add what both ablations share: a line for SFT and the axis range. Returns the alt text."""
    if sft:
        draw_line(axes, "SFT", sft, "gray")  # visible in light and dark themes
        axes.legend(loc="lower left", fontsize=8)
    set_range(axes, [ex for exs in (*values.values(), sft) for ex in exs], f"EX % on {SCORE_COLUMNS[column]}")
    words = [f"{value} {statistics.mean(exs):.1f}" for value, exs in values.items()]
    return ", ".join(words + ([f"SFT {statistics.mean(sft):.1f}"] if sft else []))
