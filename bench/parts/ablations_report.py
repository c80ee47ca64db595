"""Write the page of the ablations, docs/results/ablations/README.md, with its tables and figures."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

from kid.config.methods import METHODS
from kid.files import write_atomically
from kid.report.text import format_mean, markdown_table
from parts.ablation_settings import method_of
from parts.claims import (
    CLAIMS,
    EX,
    EX_LAST,
    SECONDS,
    Measure,
    claims_table,
    compare,
    interval_over_seeds,
    with_interval,
)
from parts.sections import wrapped


@dataclass(frozen=True)
class Report:
    """A table. rows: label of a row -> its run, in order; error_rates: add the percentages of changed tokens.

    against: a run; every other row has its difference from that run, paired as in the claims.
    """

    title: str
    first_column: str
    rows: dict[str, str]
    against: str
    error_rates: bool = False


REPORTS = {
    "rewriting": Report(
        "Rewriting (Table 5), and other options of KID",
        "output",
        # Without rewriting, kid equals rkd exactly, so it is not trained again.
        {
            "vanilla KID (`--rewrite none`; equals rkd exactly)": "rkd",
            "masking only": "kid-mask-only",
            "rewriting": "kid",
            "rewriting with sampled tokens (`--fill sample`)": "kid-sample",
            "likelihood on gold prefixes (`--mle-on gold`)": "kid-mle-on-gold",
            "no likelihood (`--mle-weight 0`)": "kid-no-mle",
        },
        against="rkd",
    ),
    # Besides its outputs, gkd differs in having no likelihood of gold SQL, and in its randomly sampled tokens.
    "outputs": Report(
        "Own outputs or gold SQL, one difference at a time",
        "reverse KL",
        {
            "on gold, and likelihood of gold (rkd)": "rkd",
            "on gold, no likelihood": "rkd-no-mle",
            "on own outputs (gkd-rkl)": "gkd-rkl",
        },
        against="gkd-rkl",
    ),
    "strategies": Report(
        "Masking strategies (Figure 4)",
        "strategy",
        {"random": "kid", "uniform": "kid-uniform", "hard": "kid-hard", "easy": "kid-easy"},
        against="kid",
        error_rates=True,
    ),
    "ratios": Report(
        "Mask ratios (Figure 5)",
        "ratio",
        {"0.1": "kid-ratio-0.1", "0.2": "kid"} | {ratio: f"kid-ratio-{ratio}" for ratio in ("0.3", "0.4", "0.5")},
        against="kid",
        error_rates=True,
    ),
}


FIGURES = {
    "epochs.png": "EX on valid over epochs",
    "methods.png": "EX by method",
    "masking.png": "EX by masking strategy and mask ratio",
}


def name_of(setting: dict) -> str:
    wrong = f"{100 * setting['label_errors']:g} % of them wrong" if setting["label_errors"] else "all correct"
    seeds = ", ".join(map(str, setting["seeds"]))
    return f"{setting['labels']:,} labels, {wrong}, {setting['epochs']} epochs, seeds {seeds}"


def column(setting: dict, run: str, key: str) -> list[float]:
    """Return a run's values of a key, one per seed."""
    return [one[key] for one in setting["runs"][run]]


def difference(setting: dict, run: str, other: str, measure: Measure = EX) -> str:
    """Return EX of a run minus that of another, paired by seed and question, with its interval; "-" if equal."""
    return "-" if run == other else with_interval(*compare(measure, setting["runs"][run], setting["runs"][other]))


def table(report: Report, setting: dict) -> str:
    """Write a report's rows that the setting has as Markdown: EX over seeds, at the best and the last checkpoint."""
    labelled = {label: run for label, run in report.rows.items() if run in setting["runs"]}
    header = [report.first_column, "EX best", f"minus {report.against}, 95 % interval", "EX last"]
    rows = []
    for label, run in labelled.items():
        best, last = (format_mean(column(setting, run, key)) for key in ("ex", "ex_last"))
        rows.append([label, best, difference(setting, run, report.against), last])
    if report.error_rates:
        header += ["tokens changed, %", "of masked tokens, %"]
        for row, run in zip(rows, labelled.values(), strict=True):
            for key in ("error_rate", "masked_error_rate"):
                row.append(f"{100 * statistics.mean(column(setting, run, key)):.1f}")
    return markdown_table(header, rows)


def methods_table(setting: dict) -> str:
    """Write Table 2: each method with its divergence and the outputs that it learns from, below teacher and base."""
    header = ["method", "divergence", "outputs", "learning rate", "EX best", "minus sft, 95 % interval", "best epoch"]
    header += ["EX last", "wrong labels repeated", "put right"]
    rows = []
    for name, model in setting["models"].items():
        rows.append([name, "-", "-", "-", f"{model['ex']:.1f}", *"-" * (len(header) - 5)])
    for name, method in METHODS.items():
        if name not in setting["runs"]:
            continue
        wrong = sum(column(setting, name, "wrong_labels"))
        labels = [sum(column(setting, name, key)) for key in ("labels_repeated", "labels_put_right")]
        rows.append(
            [
                name, method.divergence or "-", ", ".join(method.sources), setting["chosen"][name],
                format_mean(column(setting, name, "ex")), difference(setting, name, "sft"),
                f"{statistics.mean(column(setting, name, 'best_epoch')):.1f}",
                format_mean(column(setting, name, "ex_last")),
                *(f"{100 * count / wrong:.0f} %" if wrong else "-" for count in labels),
            ]
        )  # fmt: skip
    return markdown_table(header, rows, left=3)


def rates_table(setting: dict) -> str:
    """Write a table of EX on valid for every method and learning rate."""
    rates = list(next(iter(setting["rates"].values())))
    rows = []
    for method, found in setting["rates"].items():
        marks = ["**" if rate == setting["chosen"][method] else "" for rate in rates]
        rows.append([method, *(f"{mark}{found[rate]:.1f}{mark}" for rate, mark in zip(rates, marks, strict=True))])
    return markdown_table(["EX on valid", *rates], rows)


def kid_table(settings: dict[str, dict]) -> str:
    """Write a table of every run of kid in every setting minus rkd: best epoch on valid, best and last on dev."""
    header = ["labels", "run", "valid, best", "dev, best", "dev, last", "rkd on dev, best"]
    rows = []
    for title, setting in settings.items():
        rkd = setting["runs"]["rkd"]
        for run in (run for run in setting["runs"] if run.startswith("kid")):
            pairs = zip(setting["runs"][run], rkd, strict=True)
            valid = with_interval(
                *interval_over_seeds([max(one["valid"]) - max(other["valid"]) for one, other in pairs])
            )
            on_dev = (difference(setting, run, "rkd", measure) for measure in (EX, EX_LAST))
            rows.append([title, run, valid, *on_dev, format_mean(column(setting, "rkd", "ex"))])
    return markdown_table(header, rows, left=2)


def setting_parts(title: str, setting: dict) -> list[str]:
    """Return a setting's tables, and the verdicts of its runs on the paper's claims."""
    where = f", in the setting *{setting['rates_of']}*" if setting["rates_of"] else ""
    chosen = (
        f"Learning rates: the one with the best EX on `valid` with seed {setting['rates_seed']}{where} is **bold** and "
        "used. Variants of a method use its rate."
    )
    parts = [f"## {title.capitalize()}: {name_of(setting)}", methods_table(setting), chosen]
    parts.append(rates_table(setting))
    for report in REPORTS.values():
        if report.against in setting["runs"] and len(set(report.rows.values()) & set(setting["runs"])) > 1:
            parts += [f"**{report.title}**", table(report, setting)]
    return [*parts, "**The paper's claims**", claims_table(setting["runs"])]


def part(title: str, setting: dict) -> str:
    """Write what one setting shows, for the screen."""
    header = ["EX", "learning rate", *(f"seed {seed}" for seed in setting["seeds"])]
    exs = {run: [f"{value:.1f}" for value in column(setting, run, "ex")] for run in setting["runs"]}
    rows = [[run, setting["chosen"][method_of(run)], *row] for run, row in exs.items()]
    return f"{title}\n\n{markdown_table(header, rows)}\n\n{claims_table(setting['runs'])}\n"


def page(results: dict) -> str:
    """Write the page."""
    settings = results["settings"]
    models = next(iter(settings.values()))["models"]
    sizes = {name: f"{model['parameters'] / 1e6:.1f} million parameters" for name, model in models.items()}
    pairs = sum(len(claim.pairs) for claim in CLAIMS if claim.measure is not SECONDS)
    intro = (
        f"Made by `{results['command']}` (`make ablations`). The teacher ({sizes['teacher']}) is that of "
        f"`kid/minibench/models`. Students ({sizes['student base']}) start from a base that "
        f"`bench/pretrain_minibench.py` makes, and train all weights with `{results['student_flags']}`. EX is in "
        "percent on the 1,000 "
        "questions of `dev`, on databases in no other split, ± the sample standard deviation over seeds; *best*: at "
        "the epoch with the highest EX on `valid`, *last*: after all epochs. Bases are pretrained where the ablations "
        "run and differ a little from machine to machine; each setting's tables show its own. Tokens changed: "
        "percentage of the output's tokens (without EOS) that were changed by rewriting. What a step costs is measured "
        "elsewhere ([the price of a step](../../results.md#the-price-of-a-step))."
    )
    judged = (
        "Claims are judged by the best checkpoints: the first run minus the second with the same seed, on the same "
        "questions. Intervals of EX are over seeds and questions (crossed, by Student's t), those of ExAccErr over "
        "seeds; all have the same teacher and the same base. Without any real difference, "
        f"1 interval in 20 would show one, and there are {pairs} for each setting. A claim holds if it holds for all "
        "its pairs, does not hold if it fails for one of them, and is not testable otherwise. ExAccErr is over whole "
        f"outputs, with `{results['exposure_flags']}`. Paper: its difference for Qwen1.5-0.5B from 1.8B on Spider dev "
        "(Table 5: TinyLLaMA), if it has one."
    )
    parts = [
        "# Ablations, in full",
        "What they say is in [results.md](../../results.md#what-the-ablations-say). Each folder here has the results "
        "of one setting, by seed and question. To run a setting that is not complete, copy this folder to "
        "`runs/ablations`, remove that setting's own folder from the copy (on another machine, its base has other "
        "weights), and give its name: `python bench/ablations.py --settings clean`. `--docs` writes this page from "
        "what there is.",
        intro,
    ]
    if results["missing"]:
        parts.append(f"Not run, or not with all seeds: {'; '.join(results['missing'])}.")
    parts += [f"![{title}]({file})" for file, title in FIGURES.items() if file in results["figures"]]
    parts.append(
        "In the figures, whiskers and bands are one standard deviation on each side, dots are seeds. A point of EX "
        "is equally high in all panels of the first figure; the figures by method and masking are of the first setting."
    )
    parts.append(judged)
    for title, setting in settings.items():
        if "sft" in setting["runs"]:
            parts += setting_parts(title, setting)
    others = "; ".join(
        f"*{title}*: {name_of(setting)}, base {setting['models']['student base']['ex']:.1f} on dev"
        for title, setting in settings.items()
    )
    compared = (
        "Each run of kid minus rkd: EX in points with 95 % intervals, over seeds on `valid`, over seeds and questions "
        f"on `dev`. {others}."
    )
    parts += ["## Where is KID above RKD?", compared, kid_table(settings)]
    return "\n\n".join(map(wrapped, parts)) + "\n"


def write_report(results: dict, folder: Path) -> None:
    """Write the page and its figures into a folder. The figures of the first setting need all that they show."""
    from parts.plots import plot_masking, plot_methods, plot_settings  # here: importing matplotlib takes a second

    settings = results["settings"]
    first = next(iter(settings.values()))
    ylabel = "EX % on dev"
    strategies, ratios = (
        {label: column(first, run, "ex") for label, run in REPORTS[name].rows.items() if run in first["runs"]}
        for name in ("strategies", "ratios")
    )
    lines = {"student base": first["models"]["student base"]["ex"]}  # the teacher's would flatten the bars
    methods = {name: column(first, name, "ex") for name in METHODS if name in first["runs"]}
    figures = ["epochs.png"]
    if len(methods) > 1:
        figures.append("methods.png")
        plot_methods(methods, lines, ylabel, folder / "methods.png")
    if "sft" in methods and len(strategies) > 1 and len(ratios) > 1:
        figures.append("masking.png")
        plot_masking(strategies, ratios, methods["sft"], ylabel, folder / "masking.png")
    epochs = {
        title: (
            {run: [one["valid"] for one in setting["runs"][run]] for run in ("sft", "rkd", "kid")},
            setting["models"]["student base"]["valid"],
        )
        for title, setting in settings.items()
        if {"sft", "rkd", "kid"} <= setting["runs"].keys()
    }
    plot_settings(epochs, folder / "epochs.png")
    write_atomically(folder / "README.md", page({**results, "figures": figures}))
