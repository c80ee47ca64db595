"""eval/report.py from its command line: runs of the whole paper, real predictions, bad input."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.launcher import run_script
from helpers.synthetic_runs import FAMILIES, write_paper, write_run, write_score

from kid.report.page import to_html, to_markdown
from kid.report.runs import load_runs
from kid.report.sections import report_sections

SCRIPT = Path(__file__).parents[2] / "eval" / "report.py"


def report(*arguments):
    return run_script(SCRIPT, *arguments)


@pytest.mark.slow
def test_everything_in_the_paper(tmp_path):
    """Of Table 3 one teacher and three methods, of Table 4 one family, and BIRD one way keep it short."""
    qwen, codegen = list(FAMILIES)[:2]
    few = FAMILIES[qwen]["qwen1.5-32b"]
    families = {qwen: {"qwen1.5-7b": few, "qwen1.5-32b": few}, codegen: FAMILIES[codegen]}
    folders = write_paper(tmp_path / "runs", n=24, families=families, homes=("spider", "bird-with"))
    runs, remarks = load_runs(folders)
    sections = report_sections(runs, remarks, None)
    assert [section.title for section in sections] == [
        "Overview", "Tables", "Figures", "Significance", "Failures", "10 predictions", "Runs",
    ]  # fmt: skip
    assert remarks == []
    text, page = to_markdown("Report", sections), to_html("Report", sections)
    for name in (*(f"Table {number}" for number in range(2, 8)), *(f"Figure {number}" for number in (1, 2, 4, 5, 6))):
        assert f"### {name}: " in text and f">{name}: " in page
    assert "### Training loss over steps" in text
    assert not re.search(r'https?:|(src|href)="(?!#)|url\((?!#)', page)
    assert all(str(folder) in text for folder in folders)


def test_few_runs_say_what_is_missing(tmp_path):
    sft, kid = write_run(tmp_path / "sft"), write_run(tmp_path / "kid", "kid", teacher="t", seconds=2.0)
    write_score(sft, [True, False])
    (kid / "scores").mkdir()
    (kid / "scores" / "dev.json").write_text("{")
    result = report(sft, kid, "--output", tmp_path / "report")
    assert result.returncode == 0, result.stderr
    assert "dev.json was skipped: it cannot be read" in result.stdout
    text = (tmp_path / "report" / "report.md").read_text()
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == ["loss.png", "report.html", "report.md"]
    assert f"```sh\n# {kid}: no predictions on Spider-dev\npython eval/evaluate.py {kid} --splits dev\n```" in text
    assert "Table 7" not in text and "Figure 1" not in text
    assert "| KID | 2.0\u00d7 | - | - | - |" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([".", "--output", "out"], "has no config.yaml"),
        (["run"], "the following arguments are required: --output"),
        (["run", "--output", "run/config.yaml"], "run/config.yaml is not a folder"),
        (["run", "--output", "out", "--data", "nowhere"], "--data nowhere does not exist"),
        (["run", "--output", "out", "--surprise"], "unrecognized arguments: --surprise"),
    ],
)
def test_bad_input_is_one_line(tmp_path, arguments, message):
    write_score(write_run(tmp_path / "run"), [True])
    command = [sys.executable, SCRIPT, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert result.returncode == 2 and result.stdout == ""
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("error: ") and message in result.stderr
    assert not (tmp_path / "out").exists()


def test_help_has_an_example():
    result = report("--help")
    assert result.returncode == 0 and "python eval/report.py runs/sft runs/kid --data spider" in result.stdout


def test_real_predictions_beside_real_gold(real_data, tmp_path):
    run = write_run(tmp_path / "kid", "kid", teacher="t")
    reference = json.loads((real_data / "eval_reference" / "codes-1b-spider.json").read_text())
    write_score(run, [verdict == 1 for verdict in reference["verdicts"]])
    predictions = run / "predictions" / "dev.sql"
    predictions.parent.mkdir()
    predictions.write_text((real_data / "eval_reference" / "codes-1b-spider.txt").read_text())
    result = report(run, "--data", real_data / "spider", "--output", tmp_path / "report")
    assert result.returncode == 0, result.stderr
    text = (tmp_path / "report" / "report.md").read_text()
    assert "## 10 predictions next to gold SQL" in text
    assert "**How many singers do we have? (concert\\_singer)**" in text and "SELECT count(*) FROM singer" in text
