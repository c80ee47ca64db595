"""The scores of bench/evaluate_run.py: EX of runs and models on minibench's splits, and wrong labels reproduced."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kid.config.recipe import merge_config
from kid.config.run_config import RunConfig
from kid.data.batching import ArrowSamples, Sample
from kid.data.prepare import Prepared, prepare
from kid.data.questions import Question, find_databases
from kid.errors import InputError
from kid.evaluation.execution_accuracy import Verdict, percent_correct, score_predictions
from kid.evaluation.label_trust import label_log_probabilities
from kid.evaluation.prediction import decode_candidates, load_model
from kid.report.runs import read_metrics

NEW_TOKENS, BATCH = 80, 64
Split = tuple[Prepared, dict[str, list[Path]]]


def saved_models(run: Path) -> dict[int, Path]:
    """Step -> model folder or adapter, for all that a run has saved, in order of step."""
    found = {
        int(path.name.removeprefix("step-")): path
        for kind in ("adapters", "models")
        for path in run.glob(f"{kind}/step-*[0-9]")
    }
    if not found:
        raise InputError(f"--run {run} has no adapters/step-N or models/step-N; train it with --save-steps")
    return dict(sorted(found.items()))


def greedy_outputs(model, tokenizer, samples: Sequence[Sample]) -> list[str]:
    """A model's SQL for each prompt, decoded as in eval/predict.py."""
    found = {}
    for outputs in decode_candidates(model, tokenizer, samples, NEW_TOKENS, BATCH):
        found |= {index: lines[0] for index, lines in outputs}
    return [found[index] for index in range(len(samples))]


class Judge:
    """Predicts and scores minibench's splits, each prepared once."""

    def __init__(self, data: Path, tokenizer) -> None:
        self.data, self.tokenizer = data, tokenizer
        self.splits: dict[str, Split] = {}

    def split(self, name: str) -> Split:
        if name not in self.splits:
            prepared = prepare(RunConfig(benchmark="spider", data=str(self.data)), name, self.tokenizer)
            db_ids = [question.db_id for question in prepared.questions]
            paths = find_databases("spider", name, self.data, db_ids)
            self.splits[name] = prepared, {db_id: [path] for db_id, path in paths.items()}
        return self.splits[name]

    def predict(self, model, name: str, indices: Sequence[int] | None = None) -> tuple[list[Question], list[str]]:
        """(the questions of a split with these indices, by default all; the model's SQL for each)."""
        prepared, _ = self.split(name)
        samples, questions = list(ArrowSamples(prepared.rows)), prepared.questions
        chosen = range(len(questions)) if indices is None else indices
        samples, questions = [samples[index] for index in chosen], [questions[index] for index in chosen]
        return questions, greedy_outputs(model, self.tokenizer, samples)

    def score(self, name: str, questions: Sequence[Question], predictions: Sequence[str]) -> list[Verdict]:
        return score_predictions(questions, predictions, self.split(name)[1], workers=1, title=name)

    def ex(self, model, name: str) -> dict:
        """EX on a split in percent, the verdicts as a string of digits, and the predictions."""
        questions, predictions = self.predict(model, name)
        verdicts = self.score(name, questions, predictions)
        right = "".join(str(int(verdict.correct)) for verdict in verdicts)
        return {"ex": percent_correct(verdicts), "right": right, "predictions": predictions}

    def wrong_labels(self, model) -> dict:
        """Predict the training questions with a wrong label, and count predictions with the label's or the gold rows.

        `right` has a digit for each prediction: whether it gives the gold rows.
        """
        wrong = json.loads((self.data / "labels.json").read_text(encoding="utf-8"))["wrong"]
        if not wrong:
            return {"n": 0, "label": 0, "gold": 0, "predictions": [], "right": ""}
        questions, predictions = self.predict(model, "train", [label["index"] for label in wrong])
        found: dict = {"n": len(wrong), "predictions": predictions}
        golds = [label["gold"] for label in wrong]
        for name, queries in (("label", [question.query for question in questions]), ("gold", golds)):
            asked = [
                Question(index, question.db_id, question.question, query, "")
                for index, (question, query) in enumerate(zip(questions, queries, strict=True))
            ]
            right = [verdict.correct for verdict in self.score("train", asked, predictions)]
            found |= {name: sum(right), "right": "".join(str(int(one)) for one in right)}
        return found


def label_trust(judge: Judge, model) -> list[dict]:
    """For each training question, its index, and the probability and text of the label's least probable token."""
    rows = judge.split("train")[0].rows
    found = []
    for index, tokens in label_log_probabilities(model, judge.tokenizer, ArrowSamples(rows), BATCH):
        row, least = rows[index], int(tokens.argmin())
        text = judge.tokenizer.decode([row["completion_ids"][least]])
        found.append({"index": row["index"], "probability": float(np.exp(tokens[least])), "token": text})
    return sorted(found, key=lambda one: one["index"])


def evaluate(judge: Judge, model) -> dict:
    """Evaluate a model on `dev` and on the wrongly labelled training questions."""
    return judge.ex(model, "dev") | {"wrong_labels": judge.wrong_labels(model)}


def measured_ex(run: Path, questions: int) -> dict[int, float]:
    """Step -> EX on this many questions of `valid`, if measured during training; otherwise empty."""
    if merge_config(run / "config.yaml", {}).eval_split != "valid":
        return {}
    rows = read_metrics(run / "metrics.jsonl")[0]
    return {row["step"]: row["ex"] for row in rows if row.get("ex_questions") == questions}


def evaluate_run(judge: Judge, run: Path) -> dict:
    """EX of all saved steps on `valid`, and of the last and the best step (ties go to the first) on `dev`."""
    models = saved_models(run)
    valid = measured_ex(run, len(judge.split("valid")[0].questions))
    if not models.keys() <= valid.keys():
        valid = {step: judge.ex(load_model(folder, "cpu"), "valid")["ex"] for step, folder in models.items()}
    best, last = max(valid, key=lambda step: (valid[step], -step)), max(valid)
    found = {step: evaluate(judge, load_model(models[step], "cpu")) for step in {best, last}}
    return {"valid": valid, "best_step": best, "last_step": last, "best": found[best], "last": found[last]}
