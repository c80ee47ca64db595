"""Which directory a run may have, and what is kept of a step that must not count."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from kid.config.keys import FREE_ON_RESUME
from kid.config.recipe import resolve_config
from kid.config.run_config import dump_config
from kid.data.cache import json_hash
from kid.errors import InputError
from kid.run import directory
from kid.run.directory import check_run_directory, create_run_directory, run_identity, save_nonfinite_batch
from kid.run.lock import run_lock


def config(folder: Path, **changes):
    flags = {"method": "kid", "student": "s", "teacher": "t", "data": "d", "output": str(folder)}
    return resolve_config(None, {**flags, **changes})


def test_a_run_may_be_resumed_under_the_same_config_only(tmp_path):
    folder = tmp_path / "run"
    check_run_directory(config(folder))
    create_run_directory(config(folder), {})
    assert {path.name for path in folder.iterdir()} == {"config.yaml", "environment.json", "skipped.json"}
    check_run_directory(config(folder, resume=True))
    check_run_directory(config(folder, resume=True, fused="off", logit_memory_mb=100))  # how, not what is trained
    check_run_directory(config(folder, resume=True, prefix="off", activation_checkpointing="yes"))
    check_run_directory(config(folder, resume=True, save_steps=1, teacher_deepspeed="elsewhere.json"))
    with pytest.raises(InputError, match="holds a run; add --resume"):
        check_run_directory(config(folder))
    with pytest.raises(InputError, match=r"differ: lr \(0.0002 there, 0.001 here\), seed \(0 there, 1 here\);"):
        check_run_directory(config(folder, resume=True, seed=1, lr=1e-3))
    template = "{{ ddl }}\n{{ question }}"
    with pytest.raises(InputError, match=r"prompt \('codes' there, 'template \(2 lines, sha256 \w{12}\)' here\);"):
        check_run_directory(config(folder, resume=True, prompt=template))
    (folder / "config.yaml").write_text("a: [")
    with pytest.raises(InputError, match="cannot be read"):
        check_run_directory(config(folder, resume=True))


# RunConfig itself refuses a NUL, in any of its texts.
REFUSED = r"--output '.*' has a line break or another control character|output = '.*' has a NUL"


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\v", "\x1b[2J", "\x85", "\u2028", "\0"])
def test_an_output_with_line_breaks_is_refused_before_it_is_made(break_, tmp_path):
    name = f"{tmp_path}/a{break_}b"
    for refuse in (lambda: check_run_directory(config(name)), lambda: run_lock(Path(name)).__enter__()):
        with pytest.raises(InputError, match=REFUSED) as error:
            refuse()
        assert len(str(error.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())
    check_run_directory(config(tmp_path / "Läufe 1\u3000ok"))


def test_a_key_that_came_after_a_run_has_its_default_in_it(tmp_path, monkeypatch):
    """And stays out of the run's config.yaml and of its identity, by which it knows its checkpoints."""
    monkeypatch.setattr(directory, "fingerprint", lambda model: "f")
    run, everything = config(tmp_path / "run", resume=True), yaml.safe_load(dump_config(config(tmp_path / "run")))
    file = tmp_path / "run" / "config.yaml"
    file.parent.mkdir()
    for late, other in (("weight_decay", 0.5), ("databases", ["elsewhere"]), ("mask_token", "[M]")):
        values = {key: value for key, value in everything.items() if key != late}
        file.write_text(yaml.safe_dump(values, sort_keys=False))
        kept = {key: value for key, value in values.items() if key not in FREE_ON_RESUME}
        check_run_directory(run)
        for _ in range(2):
            assert run_identity(run, None, "", 3, "")["config"] == json_hash(kept)
            create_run_directory(run, {})
        assert late not in yaml.safe_load(file.read_text())
        with pytest.raises(InputError, match=f"{late} .* there, .* here"):
            check_run_directory(config(tmp_path / "run", resume=True, **{late: other}))
    file.write_text(yaml.safe_dump({key: value for key, value in everything.items() if key != "prefix"}))
    create_run_directory(config(tmp_path / "run", resume=True, prefix="off"), {})  # may be other on resume, and is told
    assert yaml.safe_load(file.read_text())["prefix"] is False


def test_a_batch_that_gave_no_finite_loss_is_written_down(tmp_path):
    """Its questions by their places in the benchmark's file; a place without a question is none."""
    data = SimpleNamespace(indices=[4, 9, 2], db_ids=["a", "b", "c"])
    row = {"step": 7, "loss": math.nan, "grad_norm": math.inf, "source": "gold"}
    path = save_nonfinite_batch(tmp_path, data, [2, 0, None], row)
    assert path == tmp_path / "not-finite-step-7.json"
    questions = [{"index": 2, "db_id": "c"}, {"index": 4, "db_id": "a"}]
    expected = {"step": 7, "loss": "nan", "grad_norm": "inf", "source": "gold", "questions": questions}
    assert json.loads(path.read_text()) == expected
