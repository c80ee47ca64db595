import json
from pathlib import Path

import pytest

from kid.errors import InputError
from kid.evaluation.samples_file import SampledQuery, read_samples, samples_line, samples_path

SAMPLES = [[SampledQuery("SELECT 'a\u2028b'", -0.25), SampledQuery("", -3.0)], [], [SampledQuery("SELECT 1", -1.0)] * 2]
GOOD = {"sql": "SELECT 1", "log_probability": -1}


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_what_is_written_is_read(tmp_path):
    path = samples_path(tmp_path / "dev.sql")
    assert path.name == "dev.sql.samples.jsonl"
    path.write_text("".join(map(samples_line, range(3), SAMPLES)))
    assert read_samples(path, 3) == SAMPLES


@pytest.mark.parametrize(
    "second",
    [
        "",
        "[]",
        '{"index": 1',
        "[" * 9999,
        {"index": 0, "samples": [GOOD]},
        {"index": 1, "samples": [GOOD["sql"]]},
        {"index": 1, "samples": [GOOD | {"sql": None}]},
        {"index": 1, "samples": [GOOD | {"log_probability": None}]},
        '{"index": 1, "samples": [{"sql": "SELECT 1", "log_probability": NaN}]}',
    ],
)
def test_a_line_that_holds_something_else_is_named(tmp_path, second):
    path = write(tmp_path / "f", {"index": 0, "samples": [GOOD]}, second)
    with pytest.raises(InputError, match=r"f, line 2 does not have the samples of question 1; create it with"):
        read_samples(path, 2)


def test_files_of_other_questions_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"cannot read samples .*: No such file or directory; create it with"):
        read_samples(tmp_path / "f", 1)
    path = write(tmp_path / "f", {"index": 0, "samples": [GOOD]}, {"index": 1, "samples": [GOOD] * 2})
    with pytest.raises(InputError, match="has 2 lines but the split has 3 questions"):
        read_samples(path, 3)
    with pytest.raises(InputError, match="has 1 to 2 samples per question; every question needs the same number"):
        read_samples(path, 2)
    with pytest.raises(InputError, match="has no samples"):
        read_samples(write(tmp_path / "f", {"index": 0, "samples": []}), 1)
