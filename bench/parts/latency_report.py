"""Tables and figures of the results of bench/step_latency.py."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import mean

from rich.table import Table

from kid.console import Console

# Seconds per step relative to fine-tuning on gold outputs in the paper's Table 3: teacher -> method -> ratio.
PAPER = {
    f"qwen1.5-0.5b:{size}": dict(zip(("fkd", "rkd", "f-distill", "imitkd", "gkd-rkl", "kid"), ratios, strict=True))
    for size, ratios in {
        "1.8b": (2.1, 2.0, 6.0, 5.9, 10.9, 2.0),
        "4b": (2.2, 2.2, 6.3, 6.3, 12.7, 2.3),
        "7b": (2.4, 2.3, 7.2, 7.2, 13.9, 2.3),
    }.items()
}


LINES = {
    "prompt once": ":",
    "schemas stored": "-.",
    "shared and stored": "--",
}  # line styles of ways in the figure of growth


def of_methods(lines: Iterable[dict]) -> list[dict]:
    """Lines by method; for a method with two sources, which take half of the steps each, the means of both."""
    groups: dict[tuple, list[dict]] = {}
    for line in lines:
        groups.setdefault(tuple(line[key] for key in ("pair", "axis", "value", "method", "way")), []).append(line)
    merged = []
    for own in groups.values():
        line = {**own[0], "source": " / ".join(each["source"] for each in own)}
        broken = [each["failed"] for each in own if "failed" in each]
        if broken:
            merged.append({**line, "failed": broken[0]})
            continue
        for key in ("seconds", "ratio", "own_ratio"):
            if key in line:
                line[key] = mean(each[key] for each in own)
            if f"{key}_spread" in line:
                line[f"{key}_spread"] = [mean(each[f"{key}_spread"][end] for each in own) for end in (0, 1)]
        if "peak_mb" in line:
            line["peak_mb"] = max(each["peak_mb"] for each in own)
        names = sorted({name for each in own for name in each["parts"]})
        line["parts"] = {name: mean(each["parts"].get(name, 0.0) for each in own) for name in names}
        merged.append(line)
    return merged


def show(lines: list[dict], console: Console) -> None:
    """Print a table for each pair and batch, or point of growth: seconds, ratios to the Trainer and our sft, memory."""
    merged = of_methods(lines)
    for key in dict.fromkeys((line["pair"], line["axis"], line["value"]) for line in merged):
        own = [line for line in merged if (line["pair"], line["axis"], line["value"]) == key]
        names = list(dict.fromkeys(name for line in own for name in line.get("parts", {}) if line["parts"][name] > 0))
        table = Table(title="{}, {} {}".format(*key))
        for column in ("", "way", "seconds", "ratio", "min to max", "to our sft", "MiB", *names):
            table.add_column(column, justify="left" if column in ("", "way") else "right", no_wrap=True)
        for line in own:
            if "failed" in line:
                table.add_row(line["method"], line["way"], line["failed"][:60])
                continue
            ratio = spread = ""
            if "ratio" in line:
                ratio, spread = f"{line['ratio']:.2f}", "{:.2f} to {:.2f}".format(*line["ratio_spread"])
            own_ratio = f"{line['own_ratio']:.2f}" if "own_ratio" in line else ""
            memory = f"{line['peak_mb']:.0f}" if "peak_mb" in line else ""
            parts = [f"{line['parts'][name]:.3f}" if line["parts"].get(name) else "" for name in names]
            table.add_row(
                line["method"], line["way"], f"{line['seconds']:.3f}", ratio, spread, own_ratio, memory, *parts
            )
        console.print(table)


def draw_methods(lines: list[dict], path: Path) -> None:
    """Plot seconds per step relative to the Trainer's fine-tuning, a panel per pair, like the paper's Figure 2."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    merged = [line for line in of_methods(lines) if "failed" not in line]
    pairs = list(dict.fromkeys((line["pair"], line["value"]) for line in merged))
    unit = "ratio" if all("ratio" in line for line in merged) else "seconds"
    figure, axes = plt.subplots(len(pairs), 1, figsize=(11, 4.4 * len(pairs)), squeeze=False)
    for (axis,), (pair, batch) in zip(axes, pairs, strict=True):
        own = [line for line in merged if (line["pair"], line["value"]) == (pair, batch)]
        ways = list(dict.fromkeys(line["way"] for line in own if line["way"]))
        methods = list(dict.fromkeys(line["method"] for line in own if line["way"]))
        width = 0.8 / max(1, len(ways))
        for number, way in enumerate(ways):
            found = {line["method"]: line for line in own if line["way"] == way}
            positions = [position for position, method in enumerate(methods) if method in found]
            heights = [found[methods[position]][unit] for position in positions]
            shift = (number - (len(ways) - 1) / 2) * width
            bars = axis.bar([position + shift for position in positions], heights, width,
                            label=way, color=plt.cm.Blues(0.35 + 0.6 * number / max(1, len(ways) - 1)))  # fmt: skip
            axis.bar_label(bars, fmt="%.2f", fontsize=7)
        peers = [line for line in own if not line["way"]]
        bars = axis.bar(range(len(methods), len(methods) + len(peers)), [line[unit] for line in peers], 0.5,
                        color="tab:orange", label="peers")  # fmt: skip
        axis.bar_label(bars, fmt="%.2f", fontsize=7)
        paper = {m: r for m, r in PAPER.get(pair, {}).items() if m in methods}
        if paper and unit == "ratio":
            axis.scatter([methods.index(method) for method in paper], list(paper.values()), marker="_", s=900,
                         color="tab:red", label="the paper's Table 3")  # fmt: skip
        if unit == "ratio":
            axis.axhline(1.0, color="grey", linewidth=0.8)
        names = [*methods, *(line["method"].replace(", ", "\n").replace(" ", "\n", 1) for line in peers)]
        axis.set_xticks(range(len(names)), names, fontsize=8)
        ylabel = "step relative to the Trainer's sft" if unit == "ratio" else "seconds per step"
        axis.set(title=f"{pair}, batch {batch}", ylabel=ylabel)
        axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def draw_growth(lines: list[dict], path: Path) -> None:
    """Plot seconds per step along each axis, a panel per axis."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    merged = [line for line in of_methods(lines) if "failed" not in line]
    names = list(dict.fromkeys(line["axis"] for line in merged))
    figure, axes = plt.subplots(1, len(names), figsize=(4.2 * len(names), 4), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        own = [line for line in merged if line["axis"] == name]
        for method, way in dict.fromkeys((line["method"], line["way"]) for line in own):
            points = [
                (line["value"], line["seconds"]) for line in own if (line["method"], line["way"]) == (method, way)
            ]
            style = {"linestyle": LINES.get(way, "-"), "marker": "o", "markersize": 4}
            colour = {"rkd": "tab:green", "kid": "tab:blue", "gkd-rkl": "tab:red"}.get(method, "tab:orange")
            axis.plot(*zip(*sorted(points), strict=True), label=f"{method} {way}".strip(), color=colour, **style)
        axis.set(xlabel=name, ylabel="seconds per step", ylim=(0, None))
        axis.set_xticks(sorted({line["value"] for line in own}))
        axis.grid(alpha=0.3)
    axes[0][0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
