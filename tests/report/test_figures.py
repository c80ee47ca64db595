"""The paper's figures: what they show, in the words of their alt texts, and that they fit into a page."""

import json
import re

import pytest
from helpers.synthetic_runs import write_run, write_score

from kid.report.curves import scored_curve
from kid.report.figures import FIGURES, inline_svg
from kid.report.groups import group_runs
from kid.report.runs import load_runs

R, W = True, False


@pytest.fixture
def runs(tmp_path):
    """SFT and RKD with a saved step each, and KID in three settings of masking."""
    folders = []

    def add(method, right, seconds=1.0, **settings):
        given = settings if method == "sft" else {"teacher": "runs/big-4b/adapter", **settings}
        folders.append(write_run(tmp_path / f"run-{len(folders)}", method, seconds=seconds, **given))
        write_score(folders[-1], right)

    add("sft", [R, W, W, W])
    write_score(folders[0], [W, W, W, W], "step-2/dev")
    add("rkd", [R, R, W, W], seconds=2.0)
    write_score(folders[1], [R, W, W, W], "step-2/dev")
    add("kid", [R, R, R, W], seconds=2.5)
    add("kid", [R, R, W, W], mask_strategy="hard")
    add("kid", [R, R, R, R], mask_ratio=0.5)
    add("kid", [W, W, W, W], mask_ratio=0.1)
    return folders


def drawn(number, folders):
    loaded, remarks = load_runs(folders)
    return FIGURES[number](group_runs(loaded, remarks))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "alt"),
    [
        (1, "Tiny-0.5B from big-4b: SFT 25.0 at 1.0, RKD 50.0 at 2.0, KID 75.0 at 2.5"),
        (2, "Tiny-0.5B: RKD 2.0 at big-4b, KID 2.5 at big-4b"),
        (4, "Tiny-0.5B from big-4b: random 75.0, hard 50.0, SFT 25.0"),
        (5, "Tiny-0.5B from big-4b: 0.1 0.0, 0.2 75.0, 0.5 100.0, SFT 25.0"),
        (6, "Tiny-0.5B from big-4b: SFT 25.0 after 4 steps, RKD 50.0 after 4 steps"),
    ],
)
def test_figure(runs, number, alt):
    figure = drawn(number, runs)
    assert figure.alt == alt
    assert figure.png.startswith(b"\x89PNG")
    assert figure.svg.startswith("<svg") and figure.svg.endswith("</svg>")
    assert not re.search(r"https?:|url\((?!#)|href=\"(?!#)|<script|<image|#000000", figure.svg)
    texts = set(re.findall(r">([^<>]+)</text>", figure.svg))
    assert {1: "KID", 2: "big-4b", 4: "hard", 5: "mask ratio", 6: "optimizer step"}[number] in texts


@pytest.mark.parametrize("number", FIGURES)
def test_no_runs_to_show_is_no_figure(runs, number):
    assert drawn(number, runs[:1]) is None
    assert drawn(number, [runs[3]]) is None


def test_curve_is_a_mean_over_seeds_and_ends_with_the_finished_student(tmp_path):
    folders = []
    for seed, right in enumerate(([R, R], [W, W])):
        folders.append(write_run(tmp_path / str(seed), "kid", teacher="t", seed=seed))
        write_score(folders[-1], right)
        write_score(folders[-1], [R, W], "step-2/dev")
    assert drawn(6, folders).alt == "Tiny-0.5B from t: KID 50.0 after 4 steps"
    # A run still going has no finished student: its curve is a single point, which is no line.
    lines = (folders[0] / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folders[0] / "metrics.jsonl").write_text("".join(lines[:3]))
    assert drawn(6, folders[:1]) is None


def test_curve_has_the_steps_that_all_seeds_have(tmp_path):
    folders = []
    for seed, right in enumerate(([W] * 4 + [R], [R] * 4 + [W])):  # 20 and 80 % throughout
        folders.append(write_run(tmp_path / str(seed), "kid", teacher="t", seed=seed, steps=40))
        write_score(folders[-1], right)
        write_score(folders[-1], right, "step-20/dev")
    for step in (10, 30):
        write_score(folders[0], [W] * 4 + [R], f"step-{step}/dev")
    runs, remarks = load_runs(folders)
    [group] = group_runs(runs, remarks)
    assert scored_curve(group.methods["t"][0], ("spider", "dev", None)) == [(20, 50.0), (40, 50.0)]


def test_ex_measured_while_training_is_drawn_where_most_rows_have_it(tmp_path):
    """Of a row with scored adapters only, and of one that asked other questions, the caption says that they are not."""
    folders = []
    for method, exs, n in (("sft", (10, 20), 50), ("rkd", (30, 40), 50), ("kid", (50, 60), 50), ("fkd", (1, 2), 25)):
        folders.append(write_run(tmp_path / method, method, **({} if method == "sft" else {"teacher": "t"})))
        rows = [json.loads(line) for line in (folders[-1] / "metrics.jsonl").read_text().splitlines()]
        for row, ex in zip(rows[1::2], exs, strict=True):
            row |= {"ex": float(ex), "ex_questions": n}
        (folders[-1] / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    folders.append(write_run(tmp_path / "imitkd", "imitkd", teacher="t"))
    write_score(folders[-1], [R, W])
    write_score(folders[-1], [R, R], "step-2/dev")
    figure = drawn(6, folders)
    assert figure.alt.endswith("SFT 20.0 after 4 steps, RKD 40.0 after 4 steps, KID 60.0 after 4 steps")
    assert "EX % on 50 questions of dev, while training" in figure.svg
    assert figure.caption.endswith("Not drawn, since measured on other questions: FKD from t, ImitKD from t.")


def test_latencies_that_are_not_drawn_are_said_with_their_reason(tmp_path):
    folders = [write_run(tmp_path / "sft"), write_run(tmp_path / "kid", "kid", teacher="t", seconds=2.0)]
    assert drawn(2, folders).caption.endswith("by teacher.")
    folders += [write_run(tmp_path / name, name, teacher="t", ranks=4) for name in ("fkd", "rkd")]
    assert drawn(2, folders).caption.endswith(
        "by teacher. Not compared: FKD from t, RKD from t (Spider: ranks 4, SFT's 8)."
    )


def test_many_latencies_do_not_touch(tmp_path):
    folders = [write_run(tmp_path / "sft")]
    for teacher in ("a-1b", "b-2b", "c-3b"):
        for method in ("fkd", "rkd", "f-distill", "imitkd", "gkd-rkl", "kid"):
            given = {"teacher": f"runs/{teacher}", "seconds": 10.4}
            folders.append(write_run(tmp_path / f"{teacher}-{method}", method, **given))
    figure = drawn(2, folders)
    assert len(re.findall(r"rotate\(-90\)[^>]*>10.4", figure.svg)) == 18


def test_what_sft_is_drawn_with_is_seen_on_light_paper_and_on_dark(tmp_path):
    folders = [write_run(tmp_path / f"sft-{seed}", seed=seed) for seed in (0, 1)]
    folders += [write_run(tmp_path / str(ratio), "kid", teacher="t", mask_ratio=ratio) for ratio in (0.1, 0.2)]
    for folder, right in zip(folders, ([R, W], [R, R], [W, W], [R, R]), strict=True):
        write_score(folder, right)
    assert "fill: #808080; opacity: 0.2" in drawn(5, folders).svg  # black would be left to the default, on dark too


def test_ink_and_paper_are_the_page_s():
    svg = '<?xml?>\n<svg xmlns="http://w3" xmlns:xlink="x"><g id="axes_1"><use xlink:href="#m1" style="fill: #000000"/>'
    assert inline_svg(svg) == '<svg><g><use href="#m1" style="fill: currentColor"/>'
