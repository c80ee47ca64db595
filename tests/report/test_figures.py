"""The paper's figures: what they show, in the words of their alt texts, and that they fit into a page."""

import re

import pytest
from helpers.synthetic_runs import write_run, write_score

from kid.report import figures
from kid.report.figures import inline_svg, undrawn_latency
from kid.report.groups import group_runs
from kid.report.runs import load_runs
from kid.report.sections import FIGURES

R, W = True, False


@pytest.fixture
def runs(tmp_path):
    """SFT and RKD with a saved step each, KID in three settings of masking, and RKD of another teacher."""
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
    add("rkd", [R, W, W, W], seconds=3.0, teacher="runs/big-7b/adapter")
    return folders


def drawn(number, folders):
    loaded, remarks = load_runs(folders)
    return FIGURES[number](group_runs(loaded, remarks))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "alt"),
    [
        (
            1,
            "Tiny-0.5B from big-4b: SFT 25.0 at 1.0, RKD 50.0 at 2.0, KID 75.0 at 2.5; "
            "Tiny-0.5B from big-7b: SFT 25.0 at 1.0, RKD 25.0 at 3.0",
        ),
        (2, "Tiny-0.5B: RKD 2.0 at big-4b, KID 2.5 at big-4b, RKD 3.0 at big-7b"),
        (4, "Tiny-0.5B from big-4b: random 75.0, hard 50.0, SFT 25.0"),
        (5, "Tiny-0.5B from big-4b: 0.1 0.0, 0.2 75.0, 0.5 100.0, SFT 25.0"),
        (
            6,
            "Tiny-0.5B from big-4b: SFT 25.0 after 4 steps, RKD 50.0 after 4 steps; "
            "Tiny-0.5B from big-7b: SFT 25.0 after 4 steps",
        ),
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


@pytest.mark.parametrize("number", [1, 2, 4, 5])
def test_no_runs_to_show_is_no_figure(runs, number):
    assert drawn(number, runs[:1]) is None
    assert drawn(number, [runs[3]]) is None


def test_latencies_that_are_not_drawn_are_said_with_their_reason(tmp_path):
    folders = [write_run(tmp_path / "sft")]
    folders += [write_run(tmp_path / f"kid-{name}", "kid", teacher=name, seconds=2.0) for name in ("t", "u")]
    assert drawn(2, folders).caption.endswith("by teacher.")
    folders += [write_run(tmp_path / name, name, teacher="t", ranks=4) for name in ("fkd", "rkd")]
    assert drawn(2, folders).caption.endswith(
        "by teacher. Not compared: FKD from t, RKD from t (Spider: ranks 4, SFT's 8)."
    )


def test_latencies_of_one_teacher_are_a_sentence(tmp_path):
    folders = [write_run(tmp_path / "sft"), write_run(tmp_path / "kid", "kid", teacher="t", seconds=2.0)]

    def said():
        return undrawn_latency(group_runs(*load_runs(folders)))

    assert said() == [
        "Latency by teacher is not drawn: no student has several teachers. The table of runs has seconds per step."
    ]
    folders.append(write_run(tmp_path / "other", student="org/Other-1B"))
    folders.append(write_run(tmp_path / "other-kid", "kid", "org/Other-1B", teacher="u", seconds=2.0))
    # Two teachers, but of a student each.
    assert drawn(2, folders) is None and len(said()) == 1
    folders.append(write_run(tmp_path / "rkd", "rkd", teacher="u", seconds=2.0))
    assert drawn(2, folders).alt == "Tiny-0.5B: RKD 2.0 at u, KID 2.0 at t" and said() == []
    del folders[1:]
    assert said() == []  # SFT alone has no latency to speak of


@pytest.mark.parametrize(("number", "values"), [
    (1, {25.0, 50.0}),
    (2, {2.0, 3.0}),
    (4, {50.0, 75.0}),
    (5, {50.0, 75.0}),
    (6, {25.0, 50.0}),
    (0, {0.5, 2 / 3, 1.0, 2.0}),
])  # fmt: skip
def test_what_was_not_measured_is_not_drawn_as_0(tmp_path, monkeypatch, number, values):
    """Runs without metrics (fkd), without scores (imitkd, a setting of masking), and without both (f-distill, kid)."""
    big = {"teacher": "runs/big-4b"}
    folders = [
        sft := write_run(tmp_path / "sft"),
        rkd := write_run(tmp_path / "rkd", "rkd", seconds=2.0, **big),
        fkd := write_run(tmp_path / "fkd", "fkd", seconds=None, **big),
        write_run(tmp_path / "imitkd", "imitkd", seconds=3.0, **big),
        write_run(tmp_path / "f-distill", "f-distill", seconds=None, **big),
        write_run(tmp_path / "other", "rkd", seconds=2.0, teacher="runs/big-7b"),
        write_run(tmp_path / "unmeasured", "kid", seconds=None, teacher="runs/big-7b"),
    ]
    for folder in (sft, rkd):
        write_score(folder, [R, R, W, W])
        write_score(folder, [R, W, W, W], "step-2/dev")
    write_score(fkd, [R, R, R, W])
    if number in (4, 5):
        key, settings = {4: ("mask_strategy", ("hard", "easy", "uniform")), 5: ("mask_ratio", (0.1, 0.3, 0.5))}[number]
        for setting, right in zip(settings, ([R, R, W, W], [R, R, R, W], None), strict=True):
            folders.append(write_run(tmp_path / str(setting), "kid", **big, **{key: setting}))
            if right:
                write_score(folders[-1], right)
    if number == 1:
        write_score(sft, [R, W, W, W])
    seen, close = set(), figures.plt.close
    monkeypatch.setattr(figures.plt, "close", lambda figure: seen.update(heights(figure)) or close(figure))
    assert drawn(number, folders)
    assert seen == values


def heights(figure):
    """The y of every bar, dot and line of data in a figure; reference lines and whiskers aside."""
    for axes in figure.axes:
        yield from (bar.get_height() for bar in axes.patches)
        yield from (y for dots in axes.collections if hasattr(dots, "get_sizes") for _, y in dots.get_offsets())
        for line in axes.lines:
            if line.get_linestyle() == "-":
                yield from line.get_ydata()


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
