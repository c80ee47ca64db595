"""What make real leaves in docs/: small files without weights or places of the machine, tables beside the paper's."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import real_report
from helpers.launcher import ROOT
from helpers.synthetic_runs import write_exposure, write_run, write_score
from parts.claims import CLAIMS, EX
from parts.real_tables import PAPER, SPLIT_TITLES, error_on_dev, main_table, rows_of
from parts.sections import markers
from real_report import keep, main

from kid.errors import InputError
from kid.report.runs import load_runs
from kid.report.tables import TIMES

N = 100


def write_scores(run: Path, right: int, curve: bool = False) -> None:
    verdicts = [index < right for index in range(N)]
    for split in SPLIT_TITLES:
        write_score(run, verdicts, split, split=split, ts=[index < right - 5 for index in range(N)], predictions=True)
    if curve:
        write_score(run, [index < right // 2 for index in range(N)], "step-2/dev")


@pytest.fixture
def real(tmp_path, monkeypatch) -> Path:
    """A finished run of make real in a checkout: sft and kid under two seeds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(real_report, "ROOT", tmp_path)
    folder = Path("runs/real")
    alone = {"gpus": 0, "ranks": 1}
    write_scores(write_run(folder / "teacher", student="runs/real/smollm2", lora_rank=0, **alone), 40)
    write_scores(write_run(folder / "healed", student="runs/real/pruned", lora_rank=0, **alone), 10)
    (folder / "teacher" / "model").mkdir()
    (folder / "teacher" / "model" / "model.safetensors").write_text("weights")
    for seed in (0, 1):
        for method, right, seconds in (("sft", 20, 2.0), ("kid", 26, 3.0)):
            given = {"seed": seed, "seconds": seconds, "data": "/somewhere/else/spider", **alone}
            given |= {"teacher": str(folder / "teacher" / "model")} if method == "kid" else {}
            run = write_run(folder / "students" / f"{method}-seed{seed}", method, "runs/real/healed/model", **given)
            packages = dict.fromkeys(("torch", "transformers", "peft", "deepspeed"), "1.2")
            environment = json.loads((run / "environment.json").read_text()) | {"packages": packages}
            (run / "environment.json").write_text(json.dumps(environment))
            write_scores(run, right + 2 * seed, curve=True)
            write_exposure(run, str(folder / "teacher" / "model"))
    (folder / "settings.json").write_text('{"size": "cpu"}')
    return folder


@pytest.fixture
def loaded(real):
    places = [real / "teacher", real / "healed", *sorted((real / "students").iterdir())]
    return rows_of(load_runs(places)[0])


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_kept_is_small_and_names_no_place(real, tmp_path):
    run, kept = real / "students" / "kid-seed0", tmp_path / "kept"
    keep(run, kept)
    scores = {f"scores/{split}.json" for split in SPLIT_TITLES} | {
        "scores/step-2/dev.json",
        "scores/exposure_bias.json",
    }
    predictions = {f"predictions/{split}.sql" for split in SPLIT_TITLES}
    found = {str(path.relative_to(kept)) for path in files_in(kept)}
    assert found == {"config.yaml", "environment.json", "metrics.jsonl"} | scores | predictions
    assert "data: spider\n" in (kept / "config.yaml").read_text() and "somewhere" in (run / "config.yaml").read_text()
    assert json.loads((kept / "scores/dev.json").read_text()) == json.loads((run / "scores/dev.json").read_text())
    keep(real / "teacher", tmp_path / "other")
    assert not list((tmp_path / "other").rglob("*.safetensors"))


def test_tables_have_ours_and_the_paper_s(loaded):
    assert list(loaded) == ["teacher", "base", "sft", "kid"]
    lines = main_table(loaded).splitlines()
    assert lines[2].startswith("| teacher | - | 40.0 | 35.0 | 40.0 |")
    assert lines[3].startswith(f"| *in the paper* | *1.5{TIMES}* | *67.3* | *66.3* |")
    assert lines[4].startswith("| student before distilling | - | 10.0 |")
    assert lines[7].startswith(f"| KID | 1.5{TIMES} | 27.0 ± 1.4 | 22.0 ± 1.4 |")
    assert len(lines[7].split("|")) == len(lines[8].split("|")) == len(lines[0].split("|"))
    mean = (20 + 22 + 26 + 28) / 4
    assert error_on_dev(loaded) == (N, pytest.approx((mean * (100 - mean) / N) ** 0.5))


def test_paper_s_numbers_agree_with_those_of_the_claims():
    assert all(len(numbers) == 1 + 2 * len(SPLIT_TITLES) for numbers in PAPER.values())
    for claim in CLAIMS:
        for (first, second), difference in zip(claim.pairs, claim.paper, strict=True):
            if claim.measure is EX and difference and {first, second} <= set(PAPER) and claim.where != "Table 5":
                assert float(difference) == pytest.approx(PAPER[first][1] - PAPER[second][1]), (first, second)


def play_main(real: Path, monkeypatch) -> None:
    runs = [real / "teacher", real / "healed", *sorted((real / "students").iterdir())]
    monkeypatch.setattr(sys, "argv", ["real_report.py", *map(str, runs), "--data", "spider"])
    main()


@pytest.fixture
def checkout(real, tmp_path) -> Path:
    begin, end = markers("real")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "results.md").write_text(f"# Results\n\n{begin}\nwritten before\n{end}\n\n## More\n")
    (tmp_path / "spider").mkdir()
    items = [{"db_id": "pets", "question": f"q{index}", "query": f"SELECT {index}"} for index in range(N)]
    (tmp_path / "spider" / "dev.json").write_text(json.dumps(items))
    return tmp_path


@pytest.mark.slow
def test_docs_get_their_part(real, checkout, monkeypatch, capsys):
    (checkout / "docs/results/real/of-before").mkdir(parents=True)
    play_main(real, monkeypatch)
    begin, end = markers("real")
    results = (checkout / "docs" / "results.md").read_text()
    assert results.startswith(f"# Results\n\n{begin}\n\n## A real model on real Spider\n\n**A smoke test")
    parts = [
        "Seeds of the students: 0, 1.", '`make real SPIDER=spider REAL="--methods sft,kid --seeds 0 1 --docs"`',
        "torch 1.2", f"| KID | 1.5{TIMES} |", "(results/real/figure-1.png)", "(results/real/figure-6.png)",
        "Exposure bias of healed", "What the student gets wrong", "10 predictions next to gold SQL", "SELECT 90",
    ]  # fmt: skip
    for part in parts:
        assert part in " ".join(results.split()), part
    assert "written before" not in results and results.endswith(f"{end}\n\n## More\n")
    kept = checkout / "docs" / "results" / "real"
    assert (kept / "figure-1.png").stat().st_size > 1000 and not (kept / "of-before").exists()
    assert len(files_in(kept)) == 2 + 2 * 11 + 4 * 13
    for path in files_in(checkout / "docs"):
        if path.suffix != ".png":
            assert str(checkout) not in path.read_text() and "/somewhere" not in path.read_text(), path
    assert "written: docs/results.md" in capsys.readouterr().out


@pytest.mark.slow
def test_on_a_gpu_claims_are_judged(real, checkout, monkeypatch):
    (real / "settings.json").write_text('{"size": "gpu"}')
    for seed in (0, 1):
        for method in ("rkd", "gkd-rkl"):
            run = real / "students" / f"{method}-seed{seed}"
            shutil.copytree(real / "students" / f"kid-seed{seed}", run)
            config = (run / "config.yaml").read_text()
            (run / "config.yaml").write_text(config.replace("method: kid", f"method: {method}"))
    play_main(real, monkeypatch)
    results = (checkout / "docs" / "results.md").read_text()
    assert (
        "smoke test" not in results
        and "| **KID costs the same as RKD, within 10 %** (Table 3) |  |  | **holds** |" in results
    )
    assert "Random masking" not in results  # it has no such run


@pytest.mark.slow
def test_what_is_not_whole_is_refused_and_loses_nothing(real, checkout, monkeypatch):
    play_main(real, monkeypatch)
    before = {path: path.read_bytes() for path in files_in(checkout / "docs")}
    exposure = real / "students/kid-seed0/scores/exposure_bias.json"
    written = exposure.read_text()
    for content, said in (
        ("{}", f"{exposure} was skipped: .*; remove it if it exists"),
        (None, f"there is no {exposure}; "),
    ):
        exposure.write_text(content) if content else exposure.unlink()
        with pytest.raises(InputError, match=said):
            play_main(real, monkeypatch)
    exposure.write_text(written)
    (real / "students/kid-seed1/scores/dev.json").unlink()
    with pytest.raises(InputError, match="kid-seed1 is not trained and scored; finish it with make real first"):
        play_main(real, monkeypatch)
    assert before == {path: path.read_bytes() for path in files_in(checkout / "docs")}


def test_the_front_page_shows_no_smoke_run():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert markers("real")[0] not in text and "SmolLM2" not in text
