"""What a run on minibench has learned: the outputs, the scores, and what became of wrong labels."""

from __future__ import annotations

import json

import pytest
from parts import run_scores
from parts.run_scores import Judge, evaluate, evaluate_run, greedy_outputs, label_trust, saved_models

from kid.data.batching import ArrowSamples
from kid.errors import InputError
from kid.evaluation.prediction import generated_outputs, load_model
from kid.minibench.build import build_minibench
from kid.minibench.tiny_models import MODELS
from kid.models.pretrained import load_tokenizer
from kid.sql.one_line import one_line


@pytest.fixture(scope="module")
def judge(tmp_path_factory) -> Judge:
    """Of a minibench with 16 labels, half of them wrong; every eighth question of valid and dev."""
    data = tmp_path_factory.mktemp("judge") / "data"
    build_minibench(data, labels=16, label_errors=0.5, train_databases=4)
    for name in ("valid", "dev"):
        questions = json.loads((data / f"{name}.json").read_text())
        (data / f"{name}.json").write_text(json.dumps(questions[::8]))
    return Judge(data, load_tokenizer(MODELS / "student", "--model"))


@pytest.fixture(scope="module")
def student():
    return load_model(MODELS / "student", "cpu")


@pytest.mark.slow
def test_outputs_are_those_of_transformers_generate(judge, student):
    samples = list(ArrowSamples(judge.split("valid")[0].rows))
    assert any(sample.shared for sample in samples)
    batches = generated_outputs(student, judge.tokenizer, samples, run_scores.NEW_TOKENS, 16, 1, ())
    texts = {
        place: one_line(judge.tokenizer.decode(output, skip_special_tokens=True, clean_up_tokenization_spaces=False))
        for batch in batches
        for place, (output,) in batch
    }
    assert greedy_outputs(student, judge.tokenizer, samples) == [texts[place] for place in range(len(samples))]


@pytest.mark.slow
def test_a_model_on_dev_and_on_wrong_labels(judge, student, monkeypatch):
    golds = [question.query for question in judge.split("dev")[0].questions]
    wrong = json.loads((judge.data / "labels.json").read_text())["wrong"]

    def say_gold(model, tokenizer, samples):
        return golds if len(samples) == len(golds) else [label["gold"] for label in wrong]

    monkeypatch.setattr(run_scores, "greedy_outputs", say_gold)
    found = evaluate(judge, student)
    assert found["ex"] == 100 and found["right"] == "1" * len(golds) and found["predictions"] == golds
    labels = found["wrong_labels"]
    assert (labels["n"], labels["gold"]) == (8, 8) and labels["right"] == "1" * 8
    assert labels["label"] < 4  # a lost DISTINCT is right by EX


@pytest.mark.parametrize("while_training", [False, True])
def test_the_first_of_equally_good_steps_is_the_best(judge, tmp_path, monkeypatch, while_training):
    """EX on valid is what the training has measured there, if it has."""
    (tmp_path / "config.yaml").write_text(f"eval_split: {'valid' if while_training else 'dev'}\n")
    exs = {2: 30.0, 4: 40.0, 6: 40.0, 10: 20.0}
    asked = len(judge.split("valid")[0].questions)
    with (tmp_path / "metrics.jsonl").open("w") as file:
        for step, ex in exs.items():
            (tmp_path / "models" / f"step-{step}").mkdir(parents=True)
            file.write(json.dumps({"step": step, "seconds": 1.0, "ex": ex, "ex_questions": asked}) + "\n")
    monkeypatch.setattr(run_scores, "load_model", lambda folder, device: int(folder.name.removeprefix("step-")))
    judged = []

    def ex(model, split):
        judged.append(split)
        return {"ex": exs[model], "split": split}

    monkeypatch.setattr(judge, "ex", ex)
    monkeypatch.setattr(judge, "wrong_labels", lambda model: {"n": 0})
    found = evaluate_run(judge, tmp_path)
    assert found["valid"] == exs and list(found["valid"]) == [2, 4, 6, 10]
    assert (found["best_step"], found["best"]["ex"], found["last_step"], found["last"]["ex"]) == (4, 40.0, 10, 20.0)
    assert found["last"]["split"] == "dev" and judged.count("valid") == (0 if while_training else 4)


def test_a_run_that_saved_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="has no adapters/step-N or models/step-N; train it with --save-steps"):
        saved_models(tmp_path)


def test_trust_names_each_labels_least_probable_token(judge, student):
    found = label_trust(judge, student)
    assert [label["index"] for label in found] == list(range(16))
    assert all(0 < label["probability"] <= 1 and label["token"] for label in found)
    # The base has learned one SELECT on one table: it trusts COUNT(*) more than a join.
    train = judge.split("train")[0].questions
    by_join = {bool("JOIN" in train[label["index"]].query): [] for label in found}
    for label in found:
        by_join["JOIN" in train[label["index"]].query].append(label["probability"])
    assert max(by_join[True]) < max(by_join[False])
