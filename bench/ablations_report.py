"""What the ablations gave, as tables and figures in docs/."""

from __future__ import annotations

import json
import math
import statistics
import textwrap
from dataclasses import dataclass
from pathlib import Path

from claims import CLAIMS, EX, claims_table, compare, with_interval
from sections import marked, with_section

from kid.config.methods import METHODS
from kid.files import write_atomically
from kid.report.text import format_mean, markdown_table, standard_error


@dataclass(frozen=True)
class Report:
    """A table. rows: what a row is called -> its run, in order; error_rates: with the shares of changed tokens.

    against: a run; every other row has its difference to that, paired as in the claims.
    """

    title: str
    first_column: str
    rows: dict[str, str]
    error_rates: bool = False
    against: str = ""


REPORTS = {
    "methods": Report("Methods (the paper's Table 2)", "method", {name: name for name in METHODS}),
    "rewriting": Report(
        "Rewriting (Table 5)",
        "output",
        # Where nothing is rewritten, kid is rkd to the last digit: it is not trained twice.
        {
            "vanilla KID (`--rewrite none`; rkd, to the last digit)": "rkd",
            "masking only": "kid-mask-only",
            "rewriting": "kid",
        },
    ),
    # What gkd has beside other outputs: no likelihood of gold SQL, tokens sampled by chance, a step made for gold SQL.
    "outputs": Report(
        "Own outputs against gold, one thing at a time",
        "reverse KL",
        {
            "on gold, and likelihood of gold (rkd)": "rkd",
            "on gold, no likelihood": "rkd-no-mle",
            "on own outputs (gkd-rkl)": "gkd-rkl",
            "on own outputs, learning rate 3e-4": "gkd-rkl-slow",
            "on own outputs, sampled at temperature 0.5": "gkd-rkl-cold",
        },
        against="gkd-rkl",
    ),
    "strategies": Report(
        "Masking strategies (Figure 4)",
        "strategy",
        {"random": "kid", "uniform": "kid-uniform", "hard": "kid-hard", "easy": "kid-easy"},
        error_rates=True,
    ),
    "ratios": Report(
        "Mask ratios (Figure 5)",
        "ratio",
        {"0.1": "kid-ratio-0.1", "0.2": "kid"} | {ratio: f"kid-ratio-{ratio}" for ratio in ("0.3", "0.4", "0.5")},
        error_rates=True,
    ),
}


def ex_by_row(report: Report, results: dict) -> dict[str, list[float]]:
    """What a row is called -> its run's EX, one a seed."""
    return {label: [row["ex"] for row in results["runs"][run]] for label, run in report.rows.items()}


def table(report: Report, results: dict) -> str:
    """A report as Markdown: EX over the seeds and with each of them."""
    header = [report.first_column, "EX", *(f"seed {seed}" for seed in results["seeds"])]
    rows = [
        [label, format_mean(values), *(f"{ex:.1f}" for ex in values)]
        for label, values in ex_by_row(report, results).items()
    ]
    if report.error_rates:
        header += ["tokens changed, %", "of those masked, %"]
        for row, run in zip(rows, report.rows.values(), strict=True):
            for key in ("error_rate", "masked_error_rate"):
                row.append(f"{100 * statistics.mean(one[key] for one in results['runs'][run]):.1f}")
    if report.against:
        header.append(f"less {report.against}, 95 % interval")
        other = results["runs"][report.against]
        for row, run in zip(rows, report.rows.values(), strict=True):
            row.append("-" if run == report.against else with_interval(*compare(EX, results["runs"][run], other)))
    return markdown_table(header, rows)


def methods_table(results: dict) -> str:
    """Table 2: each method with its divergence and the outputs it learns from, below teacher and base."""
    header = ["method", "divergence", "outputs", "EX", *(f"seed {seed}" for seed in results["seeds"])]
    rows = [
        [name, "-", "-", f"{model['ex']:.1f}", *("-" for _ in results["seeds"])]
        for name, model in results["models"].items()
    ]
    for name, values in ex_by_row(REPORTS["methods"], results).items():
        method = METHODS[name]
        cells = [name, method.divergence or "-", ", ".join(method.sources)]
        rows.append([*cells, format_mean(values), *(f"{ex:.1f}" for ex in values)])
    return markdown_table(header, rows, left=3)


def what_differences_mean(results: dict) -> str:
    """One neutral sentence: the error that a limited number of questions makes, and the spread over seeds."""
    exs = {run: [row["ex"] for row in rows] for run, rows in results["runs"].items()}
    mean = statistics.mean(ex for values in exs.values() for ex in values)
    error = standard_error([(mean, results["n"])])
    text = (
        f"One EX of {mean:.1f} (the mean of all runs) on {results['n']} questions has a binomial standard error of "
        f"{error:.1f}"
    )
    if len(results["seeds"]) == 1:
        return f"{text}; there is one seed, so no standard deviation over seeds."
    pooled = math.sqrt(statistics.mean(statistics.variance(values) for values in exs.values()))
    return f"{text}; the standard deviation over seeds, pooled over the {len(exs)} runs, is {pooled:.1f}."


def claims_section(results: dict) -> list[str]:
    """The paper's claims, judged by these runs, and what the intervals mean."""
    pairs = sum(len(claim.pairs) for claim in CLAIMS)
    text = (
        f"Differences of the first run less the second under the same seed, on the same questions: {results['n']} "
        f"questions, {len(results['seeds'])} seeds. Intervals of EX say what other seeds and other questions of the "
        "kind would give (both drawn, crossed), those of ExAccErr and seconds what other seeds would; one teacher "
        "and one base stand behind all of them. Where nothing differs one interval in 20 says that something does, "
        f"and there are {pairs} here. A claim holds if it does for all its pairs, does not if it fails for one, and is "
        f"not testable here otherwise. ExAccErr is over whole outputs, by `{results['exposure_flags']}`. Seconds are "
        f"medians of a step, {results['workers']} runs side by side. Paper: its difference for Qwen1.5-0.5B "
        "from 1.8B on Spider dev (Table 5: TinyLLaMA), where it gives one."
    )
    return [
        "### The paper's claims here",
        textwrap.fill(text, 120, break_on_hyphens=False),
        claims_table(results["runs"]),
    ]


def section(results: dict) -> str:
    """The ablations' part of docs/results.md, its markers included."""
    sizes = {name: f"{model['parameters'] / 1e6:.1f} million parameters" for name, model in results["models"].items()}
    seeds = ", ".join(map(str, results["seeds"]))
    intro = (
        f"`{results['command']}` (`make ablations`). Teacher ({sizes['teacher']}) and student base "
        f"({sizes['student base']}) of `make demo`; every student starts from that base and trains all weights for "
        f"{results['steps']} steps on {results['training_questions']:,} questions, each seen once, with "
        f"`{results['student_flags']}`. Seeds: {seeds}. EX is percent on the {results['n']} questions of "
        f"`{results['split']}` (new questions on the training databases), ± the sample standard deviation over seeds."
    )
    paragraphs = [textwrap.fill(text, 120, break_on_hyphens=False) for text in (intro, what_differences_mean(results))]
    parts = ["## Ablations", *paragraphs]
    for name, report in REPORTS.items():
        parts += [f"### {report.title}", methods_table(results) if name == "methods" else table(report, results)]
        if name == "methods":
            parts.append("![EX by method](ablations_methods.png)")
    parts += [
        "Tokens changed: the share of the output's tokens (without EOS) that the rewriting changed; beside it, of the "
        "masked ones. Means over all steps and seeds.",
        "All of it by seed and question: [results/ablations.json](results/ablations.json).",
        "![EX by masking strategy, and over the mask ratio](ablations.png)",
        "In the figures a bar's whisker and the band around sft are a standard deviation each way, dots are seeds.",
        *claims_section(results),
    ]
    return marked("ablations", parts)


def write_report(results: dict, docs: Path) -> None:
    """Write the section into results.md, the figures beside it, and all they are made of into results/."""
    from plots import plot_masking, plot_methods  # not above: matplotlib takes a second

    ex = {name: ex_by_row(report, results) for name, report in REPORTS.items()}
    ylabel = f"EX % on {results['n']} questions of {results['split']}"
    lines = {name: model["ex"] for name, model in results["models"].items()}
    plot_methods(ex["methods"], lines, ylabel, docs / "ablations_methods.png")
    plot_masking(ex["strategies"], ex["ratios"], ex["methods"]["sft"], ylabel, docs / "ablations.png")
    write_atomically(docs / "results" / "ablations.json", json.dumps(results, indent=1) + "\n")
    file = docs / "results.md"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    write_atomically(file, with_section(text, "ablations", section(results)))
