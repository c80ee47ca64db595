"""The bookkeeping of teacher outputs: the ranks' batches, what is done already, and the files that are refused."""

import json
from itertools import groupby

import pytest

from kid.config.recipe import merge_config
from kid.data.batching import Sample
from kid.errors import InputError
from kid.training.generation import batches_of_ranks, drop_torn_line, generate, outputs_so_far, remove_parts

FIRST = {"teacher": "T", "sample_temperature": 1.0, "top_p": 1.0, "max_new_tokens": 9, "seed": 0}


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 5, 16])
def test_ranks_share_all_prompts_in_equally_many_batches(count, ranks):
    schemas = [[3, 3, 3], [4, 4, 4], []]
    prompts = [
        (index, Sample([*schemas[index % 3], *range(index % 7 + 2)], [], len(schemas[index % 3])))
        for index in range(count)
    ]
    parts = batches_of_ranks(prompts, ranks, 3)
    assert len(parts) == ranks and len({len(part) for part in parts}) == 1
    everything = [item for part in parts for batch in part for item in batch]
    assert sorted(index for index, _ in everything) == list(range(count))
    assert all(len(batch) <= 3 for part in parts for batch in part)
    # As they were dealt out, those with the same schema follow one another.
    dealt = [index for batches in zip(*parts, strict=True) for batch in batches for index, _ in batch]
    of_schema = [index % 3 for index in dealt if index % 3 < 2]
    assert len([*groupby(of_schema)]) == len({*of_schema})


def test_what_earlier_attempts_wrote_counts_whatever_their_ranks(tmp_path):
    assert outputs_so_far(tmp_path, FIRST) == {}
    (tmp_path / "header.json").write_text(json.dumps(FIRST))
    (tmp_path / "rank-0.jsonl").write_text('{"prompt": "a", "ids": [1]}\n{"prompt": "b", "i')
    (tmp_path / "rank-3.jsonl").write_text('{"prompt": "c", "ids": [2]}\n')
    assert set(outputs_so_far(tmp_path, FIRST)) == {"a", "c"}
    drop_torn_line(tmp_path / "rank-0.jsonl")
    assert (tmp_path / "rank-0.jsonl").read_text() == '{"prompt": "a", "ids": [1]}\n'
    drop_torn_line(tmp_path / "rank-1.jsonl")
    assert not (tmp_path / "rank-1.jsonl").exists()


def test_only_our_own_files_are_removed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "F.parts").symlink_to(tmp_path / "real")
    for name in ("header.json", "rank-0.jsonl", "rank-11.jsonl", "lock", "owner.json", "thesis.txt"):
        (tmp_path / "real" / name).touch()
    remove_parts(tmp_path / "F.parts")
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["thesis.txt"]
    (tmp_path / "real" / "thesis.txt").unlink()
    remove_parts(tmp_path / "F.parts")
    assert (tmp_path / "F.parts").is_symlink()
    remove_parts(tmp_path / "real")
    assert not (tmp_path / "real").exists()


@pytest.mark.parametrize("changes", [{"teacher": "U"}, {"top_p": 0.5}, {"max_new_tokens": 3}, {"seed": 1}])
def test_outputs_made_otherwise_are_refused(tmp_path, changes):
    (tmp_path / "header.json").write_text(json.dumps({**FIRST, **changes}))
    with pytest.raises(InputError, match=f"these differ: {next(iter(changes))} .*remove the folder, or choose another"):
        outputs_so_far(tmp_path, FIRST)


@pytest.fixture
def flags(minibench, tiny_models, tmp_path, monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    questions = tmp_path / "questions.json"
    questions.write_text(json.dumps(json.loads((minibench / "train_spider.json").read_text())[::250]))
    return {
        "teacher": str(tiny_models / "teacher"),
        "data": str(minibench),
        "questions": str(questions),
        "teacher_outputs": str(tmp_path / "f.jsonl"),
        "teacher_deepspeed": "ds_configs/teacher_whole.json",
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teacher": "/gone"}, "--teacher /gone does not exist"),
        ({"teacher_deepspeed": "gone.json"}, "--teacher-deepspeed gone.json: No such file"),
        ({"teacher_outputs": "."}, "--teacher-outputs . is a folder; name a file"),
    ],
)
def test_wrong_values(flags, changes, message):
    with pytest.raises(InputError, match=message):
        generate(merge_config(None, {**flags, **changes}))


def test_a_file_that_holds_other_outputs_is_not_overwritten(flags, tmp_path):
    (tmp_path / "f.jsonl").write_text(json.dumps(FIRST) + "\n")
    with pytest.raises(
        InputError,
        match="holds outputs of another teacher or training set, or with other settings; choose another file",
    ):
        generate(merge_config(None, flags))
    assert json.loads((tmp_path / "f.jsonl").read_text()) == FIRST
