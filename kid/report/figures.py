"""The paper's Figures 1, 2, 4, 5 and 6 out of grouped runs, as PNG for Markdown and as SVG for the page."""

from __future__ import annotations

import io
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from kid.report.drawing import draw_bars, draw_line, draw_seeds, set_range
from kid.report.groups import Group, blocks, compared_rows
from kid.report.rows import METHOD_LABELS, Row, average, common_metrics, main_column, relative_latency
from kid.report.score_files import COLUMNS, Column
from kid.report.text import counted, standard_error

# A method has the same colour in every figure.
COLORS = {method: f"C{number}" for number, method in enumerate(METHOD_LABELS)}
STRATEGIES = ("random", "uniform", "hard", "easy")
PANEL = (5.2, 3.6)  # inches
# In the page, ink and paper follow the reader's light or dark theme.
THEMED = {"#000000": "currentColor", "#ffffff": "var(--paper)"}


@dataclass(frozen=True)
class Figure:
    """A drawn figure. alt: its numbers in words, for those who do not see it."""

    name: str
    title: str
    caption: str
    alt: str
    png: bytes
    svg: str


Panel = tuple[str, Callable[[Axes], str]]  # title; draws into the axes and returns the panel's alt text


def draw(name: str, title: str, caption: str, panels: Sequence[Panel]) -> Figure | None:
    """Panels side by side, two a row; None if there is none."""
    if not panels:
        return None
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    settings = {"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 10}
    with matplotlib.rc_context(settings):
        size = (PANEL[0] * columns + (2 if columns == 1 else 0), PANEL[1] * rows)
        figure, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
        texts = []
        for place, (heading, fill) in zip(axes.flat, panels, strict=False):
            texts.append(f"{heading}: {fill(place)}")
            place.set_title(heading, fontsize=10)
        for place in axes.flat[len(panels) :]:
            place.set_visible(False)
        png, svg = io.BytesIO(), io.StringIO()
        figure.savefig(png, format="png", dpi=130)
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(svg, format="svg", transparent=True, metadata=nothing)
        plt.close(figure)
    return Figure(name, title, caption, "; ".join(texts), png.getvalue(), themed(svg.getvalue()))


def themed(svg: str) -> str:
    """An <svg> element to stand in a page: no prologue, no names of namespaces, the page's own ink and paper."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # matplotlib numbers them from 1 in every figure
    for color, variable in THEMED.items():
        svg = svg.replace(color, variable)
    return svg.strip()


def pairs(groups: Sequence[Group]) -> list[tuple[Group, str, list[Row]]]:
    """(group, teacher, its main rows with their SFT baselines first) of every student and teacher."""
    return [
        (group, teacher, group.baselines() + group.main_rows(teacher)) for group in groups for teacher in group.methods
    ]


def tradeoff_figure(groups: Sequence[Group]) -> Figure | None:
    """Figure 1: average performance over relative latency, a point per method."""

    def panel(group: Group, teacher: str, rows: list[Row]) -> Panel | None:
        block = next(teachers for teachers in blocks(group).values() if teacher in teachers)
        common = common_metrics(compared_rows(group, block))  # Avg. is what it is in the table
        points = [(relative_latency(row, group.sft)[0], average(row, common), row) for row in rows]
        points = [(latency, found[0], row) for latency, found, row in points if latency and found]
        if len(points) < 2:
            return None

        def fill(axes: Axes) -> str:
            latencies = [latency for latency, _, _ in points]
            columns, ends = list(dict.fromkeys(column for column, _ in common)), []
            middle = (min(latencies) + max(latencies)) / 2
            for latency, score, row in points:
                marker, size = ("*", 120) if row.method == "kid" else ("o", 60)
                axes.scatter(latency, score, s=size, color=COLORS[row.method], marker=marker)
                error = standard_error([(row_ex(row, column), row.reference[column].n) for column in columns])
                axes.errorbar(latency, score, yerr=error, color=COLORS[row.method], alpha=0.5, capsize=3, zorder=0)
                ends += [score - error, score + error]
                # The label goes to the side where there is room.
                shift, side = ((6, 5), "left") if latency <= middle else ((-6, 5), "right")
                axes.annotate(row.label, (latency, score), shift, textcoords="offset points", ha=side, fontsize=9)
            averaged = counted(len(common), "score")
            axes.set(xlabel="seconds per step, relative to SFT")
            axes.margins(x=0.1)
            axes.grid(alpha=0.3)
            set_range(axes, ends, f"average of {averaged} (%)")
            return ", ".join(f"{row.label} {score:.1f} at {latency:.1f}" for latency, score, row in points)

        return f"{group.student} from {teacher}", fill

    panels = [panel(*pair) for pair in pairs(groups)]
    caption = (
        "Average performance over training latency relative to SFT: up and to the left is better. Whiskers: standard "
        "error, by the number of questions alone. A method whose latency cannot be compared is not drawn; the table's "
        "footnotes say why."
    )
    return draw("figure-1", "Figure 1: performance and latency", caption, [one for one in panels if one])


def row_ex(row: Row, column: Column) -> float:
    """EX on a column, the mean over seeds."""
    return statistics.mean(row.values((column, "ex")))


def latency_figure(groups: Sequence[Group]) -> Figure | None:
    """Figure 2: relative latency of each method, by teacher."""

    def panel(group: Group) -> Panel | None:
        rows = {teacher: [row for row in group.main_rows(teacher) if not row.variant] for teacher in group.methods}
        found = {
            (teacher, row.method): latency
            for teacher in rows
            for row in rows[teacher]
            if (latency := relative_latency(row, group.sft)[0])
        }
        if not found:
            return None

        def fill(axes: Axes) -> str:
            methods = [method for method in METHOD_LABELS if any(method == other for _, other in found)]
            teachers = [teacher for teacher in group.methods if any(teacher == other for other, _ in found)]
            width = 0.8 / len(methods)
            upright = len(found) > 8  # side by side, numbers of narrow bars would touch
            for number, method in enumerate(methods):
                label = METHOD_LABELS[method]
                for place, teacher in enumerate(teachers):
                    if (teacher, method) not in found:
                        continue
                    x, height = place + (number - (len(methods) - 1) / 2) * width, found[teacher, method]
                    axes.bar(x, height, width * 0.9, color=COLORS[method], label=label)
                    axes.annotate(
                        f"{height:.1f}", (x, height), (0, 3), textcoords="offset points", ha="center", size=7,
                        rotation=90 if upright else 0,
                    )  # fmt: skip
                    label = None  # a legend entry per method, not per bar
            axes.axhline(1, linestyle="--", color="black", linewidth=0.8, label="SFT")
            axes.set_xticks(range(len(teachers)), teachers)
            axes.set(xlabel="teacher", ylabel="seconds per step, relative to SFT")
            axes.set_ylim(top=1.35 * max(found.values()))
            axes.legend(fontsize=8, ncols=4, loc="upper center")
            return ", ".join(f"{METHOD_LABELS[method]} {found[t, method]:.1f} at {t}" for t, method in found)

        return group.student, fill

    panels = [panel(group) for group in groups]
    caption = "Training latency of each method relative to SFT (dashed), by teacher."
    without: dict[str, list[str]] = {}
    for group in groups:
        for teacher in group.methods:
            for row in group.main_rows(teacher):
                for reason in relative_latency(row, group.sft)[1]:
                    without.setdefault(reason, []).append(f"{row.label} from {teacher}")
    lines = [f"{', '.join(dict.fromkeys(names))} ({reason})" for reason, names in without.items()]
    caption += f" Not compared: {'; '.join(lines)}." if lines else ""
    return draw("figure-2", "Figure 2: latency by teacher", caption, [one for one in panels if one])


def kid_by(group: Group, teacher: str, key: str, column: Column) -> dict[object, list[float]]:
    """Value of one setting of KID -> EX, a number a seed; all else as by default."""
    rows = [row for row in group.methods[teacher] if row.method == "kid" and {name for name, _ in row.variant} <= {key}]
    values = {getattr(row.runs[0].config, key): row.values((column, "ex")) for row in rows}
    return {value: exs for value, exs in values.items() if exs}


def strategies_figure(groups: Sequence[Group]) -> Figure | None:
    """Figure 4: EX of KID by masking strategy."""

    def fill(axes: Axes, values: dict[str, list[float]], sft: list[float], column: Column) -> str:
        draw_bars(axes, values)
        return beside_sft(axes, values, sft, column)

    caption = "EX of KID by the way masked tokens are chosen; dashed: SFT. Whiskers: standard deviation over seeds."
    panels = ablation_panels(groups, "mask_strategy", fill, STRATEGIES)
    return draw("figure-4", "Figure 4: masking strategies", caption, panels)


def ratios_figure(groups: Sequence[Group]) -> Figure | None:
    """Figure 5: EX of KID over the mask ratio."""

    def fill(axes: Axes, values: dict[float, list[float]], sft: list[float], column: Column) -> str:
        axes.plot(list(values), [statistics.mean(exs) for exs in values.values()], marker="o", color=COLORS["kid"])
        for ratio, exs in values.items():
            draw_seeds(axes, ratio, exs, 0.012)
        axes.set_xticks(list(values))
        axes.set_xlabel("mask ratio")
        return beside_sft(axes, values, sft, column)

    caption = "EX of KID over the share of tokens that are masked; dashed: SFT."
    return draw("figure-5", "Figure 5: mask ratio", caption, ablation_panels(groups, "mask_ratio", fill))


def ablation_panels(
    groups: Sequence[Group], key: str, fill: Callable[..., str], order: Sequence[str] | None = None
) -> list[Panel]:
    """A panel per student and teacher whose KID was run with two values of the setting at least; values in order."""
    panels: list[Panel] = []
    for group, teacher, _ in pairs(groups):
        column = main_column(group.methods[teacher])
        values = kid_by(group, teacher, key, column) if column else {}
        if len(values) < 2:
            continue
        values = {value: values[value] for value in sorted(values, key=order.index if order else None)}
        sft = group.sft.values((column, "ex")) if group.sft else []
        title = f"{group.student} from {teacher}"
        panels.append((title, lambda axes, v=values, s=sft, c=column: fill(axes, v, s, c)))
    return panels


def beside_sft(axes: Axes, values: dict[object, list[float]], sft: list[float], column: Column) -> str:
    """What both ablations' panels have: SFT as a line, the range, and the numbers in words."""
    if sft:
        draw_line(axes, "SFT", sft, "gray")  # seen on light paper and on dark
        axes.legend(loc="lower left", fontsize=8)
    set_range(axes, [ex for exs in (*values.values(), sft) for ex in exs], f"EX % on {COLUMNS[column]}")
    words = [f"{value} {statistics.mean(exs):.1f}" for value, exs in values.items()]
    return ", ".join(words + ([f"SFT {statistics.mean(sft):.1f}"] if sft else []))


def curve(row: Row, column: Column) -> list[tuple[int, float]]:
    """(step, EX) of the saved adapters that were scored, the finished one included; means over seeds.

    Only steps that all seeds with scored adapters have: else a line would move where seeds come and go.
    """
    curves: list[dict[int, float]] = []
    for run in row.runs:
        scores = {step: found[column] for step, found in run.curve.items() if column in found}
        if scores and run.finished and column in run.scores:
            scores[run.steps] = run.scores[column]
        points = {step: score.ex for step, score in scores.items() if row.fits(score)}
        curves += [points] if points else []
    steps = set.intersection(*map(set, curves)) if curves else ()
    return [(step, statistics.mean(points[step] for points in curves)) for step in sorted(steps)]


def steps_figure(groups: Sequence[Group]) -> Figure | None:
    """Figure 6: EX over the steps of training, a line per method."""

    def panel(group: Group, teacher: str, rows: list[Row]) -> Panel | None:
        column = main_column(rows)
        curves = [(row, curve(row, column)) for row in rows] if column else []
        curves = [(row, points) for row, points in curves if len(points) > 1]
        if not curves:
            return None

        def fill(axes: Axes) -> str:
            ends = []
            for row, points in curves:
                kid = row.method == "kid"  # broad, and below the others: equal lines are seen both
                errors = [standard_error([(ex, row.reference[column].n)]) for _, ex in points]
                ends += [ex + sign * error for (_, ex), error in zip(points, errors, strict=True) for sign in (-1, 1)]
                axes.errorbar(
                    *zip(*points, strict=True), yerr=errors, marker=".", lw=3 if kid else 1.3, elinewidth=0.7,
                    capsize=3, color=COLORS[row.method], label=row.label, zorder=2 if kid else 3,
                )  # fmt: skip
            axes.set_xlabel("optimizer step")
            axes.grid(alpha=0.3)
            axes.legend(fontsize=8)
            set_range(axes, ends, f"EX % on {COLUMNS[column]}")
            last = [(row.label, *points[-1]) for row, points in curves]
            return ", ".join(f"{label} {ex:.1f} after {step} steps" for label, step, ex in last)

        return f"{group.student} from {teacher}", fill

    panels = [panel(*pair) for pair in pairs(groups)]
    caption = (
        "EX of the adapters saved on the way: how many steps a method needs. Of several seeds the mean, at the steps "
        "that all of them have. Whiskers: standard error, by the number of questions alone."
    )
    return draw("figure-6", "Figure 6: EX over steps", caption, [one for one in panels if one])


FIGURES: dict[int, Callable[[Sequence[Group]], Figure | None]] = {
    1: tradeoff_figure,
    2: latency_figure,
    4: strategies_figure,
    5: ratios_figure,
    6: steps_figure,
}
