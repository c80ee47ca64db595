"""A file of teacher outputs: what is refused, and how outputs find their prompts."""

import json

import pytest

from kid.config.recipe import resolve_config
from kid.data.batching import Dataset, Sample
from kid.data.teacher_outputs import outputs_header, prompt_hash, read_teacher_outputs, with_teacher_outputs
from kid.errors import InputError

SAMPLES = [Sample([5, 6], [8, 1]), Sample([7], [9, 9, 1]), Sample([5, 6], [8, 8, 1])]  # two with the same prompt
TRAIN = Dataset(SAMPLES, ["a", "b", "a"], ["a remark"])


@pytest.fixture
def config(tmp_path):
    flags = {"method": "f-distill", "student": "s", "teacher": "t", "data": "d", "output": "o"}
    return resolve_config(None, {**flags, "max_completion_length": 4, "teacher_outputs": str(tmp_path / "f.jsonl")})


def write(config, lines, **changes):
    with open(config.teacher_outputs, "w") as file:
        for line in [{**outputs_header(config, "T"), **changes}, *lines]:
            file.write(json.dumps(line) + "\n")


LINES = [{"prompt": prompt_hash([5, 6]), "ids": [2, 1]}, {"prompt": prompt_hash([7]), "ids": [3, 3, 3, 3]}]


def test_outputs_find_their_prompts(config):
    write(config, LINES, seed=9)  # the seed they were drawn with is not the run's
    got = with_teacher_outputs(TRAIN, read_teacher_outputs(config, "T"), config.teacher_outputs)
    assert [sample.completion_ids for sample in got.samples] == [[2, 1], [3, 3, 3, 3], [2, 1]]
    assert [sample.prompt_ids for sample in got.samples] == [[5, 6], [7], [5, 6]]
    assert (got.db_ids, got.remarks) == (TRAIN.db_ids, TRAIN.remarks)


@pytest.mark.parametrize(
    ("lines", "changes", "message"),
    [
        (LINES, {"teacher": "U"}, r"other settings: teacher \(not t\); create it again"),
        (LINES, {"sample_temperature": 0.0}, r"sample_temperature \(0.0 there, 1.0 here\)"),
        (LINES, {"top_p": 0.9}, r"top_p \(0.9 there, 1.0 here\)"),
        (LINES, {"max_new_tokens": 3}, r"max_new_tokens \(3 there, 4 here\)"),
        ([LINES[0], {**LINES[1], "ids": [3] * 5}], {}, r"outputs of 5 tokens, over --max-completion-length 4"),
        ([{"text": "SELECT"}], {}, r"line 2: it is not an output of a teacher"),
        ([{"prompt": "ab", "ids": 3}], {}, r"line 2: it is not an output of a teacher"),
        ([{"prompt": "ab", "ids": []}], {}, r"line 2: it is not an output of a teacher"),
        ([{"prompt": "ab", "ids": [1.5]}], {}, r"line 2: it is not an output of a teacher"),
    ],
)
def test_what_does_not_fit_is_refused(config, lines, changes, message):
    write(config, lines, **changes)
    with pytest.raises(InputError, match=message):
        read_teacher_outputs(config, "T")


def test_a_prompt_without_output_is_refused(config):
    write(config, LINES[:1])
    with pytest.raises(
        InputError, match=r"f.jsonl has no output for 1 of 3 training prompts; create it again with the data"
    ):
        with_teacher_outputs(TRAIN, read_teacher_outputs(config, "T"), config.teacher_outputs)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory; create it with train/generate.py"),
        ("", "is empty"),
        ("\xff\x00weights", "line 1: 'utf-8' codec"),
        ("SELECT 1\n", "line 1"),
        ("[1]\n", "line 1"),
        ('{"question": "how many"}\n', "line 1: it is not an output of a teacher"),
        ('{"teacher": "T"}\n{"prompt": "ab', "line 2"),
    ],
)
def test_files_that_are_none(config, tmp_path, content, message):
    if content is not None:
        (tmp_path / "f.jsonl").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        read_teacher_outputs(config, "T")
