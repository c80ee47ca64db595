"""eval/predict.py from the command line."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from helpers.launcher import ROOT, run_script
from helpers.small_benchmark import edit

from kid.config.run_config import RunConfig, dump_config
from kid.errors import InputError

LIMIT = 5  # tokens


@pytest.fixture(scope="module")
def data(minibench, tmp_path_factory) -> Path:
    """Minibench with ten questions of `seen`."""
    folder = tmp_path_factory.mktemp("predict")
    for name in ("tables.json", "database"):
        (folder / name).symlink_to(minibench / name)
    (folder / "seen.json").write_text(json.dumps(json.loads((minibench / "seen.json").read_text())[::50]))
    return folder


def predict(model: Path, data: Path, output: Path, *flags: object) -> subprocess.CompletedProcess:
    given = ["--model", model, "--benchmark", "spider", "--data", data, "--split", "seen", "--output", output]
    return run_script("eval/predict.py", *given, "--max-completion-length", LIMIT, "--batch-size", 4, *flags)


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on(tiny_models, data, tmp_path):
    """What is kept is not decoded again, a torn line is, and one made otherwise is refused."""
    model, output, part = tiny_models / "teacher", tmp_path / "new" / "seen.sql", tmp_path / "new" / "seen.sql.part"
    segments = ["--batch-size", 1]  # of 8 and 2 questions
    done = predict(model, data, output, *segments)
    assert done.returncode == 0, done.stderr
    lines, made = output.read_text(), json.loads((tmp_path / "new" / "seen.sql.made.json").read_text())
    assert lines.count("\n") == 10 and not part.exists() and "10 lines, 10 predictions" in done.stdout
    assert (made["split"], made["beams"], made["evidence"]) == ("seen", 1, None)
    # As if it had been stopped in one of them; the first candidate tells whether it is decoded again.
    by_place = [json.dumps({"place": place, "candidates": [f"kept {place}"]}) for place in range(10)]
    part.write_text("\n".join([json.dumps(made), *by_place[:9], by_place[9][:-4]]))
    done = predict(model, data, output, *segments)
    assert done.returncode == 0 and "resuming after 9 of 10 questions" in done.stdout, done.stderr
    again = output.read_text().split("\n")
    anew = [place for place in range(10) if again[place] != f"kept {place}"]
    assert (
        9 in anew and len(anew) in (2, 8) and [again[place] for place in anew] == [lines.split("\n")[p] for p in anew]
    )
    output.unlink()
    part.write_text(json.dumps({**made, "beams": 3}) + "\n")
    refused = predict(model, data, output, *segments)
    assert refused.returncode == 2 and "these differ: beams (3 there, 1 here)" in refused.stderr
    for damage in ("\0" * 9, "[1]", '{"place": 3}'):
        part.write_text("\n".join([json.dumps(made), damage, ""]))
        refused = predict(model, data, output, *segments)
        assert refused.returncode == 2 and f"{part} is damaged; remove it" in refused.stderr
    with part.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused = predict(model, data, output, *segments)
    assert refused.returncode == 2 and f"--output {output} is being written by another process" in refused.stderr


@pytest.mark.slow
def test_samples_lie_beside_the_greedy_predictions(tiny_models, data, tmp_path):
    """These are as without samples; a run that was stopped draws what is missing, and one made otherwise is refused."""
    model, output, part = tiny_models / "teacher", tmp_path / "seen.sql", tmp_path / "seen.sql.part"
    done = predict(model, data, tmp_path / "plain.sql", "--batch-size", 3)
    assert done.returncode == 0, done.stderr
    flags = ["--samples", 3, "--temperature", 0.5, "--batch-size", 3]  # segments of 8 and 2 questions
    done = predict(model, data, output, *flags)
    assert done.returncode == 0 and f"{output}.samples.jsonl: 3 samples of each" in done.stdout, done.stderr
    assert output.read_text() == (tmp_path / "plain.sql").read_text()
    whole, made = Path(f"{output}.samples.jsonl").read_text(), json.loads(Path(f"{output}.made.json").read_text())
    lines = [json.loads(line) for line in whole.splitlines()]
    assert [line["index"] for line in lines] == list(range(10)) and not part.exists()
    assert all(len(line["samples"]) == 3 and line["samples"][0]["log_probability"] < 0 for line in lines)
    assert (made["samples"], made["temperature"], made["seed"]) == (3, 0.5, 0)
    # As if it had been stopped while it drew samples.
    greedy = [{"place": place, "candidates": [line]} for place, line in enumerate(output.read_text().splitlines())]
    drawn = [{"place": place, "samples": [[f"kept {place}", -1.5]] * 3} for place in range(9)]
    part.write_text("\n".join(map(json.dumps, [made, *greedy, *drawn])) + '\n{"place": 9, "sam')
    done = predict(model, data, output, *flags)
    assert done.returncode == 0 and "resuming after 10 of 10 questions, and the samples of 9" in done.stdout, (
        done.stderr
    )
    again = Path(f"{output}.samples.jsonl").read_text().splitlines()
    anew = [place for place in range(10) if "kept" not in again[place]]
    assert 9 in anew and len(anew) in (2, 8) and [again[p] for p in anew] == [whole.splitlines()[p] for p in anew]


def test_what_was_begun_with_other_samples_is_refused(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "eval"))  # for cli.py; bench/ has a predict.py too
    spec = spec_from_file_location("eval_predict", ROOT / "eval" / "predict.py")
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    part, made = tmp_path / "dev.sql.part", {"beams": 1, "samples": 3, "temperature": 0.5, "seed": 0}
    lines = [{"place": 4, "candidates": ["a"]}, {"place": 4, "samples": [["b", -1.5], ["c", -2]]}]
    part.write_text("\n".join(map(json.dumps, [made, *lines])) + '\n{"place": 5, "sam')
    assert script.decoded_so_far(part, made) == ({4: ["a"]}, {4: [("b", -1.5), ("c", -2.0)]})
    for other, said in (
        ({"samples": 4}, r"samples \(3 there, 4 here\);"),
        ({"temperature": 1.0}, r"temperature \(0.5 there, 1.0 here\);"),
        ({"seed": 1}, r"seed \(0 there, 1 here\);"),
    ):
        with pytest.raises(InputError, match=f"these differ: {said}"):
            script.decoded_so_far(part, made | other)
    with pytest.raises(InputError, match=r"samples \(3 there, None here\), temperature \(0.5 there, None here\), seed"):
        script.decoded_so_far(part, {"beams": 1})
    part.write_text(json.dumps({"beams": 1}) + "\n")  # of a version, or a run, without samples
    assert script.decoded_so_far(part, {"beams": 1}) == ({}, {})


@pytest.mark.slow
def test_beams_take_the_first_accepted(tiny_models, data, tmp_path):
    done = predict(tiny_models / "teacher", data, tmp_path / "seen.sql", "--beams", 2)
    assert done.returncode == 0, done.stderr
    assert "0 of 10 predictions are not the most probable" in done.stdout  # an untrained model's beams are no SQL
    made = json.loads((tmp_path / "seen.sql.made.json").read_text())
    candidates = [["SELEC 1", f"SELECT {place}"] for place in range(10)]
    lines = [json.dumps({"place": place, "candidates": texts}) for place, texts in enumerate(candidates)]
    (tmp_path / "seen.sql.part").write_text("\n".join([json.dumps(made), *lines, ""]))
    done = predict(tiny_models / "teacher", data, tmp_path / "seen.sql", "--beams", 2)
    assert done.returncode == 0 and "10 of 10 predictions are not the most probable" in done.stdout, done.stderr
    assert (tmp_path / "seen.sql").read_text() == "".join(f"SELECT {place}\n" for place in range(10))


@pytest.mark.slow
def test_bad_input_is_one_line(tiny_models, data, tmp_path):
    for flags, message in (
        (("--beams", 0), "--beams 0 is out of range"),
        (("--samples", 0), "--samples 0 is out of range"),
        (("--samples", 2, "--beams", 2), "--samples 2 and --beams 2 exclude each other"),
        (("--samples", 2, "--temperature", 0), "--temperature 0 is out of range"),
        (("--temperature", 1), "--temperature has no effect without --samples"),
        (("--model", "nowhere"), "--model nowhere does not exist"),
        (("--output", tmp_path), "is a folder; name a file"),
    ):
        done = predict(tiny_models / "teacher", data, tmp_path / "preds.sql", *flags)
        assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1, done.stderr


@pytest.mark.slow
def test_a_run_lends_its_settings_and_another_model_does_not_overwrite(tiny_models, data, tmp_path):
    kid, other, output = tmp_path / "kid", tmp_path / "other", tmp_path / "seen.sql"
    for run_folder, limit in ((kid, 300), (other, 200)):
        run_folder.mkdir()
        config = RunConfig(student="s", data=str(data), lora_rank=0, max_prompt_length=limit)
        (run_folder / "config.yaml").write_text(dump_config(config))
        (run_folder / "model").symlink_to(tiny_models / "teacher")
    done = predict(kid, data, output)
    assert done.returncode == 0 and f"settings from {kid}/config.yaml: --max-prompt-length 300" in done.stderr
    made, lines = json.loads(Path(f"{output}.made.json").read_text()), output.read_bytes()
    assert made["settings"]["max_prompt_length"] == 300 and made["model"] == str(kid / "model")
    again = predict(kid, data, output)
    assert again.returncode == 0 and f"{output} already holds these predictions; give --overwrite" in again.stdout
    refused = predict(other, data, output)
    assert refused.returncode == 2 and "these differ: the prompts;" in refused.stderr and output.read_bytes() == lines
    done = predict(other, data, output, "--overwrite", "--max-prompt-length", 250)
    assert done.returncode == 0 and "--max-prompt-length 250 (trained with --max-prompt-length 200)" in done.stderr
    assert json.loads(Path(f"{output}.made.json").read_text())["settings"]["max_prompt_length"] == 250


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_costs_nothing_but_the_time(tiny_models, data, tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("only root can make a disk that is small")
    try:
        (folder / "other").write_bytes(b"x" * 4000)
        done = predict(tiny_models / "teacher", data, folder / "seen.sql")
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert f"error: {folder / 'seen.sql'} cannot be written (" in done.stderr.splitlines()[-1]
        subprocess.run(["mount", "-o", "remount,size=10m", folder], check=True)
        done = predict(tiny_models / "teacher", data, folder / "seen.sql")
        assert done.returncode == 0 and "10 lines, 10 predictions" in done.stdout, done.stderr
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_model_whose_positions_end_before_its_longest_output_is_refused(tiny_models, data, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(tiny_models / "teacher", model)
    edit(model / "config.json", lambda values: values.update(max_position_embeddings=100))
    done = predict(model, data, tmp_path / "seen.sql")
    assert done.returncode == 2 and f"--model {model} reads at most 100 tokens" in done.stderr
    assert f"has an output of up to {LIMIT}; give --max-prompt-length {100 - LIMIT}" in done.stderr
