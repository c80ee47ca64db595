"""The folder of an export: made whole or not at all, known again, and made again if it is damaged."""

import errno
import os
import resource
from pathlib import Path

import pytest
import torch
from helpers.exports import exported, stored, write_run

from kid.config.trained import EXPORT_FILE, trained_settings
from kid.errors import InputError
from kid.export import run as export
from kid.export.run import atomic_directory, export_merged, export_record, find_trained_student, is_exported
from kid.models.hashes import HASHES_FILE, write_hashes


def test_an_output_is_this_export_or_refused(base, tmp_path):
    run = write_run(tmp_path / "run", base)
    trained = find_trained_student(run, None)
    record = export_record(trained, "fp32")
    assert not is_exported(run / "merged", record)
    exported(run)
    assert is_exported(run / "merged", record)
    (run / "merged").rename(tmp_path / "moved")
    settings = {"max_prompt_length": 1024, "max_completion_length": 128, "evidence": True, "schema_filter": "lexical"}
    settings |= {"prompt": "codes", "chat_template": "none"}
    assert trained_settings(tmp_path / "moved") == (settings, tmp_path / "moved" / EXPORT_FILE)
    (tmp_path / "moved").rename(run / "merged")
    with pytest.raises(InputError, match="is an export of other weights, another step or dtype"):
        is_exported(run / "merged", export_record(trained, "bf16"))
    write_run(run, base, dtype="bf16")  # trained anew
    with pytest.raises(InputError, match="is an export of other weights"):
        is_exported(run / "merged", export_record(find_trained_student(run, None), "fp32"))
    with pytest.raises(InputError, match="adapter contains something else; remove it or choose another"):
        is_exported(run / "adapter", record)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "generation_config.json"])
@pytest.mark.parametrize("spoil", [cut, flip, Path.unlink])
def test_a_damaged_export_is_made_again_and_kept_beside(name, spoil, base, tmp_path, capsys):
    run = write_run(tmp_path / "run", base)
    folder = exported(run)
    record = export_record(find_trained_student(run, None), "fp32")
    whole = {key: value.clone() for key, value in stored(folder).items()}  # not mapped from the file
    (folder / "README.md").write_text("edited")
    (folder / "mine.gguf").write_text("x")
    assert is_exported(folder, record)
    for aside in ("merged.damaged", "merged.damaged-2"):
        capsys.readouterr()
        spoil(folder / name)
        assert not is_exported(folder, record)
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(f"{folder} is a damaged copy of this export and is created again: {folder / name} ")
        remarks = export_merged(find_trained_student(run, None), folder, "fp32", "command")
        assert f"the damaged export is now {run / aside}; remove it when you no longer need it" in remarks
        assert is_exported(folder, record)
    assert all(torch.equal(value, whole[key]) for key, value in stored(folder).items())
    assert (run / "merged.damaged" / "mine.gguf").exists()
    assert (run / "merged.damaged" / "README.md").read_text() == "edited"
    with pytest.raises(InputError, match=r"cannot be written"):  # whole ones are not replaced
        export_merged(find_trained_student(run, None), folder, "fp32", "command")


def flip_in_the_fingerprint(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b'"weights": "') + 20] ^= 4
    path.write_bytes(data)


def change_a_letter(path: Path) -> None:
    path.write_text(path.read_text().replace('"fp32"', '"fp3x"'))


@pytest.mark.parametrize(
    "spoil", [cut, flip_in_the_fingerprint, change_a_letter, lambda path: path.write_text("[" * 10**5)]
)
def test_a_damaged_record_of_an_export_is_called_damaged(spoil, base, tmp_path):
    """Nothing else tells which export the folder holds, so it is left alone."""
    run = write_run(tmp_path / "run", base)
    folder = exported(run)
    spoil(folder / EXPORT_FILE)
    with pytest.raises(InputError, match=r"its kid_export.json, .*, is damaged; remove the folder to export again"):
        is_exported(folder, export_record(find_trained_student(run, None), "fp32"))


def test_a_truncated_export_of_an_older_version_is_made_again(base, tmp_path):
    """It has no hashes."""
    run = write_run(tmp_path / "run", base)
    folder = exported(run)
    record = export_record(find_trained_student(run, None), "fp32")
    (folder / HASHES_FILE).unlink()
    assert is_exported(folder, record)
    cut(folder / "model.safetensors")
    assert not is_exported(folder, record)


def test_an_adapter_that_is_not_what_training_wrote_is_not_exported(base, tmp_path):
    run = write_run(tmp_path / "run", base)
    write_hashes(run / "adapter")
    find_trained_student(run, None)
    flip(run / "adapter" / "adapter_model.safetensors")
    with pytest.raises(InputError, match=r"adapter_model.safetensors has changed since it was written; copy it again"):
        find_trained_student(run, None)


def test_a_link_where_a_folder_is_prepared_is_not_followed(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x")
    (tmp_path / ".out.partial").symlink_to(tmp_path / "mine")
    with atomic_directory(tmp_path / "out") as partial:
        (partial / "written").write_text("x")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file"]
    assert not (tmp_path / "out").is_symlink() and (tmp_path / "out" / "written").exists()
    (tmp_path / ".other.partial").mkdir()
    (tmp_path / ".other.partial" / "link").symlink_to(tmp_path / "mine")
    with atomic_directory(tmp_path / "other") as partial:
        assert not list(partial.iterdir())
    assert (tmp_path / "mine" / "file").exists()


def test_a_disk_that_is_full(base, tmp_path, monkeypatch):
    run = write_run(tmp_path / "run", base)
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))  # a write beyond it fails
    try:
        with pytest.raises(InputError, match=r"--output .*merged cannot be written \(.*; free some space"):
            exported(run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(run.glob("*merged*"))
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(export.shutil, "disk_usage", lambda place: usage)
    size = sum(value.nbytes for value in stored(base).values())
    with pytest.raises(InputError, match=f"its weights take {size / 1e9:.2f} GB"):
        exported(run)


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic_directory(tmp_path / "out") as partial:
        (partial / "half").write_text("x")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".out.partial" / "left").mkdir(parents=True)  # of a process that was killed
    (tmp_path / ".out.partial" / "left" / "half").write_text("x")
    with atomic_directory(tmp_path / "out") as partial:
        assert list(partial.iterdir()) == []
        (partial / "file").write_text("x")
        with pytest.raises(InputError, match="another export is writing it"), atomic_directory(tmp_path / "out"):
            pass
        assert not (tmp_path / "out").exists()
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*")] == [Path("out"), Path("out/file")]
    with pytest.raises(InputError, match=os.strerror(errno.ENOTDIR)), atomic_directory(tmp_path / "out" / "file" / "x"):
        pass
