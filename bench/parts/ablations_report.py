"""What the ablations gave, as tables and figures in docs/."""

from __future__ import annotations

import statistics
import textwrap
from dataclasses import dataclass
from pathlib import Path

from kid.config.methods import METHODS
from kid.files import write_atomically
from kid.report.text import format_mean, markdown_table
from parts.claims import CLAIMS, EX, EX_LAST, Measure, claims_table, compare, interval_over_seeds, with_interval
from parts.sections import marked, with_section


@dataclass(frozen=True)
class Report:
    """A table. rows: what a row is called -> its run, in order; error_rates: with the shares of changed tokens.

    against: a run; every other row has its difference to that, paired as in the claims.
    """

    title: str
    first_column: str
    rows: dict[str, str]
    against: str
    error_rates: bool = False


REPORTS = {
    "rewriting": Report(
        "Rewriting (Table 5), and what else KID may do",
        "output",
        # Where nothing is rewritten, kid is rkd to the last digit: it is not trained twice.
        {
            "vanilla KID (`--rewrite none`; rkd, to the last digit)": "rkd",
            "masking only": "kid-mask-only",
            "rewriting": "kid",
            "rewriting with sampled tokens (`--fill sample`)": "kid-sample",
            "likelihood on gold prefixes (`--mle-on gold`)": "kid-mle-on-gold",
            "no likelihood (`--mle-weight 0`)": "kid-no-mle",
        },
        against="rkd",
    ),
    # What gkd has beside other outputs: no likelihood of gold SQL, tokens sampled by chance, a step made for gold SQL.
    "outputs": Report(
        "Own outputs against gold, one thing at a time",
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


def name_of(setting: dict) -> str:
    wrong = f"{100 * setting['label_errors']:g} % of them wrong" if setting["label_errors"] else "all right"
    seeds = ", ".join(map(str, setting["seeds"]))
    return f"{setting['labels']:,} labels, {wrong}, {setting['epochs']} epochs, seeds {seeds}"


def column(setting: dict, run: str, key: str) -> list[float]:
    """A run's values of a key, one a seed."""
    return [one[key] for one in setting["runs"][run]]


def difference(setting: dict, run: str, other: str, measure: Measure = EX) -> str:
    """EX of a run less that of another, paired by seed and question, with its interval; of a run itself "-"."""
    return "-" if run == other else with_interval(*compare(measure, setting["runs"][run], setting["runs"][other]))


def table(report: Report, setting: dict) -> str:
    """A report's rows that the setting has, as Markdown: EX over the seeds, at the best and at the last checkpoint."""
    labelled = {label: run for label, run in report.rows.items() if run in setting["runs"]}
    header = [report.first_column, "EX best", f"less {report.against}, 95 % interval", "EX last"]
    rows = []
    for label, run in labelled.items():
        best, last = (format_mean(column(setting, run, key)) for key in ("ex", "ex_last"))
        rows.append([label, best, difference(setting, run, report.against), last])
    if report.error_rates:
        header += ["tokens changed, %", "of those masked, %"]
        for row, run in zip(rows, labelled.values(), strict=True):
            for key in ("error_rate", "masked_error_rate"):
                row.append(f"{100 * statistics.mean(column(setting, run, key)):.1f}")
    return markdown_table(header, rows)


def methods_table(setting: dict) -> str:
    """Table 2: each method with its divergence and the outputs it learns from, below teacher and base."""
    header = ["method", "divergence", "outputs", "learning rate", "EX best", "less sft, 95 % interval", "best epoch"]
    header += ["EX last", "s/step to sft", "wrong labels repeated", "put right"]
    rows = []
    for name, model in setting["models"].items():
        rows.append([name, "-", "-", "-", f"{model['ex']:.1f}", *"-" * (len(header) - 5)])
    for name, method in METHODS.items():
        if name not in setting["runs"]:
            continue
        both = (column(setting, run, "seconds") for run in (name, "sft"))
        price = [one / sft for one, sft in zip(*both, strict=True)]
        wrong = sum(column(setting, name, "wrong_labels"))
        labels = [sum(column(setting, name, key)) for key in ("labels_repeated", "labels_put_right")]
        rows.append(
            [
                name, method.divergence or "-", ", ".join(method.sources), setting["chosen"][name],
                format_mean(column(setting, name, "ex")), difference(setting, name, "sft"),
                f"{statistics.mean(column(setting, name, 'best_epoch')):.1f}",
                format_mean(column(setting, name, "ex_last")), f"{statistics.mean(price):.2f}",
                *(f"{100 * count / wrong:.0f} %" if wrong else "-" for count in labels),
            ]
        )  # fmt: skip
    return markdown_table(header, rows, left=3)


def rates_table(setting: dict) -> str:
    """EX on valid of every method under every learning rate."""
    rates = list(next(iter(setting["rates"].values())))
    rows = []
    for method, found in setting["rates"].items():
        marks = ["**" if rate == setting["chosen"][method] else "" for rate in rates]
        rows.append([method, *(f"{mark}{found[rate]:.1f}{mark}" for rate, mark in zip(rates, marks, strict=True))])
    return markdown_table(["EX on valid", *rates], rows)


def kid_table(settings: dict[str, dict]) -> str:
    """Every run of kid in every setting, less rkd there: the best epoch on valid, and best and last on dev."""
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


def paragraph(text: str) -> str:
    return textwrap.fill(text, 120, break_on_hyphens=False)


def setting_parts(title: str, setting: dict) -> list[str]:
    """A setting's tables, and the paper's claims judged by its runs."""
    where = f", in the setting *{setting['rates_of']}*" if setting["rates_of"] else ""
    chosen = (
        f"Learning rates, chosen by the best EX on `valid` under seed {setting['seeds'][0]}{where}: **bold**. Runs "
        "that vary a method have its rate."
    )
    parts = [f"### {title.capitalize()}: {name_of(setting)}", methods_table(setting), paragraph(chosen)]
    parts.append(rates_table(setting))
    for report in REPORTS.values():
        if report.against in setting["runs"] and len(set(report.rows.values()) & set(setting["runs"])) > 1:
            parts += [f"**{report.title}**", table(report, setting)]
    return [*parts, "**The paper's claims**", claims_table(setting["runs"])]


def section(results: dict) -> str:
    """The ablations' part of docs/results.md, its markers included."""
    settings = results["settings"]
    models = next(iter(settings.values()))["models"]
    sizes = {name: f"{model['parameters'] / 1e6:.1f} million parameters" for name, model in models.items()}
    pairs = sum(len(claim.pairs) for claim in CLAIMS)
    intro = (
        f"`{results['command']}` (`make ablations`). Teacher ({sizes['teacher']}) and student base "
        f"({sizes['student base']}) are those of `kid/minibench/models`; every student starts from that base, if "
        f"nothing else is said, and trains all weights with `{results['student_flags']}`. EX is percent on "
        "the 1,000 questions of `dev`, on databases in no other split, ± the sample standard deviation over seeds; "
        "*best*: the epoch with the highest EX on `valid`, *last*: after all epochs. Tokens changed: the share of the "
        f"output's tokens (without EOS) that the rewriting changed. Seconds are medians of a step, "
        f"{results['workers']} runs side by side."
    )
    judged = (
        "Claims are judged by the best checkpoints: differences of the first run less the second under the same seed, "
        "on the same questions. Intervals of EX say what other seeds and other questions of the kind would give (both "
        "drawn, crossed), those of ExAccErr and seconds what other seeds would; one teacher and one base stand behind "
        "all of them. Where nothing differs one interval in 20 says that something does, and there are "
        f"{pairs} here for each setting. A claim holds if it does for all its pairs, does not if it fails for one, "
        f"and is not testable here otherwise. ExAccErr is over whole outputs, by `{results['exposure_flags']}`. Paper: "
        "its difference for Qwen1.5-0.5B from 1.8B on Spider dev (Table 5: TinyLLaMA), where it gives one."
    )
    parts = ["## Ablations", paragraph(intro), "![EX on valid over epochs](ablations_epochs.png)"]
    parts += ["![EX by method](ablations_methods.png)", "![EX by masking strategy and mask ratio](ablations.png)"]
    parts += [
        "In the figures whiskers and bands are a standard deviation each way, dots are seeds; the last two are of the "
        "first setting.",
        "All of it by seed and question: [results/ablations/](results/ablations/).",
        paragraph(judged),
    ]
    for title, setting in settings.items():
        if "sft" in setting["runs"]:
            parts += setting_parts(title, setting)
    others = "; ".join(
        f"*{title}*: {name_of(setting)}, base {setting['models']['student base']['ex']:.1f} on dev"
        for title, setting in settings.items()
    )
    compared = (
        "Each run of kid less rkd, EX in points with 95 % intervals: over seeds on `valid`, over seeds and questions "
        f"on `dev`. {others}."
    )
    parts += ["### Where is KID above RKD?", paragraph(compared), kid_table(settings)]
    return marked("ablations", parts)


def write_report(results: dict, docs: Path) -> None:
    """Write the section into results.md, and the figures beside it."""
    from parts.plots import plot_masking, plot_methods, plot_settings  # not above: matplotlib takes a second

    (_, first), *_ = results["settings"].items()
    ylabel = "EX % on dev"
    strategies, ratios = (
        {label: column(first, run, "ex") for label, run in REPORTS[name].rows.items()}
        for name in ("strategies", "ratios")
    )
    lines = {name: model["ex"] for name, model in first["models"].items()}
    methods = {name: column(first, name, "ex") for name in METHODS}
    plot_methods(methods, lines, ylabel, docs / "ablations_methods.png")
    plot_masking(strategies, ratios, methods["sft"], ylabel, docs / "ablations.png")
    plot_settings(
        {
            name_of(setting): (
                {run: [one["valid"] for one in setting["runs"][run]] for run in ("sft", "rkd", "kid")},
                setting["models"]["student base"]["valid"],
            )
            for setting in results["settings"].values()
            if "sft" in setting["runs"]
        },
        docs / "ablations_epochs.png",
    )
    file = docs / "results.md"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    write_atomically(file, with_section(text, "ablations", section(results)))
