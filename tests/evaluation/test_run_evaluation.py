"""eval/evaluate.py: which students, splits and files; what is there is not made again, what does not belong is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest
from helpers.synthetic_runs import write_run

from kid.config.trained import OTHER_FORM_FLAG
from kid.errors import InputError
from kid.evaluation.provenance import provenance_path
from kid.evaluation.run_evaluation import Evaluation, find_cells, show_results
from kid.evaluation.suites.folders import suite_hash
from kid.report.runs import load_run

EX = {"step-2": 60.0, "step-4": 50.0, "model": 50.0}  # the end of the run has the weights of step 4


def make_run(folder: Path, *students: str, **settings: object) -> Path:
    """A run of all weights with these students; step-4 and the end are the same."""
    run = write_run(folder, lora_rank=0, data=str(folder.parent), **settings)
    for name in students:
        (run / name).mkdir(parents=True)
        weights = "four" if name in ("model", "models/step-4") else name
        (run / name / "config.json").write_text(json.dumps({"weights": weights}))
    return run


@dataclass
class Scripted(Evaluation):
    """Writes what the scripts would, with EX of `EX`, and keeps their flags in `calls`; `fails`: those that fail."""

    calls: list[tuple[str, list[str]]] = field(default_factory=list)
    fails: tuple[str, ...] = ()

    def call(self, script, flags, keep=False):
        self.calls.append((script, list(flags)))
        if script in self.fails:
            raise InputError(f"eval/{script} has failed")
        cell = next(cell for cell in self.cells if str(cell.predictions) in flags)
        if script == "predict.py":
            cell.predictions.parent.mkdir(parents=True, exist_ok=True)
            cell.predictions.write_text(f"{cell.student.weights}\n")
            write_note(cell)
        else:
            write_score(cell, 1.0 if "--test-suite" in flags else None)
        return "shown" if keep else ""

    def made_files(self) -> list[str]:
        return [word for _, flags in self.calls for word in after(flags, "--output") + after(flags, "--json")]


def after(flags: list[str], name: str) -> list[str]:
    """The values of a flag."""
    return [value for word, value in pairwise(flags) if word == name]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_note(cell, **values):
    note = {"weights": cell.student.weights, "benchmark": "spider", "split": cell.split, "beams": 1}
    note |= {"settings": cell.student.settings, "predictions_sha256": sha256(cell.predictions)} | values
    provenance_path(cell.predictions).write_text(json.dumps(note))


def write_score(cell, ts):
    verdict = {"index": 0, "ex": True, "ts": None if ts is None else True}
    record = {"benchmark": "spider", "split": cell.split, "n": 1, "ex": EX[cell.student.folder.name], "ts": ts}
    cell.score.parent.mkdir(parents=True, exist_ok=True)
    record |= {"predictions_sha256": sha256(cell.predictions), "verdicts": [verdict]}
    cell.score.write_text(json.dumps(record))


def evaluate(run: Path, *splits: str, steps: str = "last", suite: Path | None = None, **more) -> Scripted:
    evaluation = Scripted(find_cells(run, splits or ("dev",), steps), Path("eval"), suite, False, **more)
    evaluation.run()
    return evaluation


def test_files_lie_where_the_report_reads_them(tmp_path, capsys):
    run = make_run(tmp_path / "kid", "models/step-2", "models/step-4", "model", damaged="skip", databases=("a", "b"))
    done = evaluate(run, "dev", "dk", steps="all")
    assert done.made_files() == [
        f"{run}/{folder}/step-{step}/{split}.{suffix}"
        for split in ("dev", "dk")
        for step in (2, 4)
        for folder, suffix in (("predictions", "sql"), ("scores", "json"))
    ]
    script, flags = done.calls[1]
    assert script == "score.py" and after(flags, "--damaged") == ["skip"] and after(flags, "--databases") == ["a", "b"]
    assert (run / "scores/step-2/dev.txt").read_text() == "shown"
    # The end of the run is step 4.
    assert (run / "predictions/dk.sql").read_text() == (run / "predictions/step-4/dk.sql").read_text()
    found = load_run(run, [])
    assert {step: sorted(split for _, split, _ in scores) for step, scores in found.curve.items()} == {
        2: ["dev", "dk"],
        4: ["dev", "dk"],
    }
    assert sorted(split for _, split, _ in found.scores) == ["dev", "dk"]
    show_results(done)
    said = capsys.readouterr().out
    assert "best step on dev: 2 (EX 60.00 %)" in said and "dk, step end: the same weights as step 4" in said


def test_what_is_there_and_belongs_is_not_made_again(tmp_path):
    cells = find_cells(make_run(tmp_path / "kid", "model"), ["dev"], "last")

    def calls(suite: Path | None = None) -> list[str]:
        evaluation = Scripted(cells, Path("eval"), suite, False)
        evaluation.run()
        return [f"{script} overwrites" if "--overwrite" in flags else script for script, flags in evaluation.calls]

    (cell,) = cells
    assert calls() == ["predict.py", "score.py"] and calls() == []
    assert calls(tmp_path) == ["score.py"] and calls(tmp_path) == calls() == []  # TS was missing
    for change in ({"beams": 4}, {"split": "dk"}, {"merge": "no"}, {"weights": "other"}, {"settings": {}}):
        write_note(cell, **change)
        assert calls() == ["predict.py"], change  # which refuses to overwrite them
    cell.predictions.write_text("edited\n")
    assert calls() == ["predict.py"]
    cell.predictions.write_text("others\n")
    write_note(cell)
    assert calls() == ["score.py overwrites"]  # the TS there is of predictions that are gone


def test_questions_that_have_changed_are_predicted_and_scored_again(tmp_path):
    run = make_run(tmp_path / "kid", "model")
    dev = tmp_path / "dev.json"

    def write(question: str, query: str) -> None:
        dev.write_text(json.dumps([{"db_id": "d", "question": question, "query": query}]))

    write("How many?", "SELECT 1")
    (cell,) = find_cells(run, ["dev"], "last")
    evaluate(run, "dev")
    write_note(cell, questions_sha256=cell.asked)
    cell.score.write_text(json.dumps({**json.loads(cell.score.read_text()), "questions_sha256": cell.judged}))
    assert not evaluate(run, "dev").calls
    write("How many?", "SELECT 2")  # other gold
    assert [script for script, _ in evaluate(run, "dev").calls] == ["score.py"]
    write("How few?", "SELECT 1")
    assert not find_cells(run, ["dev"], "last")[0].is_predicted()


def test_a_split_has_its_own_suite(tmp_path):
    cells = find_cells(make_run(tmp_path / "kid", "model"), ["dev", "dk"], "last")
    (tmp_path / "suites" / "dk").mkdir(parents=True)
    evaluation = Scripted(cells, Path("eval"), tmp_path / "suites", False)
    assert [evaluation.suite(cell) for cell in cells] == [tmp_path / "suites", tmp_path / "suites" / "dk"]


def test_ts_on_another_suite_is_scored_again(tmp_path):
    """Or on the same one, made again. Older scores do not name their suite."""
    run, suite = make_run(tmp_path / "run", "model"), tmp_path / "suite"
    (suite / "zoo").mkdir(parents=True)
    (suite / "zoo" / "zoo_01.sqlite").write_bytes(b"1")
    (cell,) = evaluate(run, suite=suite).cells
    record = json.loads(cell.score.read_text())
    assert not evaluate(run, suite=suite).calls
    cell.score.write_text(json.dumps({**record, "test_suite": suite_hash(suite)}))
    assert not evaluate(run, suite=suite).calls
    (suite / "suite.json").write_text("{}")
    assert [call[0] for call in evaluate(run, suite=suite).calls] == ["score.py"]


def test_what_is_finished_stays_where_a_script_fails(tmp_path):
    run = make_run(tmp_path / "kid", "model")
    with pytest.raises(InputError, match=r"score.py has failed"):
        evaluate(run, "dev", "dk", fails=("score.py",))
    assert [script for script, _ in evaluate(run, "dev", "dk").calls] == ["score.py", "predict.py", "score.py"]


def test_the_best_step(tmp_path):
    run = make_run(tmp_path / "kid", "models/step-2", "models/step-4")
    with pytest.raises(InputError, match=r"kid has no readable best.json; train with --keep-best"):
        find_cells(run, ["dev"], "best")
    (run / "best.json").write_text('{"step": 2, "ex": 50.0, "folder": "models/step-2"}')
    (cell,) = find_cells(run, ["dev"], "best")
    assert (cell.student.step, cell.score) == (2, run / "scores" / "step-2" / "dev.json")


def test_the_student_before_training_is_step_0_and_gets_the_runs_settings(tmp_path):
    base = tmp_path / "qwen"
    base.mkdir()
    (base / "config.json").write_text('{"weights": "base"}')
    run = make_run(tmp_path / "kid", "model", student=str(base), max_prompt_length=200)
    (cell,) = find_cells(run, ["dev"], "base")
    assert (cell.student.folder, cell.score) == (base, run / "scores" / "step-0" / "dev.json")
    flags = cell.predict_flags(overwrite=False)
    assert after(flags, "--model") == [str(base)] and after(flags, "--max-prompt-length") == ["200"]
    assert "None" not in flags and "[]" not in flags and not after(flags, "--databases")
    assert OTHER_FORM_FLAG in flags  # without a note that the base's own settings are unknown (tests/config)
    assert not after(find_cells(run, ["dev"], "last")[0].predict_flags(False), "--max-prompt-length")


def test_a_run_that_is_not_finished_has_its_steps(tmp_path, capsys):
    run = make_run(tmp_path / "kid", "models/step-2")
    assert [cell.student.name for cell in find_cells(run, ["dev"], "all")] == ["2"]
    assert "is not finished: there is no model/" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"an unfinished run: it has no model/; .* \(available: 2\)"):
        find_cells(run, ["dev"], "last")


@pytest.mark.parametrize(
    ("splits", "message"),
    [(["train"], "reports do not have this split of spider"), (["dev", "xx"], "split 'xx' of benchmark spider")],
)
def test_a_split_without_a_place_in_the_report(tmp_path, splits, message):
    run = make_run(tmp_path / "kid", "model")
    with pytest.raises(InputError, match=message):
        find_cells(run, splits, "last")
    with pytest.raises(InputError, match=r"has no config.yaml, so it is not a run's directory"):
        find_cells(tmp_path, splits, "last")


def test_a_script_that_fails_is_named(tmp_path):
    (tmp_path / "predict.py").write_text("import sys\nprint('shown')\nsys.exit(int(sys.argv[1]))")
    evaluation = Evaluation([], tmp_path, None, False)
    assert evaluation.call("predict.py", ["0"], keep=True) == "shown\n"
    with pytest.raises(
        InputError, match=r"eval/predict.py has failed, see above; finished files are kept, run the same command again"
    ):
        evaluation.call("predict.py", ["2"])
