"""What make real leaves in docs/: small files without weights or places of the machine, tables beside the paper's."""

import json
import sys
from pathlib import Path

import pytest
import real_report
from launcher import ROOT
from real_report import PAPER, SPLITS, keep, main, main_table, readme_table, rows_of, standard_error
from sections import markers

from kid.errors import InputError
from kid.evaluation.report.runs import load_runs
from kid.evaluation.report.tables import TIMES

sys.path.append(str(ROOT / "tests" / "evaluation" / "report"))
from synthetic_runs import write_exposure, write_run, write_score

N = 100


def write_scores(run: Path, right: int, curve: bool = False) -> None:
    verdicts = [index < right for index in range(N)]
    for split in SPLITS:
        write_score(run, verdicts, split, split=split, ts=[index < right - 5 for index in range(N)], predictions=True)
    if curve:
        write_score(run, [index < right // 2 for index in range(N)], "step-2/dev")


@pytest.fixture
def real(tmp_path) -> Path:
    """A finished run of make real: sft and kid under two seeds."""
    folder = tmp_path / "real"
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
    (folder / "size").write_text("cpu\n")
    return folder


@pytest.fixture
def loaded(real):
    places = [real / "teacher", real / "healed", *sorted((real / "students").iterdir())]
    return rows_of(load_runs(places)[0])


def test_kept_is_small_and_names_no_place(real, tmp_path):
    run, kept = real / "students" / "kid-seed0", tmp_path / "kept"
    (kept / "of-before").mkdir(parents=True)
    keep(run, kept)
    found = {str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file()}
    scores = {f"scores/{split}.json" for split in SPLITS} | {"scores/step-2/dev.json", "scores/exposure_bias.json"}
    predictions = {f"predictions/{split}.sql" for split in SPLITS}
    assert found == {"config.yaml", "environment.json", "metrics.jsonl"} | scores | predictions
    assert not (kept / "of-before").exists()
    assert "data: spider\n" in (kept / "config.yaml").read_text() and "somewhere" in (run / "config.yaml").read_text()
    assert json.loads((kept / "scores/dev.json").read_text()) == json.loads((run / "scores/dev.json").read_text())
    keep(real / "teacher", kept)
    assert not list(kept.rglob("*.safetensors"))
    with pytest.raises(InputError, match=r"holds no config\.yaml; train it first"):
        keep(tmp_path, kept)


def test_tables_have_ours_and_the_paper_s(loaded):
    assert list(loaded) == ["teacher", "base", "sft", "kid"]
    lines = main_table(loaded).splitlines()
    assert lines[2].startswith("| teacher | - | 40.0 | 35.0 | 40.0 |")
    assert lines[3].startswith(f"| *in the paper* | *1.5{TIMES}* | *67.3* | *66.3* |")
    assert lines[4].startswith("| student before distilling | - | 10.0 |")
    assert lines[7].startswith(f"| KID | 1.5{TIMES} | 27.0 ± 1.4 | 22.0 ± 1.4 |")
    assert len(lines[7].split("|")) == len(lines[8].split("|")) == len(lines[0].split("|"))
    short = readme_table(loaded).splitlines()
    assert short[-1] == f"| KID | 27.0 ± 1.4 | 27.0 ± 1.4 | 27.0 ± 1.4 | 27.0 ± 1.4 | 1.5{TIMES} | 63.7 | 2.0{TIMES} |"
    mean = (40 + 10 + 20 + 22 + 26 + 28) / 6
    assert standard_error(loaded) == (N, pytest.approx((mean * (100 - mean) / N) ** 0.5))


def test_paper_s_numbers_are_whole_rows():
    assert all(len(numbers) == 1 + 2 * len(SPLITS) for numbers in PAPER.values())


def test_docs_and_readme_get_their_parts(real, tmp_path, monkeypatch):
    root = tmp_path / "checkout"
    (root / "docs").mkdir(parents=True)
    begin, end = markers("real")
    (root / "docs" / "results.md").write_text("# Results\n")
    (root / "README.md").write_text(f"# KID\n\n{begin}\nold\n{end}\n\n## More\n")
    monkeypatch.setattr(real_report, "ROOT", root)
    data = tmp_path / "spider"
    data.mkdir()
    items = [{"db_id": "pets", "question": f"q{index}", "query": f"SELECT {index}"} for index in range(N)]
    (data / "dev.json").write_text(json.dumps(items))
    monkeypatch.setattr(sys, "argv", ["real_report.py", "--runs", str(real), "--data", str(data)])
    main()
    results, readme = (root / "docs" / "results.md").read_text(), (root / "README.md").read_text()
    assert results.startswith(f"# Results\n\n{begin}\n\n## A real model on real Spider\n\n**A smoke run")
    parts = [
        "Seeds of the students: 0, 1.", '`make real SPIDER=spider REAL="--seeds 0 1"`', "torch 1.2",
        f"| KID | 1.5{TIMES} |", "(results/real/figure-1.png)", "(results/real/figure-6.png)", "Table 7",
        "What the student gets wrong", "10 predictions beside their gold", "SELECT 90",
    ]  # fmt: skip
    for part in parts:
        assert part in " ".join(results.split()), part
    assert "old" not in readme and "| KID | 27.0 ± 1.4 |" in readme and readme.endswith(f"{end}\n\n## More\n")
    assert (root / "docs/results/real/figure-1.png").stat().st_size > 1000
    kept = [path for path in (root / "docs/results/real").rglob("*") if path.is_file()]
    assert len(kept) == 2 + 2 * 11 + 4 * 13
