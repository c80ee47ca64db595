"""The table of passes in docs/how-it-works.md is what `passes` gives."""

from helpers.launcher import ROOT
from helpers.steps import configuration

from kid.config.methods import METHODS
from kid.training.passes import OWN_TOKENS, STUDENT, TEACHER, count_passes, passes

HEADER = "| method | y is | student, no gradient | teacher | student, with gradient |"
# More flags of kid -> what they mean.
KID = {
    "`--mask-strategy hard` or `easy`": {"mask_strategy": "hard"},
    "`--rewrite mask-only`": {"rewrite": "mask-only"},
    "`--mle-on gold`": {"mle_on": "gold"},
}


def cells(config, source: str) -> tuple[str, str, str]:
    """What runs: by the student without gradient, by the teacher, by the student with gradient."""

    def said(model: str, trains: bool) -> str:
        mine = [this for this in passes(config, source) if this.model == model and this.needs_gradient == trains]
        return "; ".join(f"{this.reads}: {' + '.join(this.gives)}" for this in mine)

    return said(STUDENT, False), said(TEACHER, False), said(STUDENT, True)


def expected_lines() -> list[str]:
    rows: dict[tuple, list[str]] = {}
    for method, row in METHODS.items():
        for source in row.sources:
            rows.setdefault((source, *cells(configuration(method), source)), []).append(method)
    lines = [(", ".join(methods), *row) for row, methods in rows.items()]
    lines += [
        (f"kid {flags}", "imperfect", *cells(configuration("kid", **more), "imperfect")) for flags, more in KID.items()
    ]
    return ["|" + "|".join(f" {cell} " if cell else " " for cell in line) + "|" for line in lines]


def test_the_table_in_the_docs_is_the_table_of_passes():
    text = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")
    found = text[text.index(HEADER) :].split("\n\n")[0].splitlines()
    assert found[2:] == expected_lines()


def test_passes_are_counted_by_whether_they_train():
    assert count_passes(passes(configuration("kid", mask_strategy="hard", mle_on="gold"), "imperfect")) == (2, 2)
    assert count_passes(passes(configuration("gkd-rkl"), "on-policy")) == (1, 1)
    assert passes(configuration("gkd-rkl"), "on-policy")[0].reads == OWN_TOKENS
    assert count_passes(passes(configuration("sft"), "gold")) == (1, 0)
