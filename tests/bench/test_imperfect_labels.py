"""What is said of the numbers: the interval, the shares, and one sentence whichever way they fall."""

from __future__ import annotations

import json

import imperfect_labels
import pytest


def write_scores(folder, rights: dict[str, str]) -> imperfect_labels.Comparison:
    made = imperfect_labels.Comparison(folder, [0], 1000, 0.2)
    for name, right in rights.items():
        labels = {"n": 10, "label": 4, "gold": 5}
        one = {"ex": 100 * right.count("1") / len(right), "right": right, "wrong_labels": labels}
        made.scores(name).parent.mkdir(parents=True, exist_ok=True)
        is_student = name in made.students
        found = {"last": one, "best": one, "best_step": 63, "valid": {"63": 1.0}} if is_student else one
        made.scores(name).write_text(json.dumps(found))
    return made


@pytest.mark.parametrize(
    ("rkd", "kid", "said"),
    [
        (
            "1" * 300,
            "0" * 300,
            "rkd ends above sft, +50.0 points (+44.3 to +55.7) and kid ends below sft, -50.0 points",
        ),
        (
            "01" * 150,
            "10" * 150,
            "rkd ends not apart from sft, +0.0 points (+0.0 to +0.0) and kid ends not apart from sft",
        ),
    ],
)
def test_the_sentence_follows_the_numbers(tmp_path, rkd, kid, said):
    rights = {"student base": "0001" * 75, "teacher": "1" * 300, "sft-seed0": "01" * 150}
    made = write_scores(tmp_path, rights | {"rkd-seed0": rkd, "kid-seed0": kid})
    sentence = made.conclusion()
    assert sentence.startswith("With 1000 labels, 20 % of them wrong, fine-tuning moves the base by +25.0 points; ")
    assert said in sentence and sentence.endswith("on 300 questions on new databases.")


def test_intervals_and_shares():
    assert imperfect_labels.half_width(["01" * 200]) == "4.9"  # 1.96 * 0.5 / 20
    assert imperfect_labels.half_width(["0011", "0101"]) == f"{100 * 1.96 * 0.125**0.5 / 2:.1f}"
    assert imperfect_labels.shares([{"n": 10, "label": 4, "gold": 5}, {"n": 10, "label": 2, "gold": 6}]) == [
        "30 %",
        "55 %",
    ]
    assert imperfect_labels.shares([{"n": 0, "label": 0, "gold": 0}]) == ["-", "-"]


def test_other_settings_in_the_same_folder_are_refused(tmp_path, monkeypatch):
    with pytest.raises(imperfect_labels.InputError, match="teacher is missing; make it with python bench/pretrain"):
        monkeypatch.setattr(imperfect_labels, "MODELS", tmp_path / "nowhere")
        imperfect_labels.Comparison(tmp_path, [0], 1000, 0.2).check_settings()
    (tmp_path / "nowhere" / "teacher").mkdir(parents=True)
    imperfect_labels.Comparison(tmp_path, [0], 1000, 0.2).check_settings()
    imperfect_labels.Comparison(tmp_path, [0, 1], 1000, 0.2).check_settings()
    with pytest.raises(
        imperfect_labels.InputError, match=r"holds runs of other settings: label_errors \(0.2 there, 0.0 here\)"
    ):
        imperfect_labels.Comparison(tmp_path, [0], 1000, 0.0).check_settings()
