"""When a report speaks of the paper's tables and figures, and what it says of those that are missing."""

import pytest
from helpers.synthetic_runs import write_run

from kid.report.paper import missing_results, numbered, reproduces_paper
from kid.report.runs import load_runs
from kid.report.tables import Table

QWEN, CODEGEN, LLAMA = "Qwen/Qwen1.5-0.5B", "Salesforce/codegen-350M-multi", "TinyLlama/TinyLlama-1.1B-step-1431k"


@pytest.mark.parametrize(
    ("students", "benchmark", "expected"),
    [
        ([QWEN, CODEGEN], "spider", True),
        ([QWEN, LLAMA], "bird", True),
        ([QWEN, QWEN], "spider", False),
        ([QWEN, CODEGEN], "jsonl", False),  # on questions of one's own
        ([QWEN, "models/ours", "Qwen/Qwen1.5-1.8B"], "spider", False),
    ],
)
def test_students_of_several_families_on_the_paper_s_benchmarks(tmp_path, students, benchmark, expected):
    folders = [
        write_run(tmp_path / str(number), student=student, benchmark=benchmark)
        for number, student in enumerate(students)
    ]
    assert reproduces_paper(load_runs(folders)[0]) is expected


def test_number_in_the_paper():
    table = Table("by method", "caption", ["method"], [["SFT"]])
    assert numbered(table, 3) == Table("Table 3: by method", "caption", ["method"], [["SFT"]])
    assert table.title == "by method"


def test_absent_tables_and_figures_have_what_would_fill_them():
    lines = missing_results([2, 3, 4, 5, 6], [1, 2, 4, 6, 0])
    assert [line.split(":")[0] for line in lines] == ["Table 7", "Figure 5"]
    assert "eval/exposure_bias.py" in lines[0] and "--mask-ratio" in lines[1]
