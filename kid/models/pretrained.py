"""Where a pretrained model lies, and its tokenizer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kid.config.trained import student_folder
from kid.errors import InputError
from kid.models.hashes import check_hashes

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

MASK_TOKEN_ORDER = ("mask_token_id", "bos_token_id", "unk_token_id", "pad_token_id", "eos_token_id")
# Of each file of weights, so many samples of so many bytes go into a fingerprint.
FINGERPRINT_SAMPLES, FINGERPRINT_BYTES = 64, 2**16
SMALL_FILES = ["*.json", "*.model", "*.txt", "*.jinja", "README.md"]


def check_model_path(name: str, flag: str) -> Path | None:
    """The folder of a model if `name` is one, or a finished run's directory; None if it can only be a hub id.

    Raises:
        InputError: it is none of these: an adapter, a run that is not finished, a folder without config.json.
    """
    folder = student_folder(Path(name), flag)
    if (folder / "config.json").is_file():
        return folder
    if (folder / "adapter_config.json").is_file():
        raise InputError(f"{flag} {folder} is an adapter; {merge_advice(folder)}")
    if folder.is_dir():
        raise InputError(f"{flag} {name} has no config.json; give a folder written by save_pretrained")
    if folder.is_absolute() or name.startswith(".") or len(folder.parts) > 2:
        raise InputError(f"{flag} {name} does not exist; give a model's folder or a hub id")
    return None


def merge_advice(adapter: Path) -> str:
    """How an adapter becomes a model: the command, if it lies in a run."""
    steps = adapter.parent.name == "adapters" and adapter.name.startswith("step-")
    run = adapter.absolute().parent.parent if steps else adapter.absolute().parent
    if not (run / "config.yaml").is_file():
        return "merge it into its base first and give the merged model's folder"
    shown = adapter.parent.parent if steps else adapter.parent
    step = adapter.name.removeprefix("step-")
    command = f"python train/export.py {shown} --merge" + (f" --step {step}" if steps else "")
    merged = shown / (f"merged-step-{step}" if steps else "merged")
    return f"give {merged}" if merged.is_dir() else f"run {command} and give {merged}"


def find_model(name: str, flag: str) -> Path:
    """The folder of a model: `name` itself, the model/ of a run, or the hub's snapshot of it, fetched if not cached.

    Raises:
        InputError: neither a folder with a config.json nor a model the hub can give; or a run that is not finished.
    """
    if folder := check_model_path(name, flag):
        return folder
    from huggingface_hub import snapshot_download

    try:
        # Many repositories hold the weights twice; .bin is only fetched where there is nothing better.
        found = Path(snapshot_download(name, allow_patterns=[*SMALL_FILES, "*.safetensors"]))
        if not any(found.glob("*.safetensors")):
            found = Path(snapshot_download(name, allow_patterns=[*SMALL_FILES, "*.bin"]))
        return found
    except Exception as error:  # the hub client raises a dozen kinds; each means that the model cannot be had
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"{flag} {name} is no folder, and the hub does not give it ({reason})") from None


@dataclass(frozen=True)
class Pretrained:
    """Folders of a model: its base, the adapter trained on it if there is one, and where its tokenizer lies."""

    base: Path
    adapter: Path | None
    tokenizer: Path


def find_teacher(name: str, flag: str) -> Pretrained:
    """A teacher: a model, a finished run, or its adapter/, whose base is found by what the adapter says.

    Raises:
        InputError: as `find_model`, for the adapter's base too; or the adapter's files are not what our scripts wrote.
    """
    folder = student_folder(Path(name), flag)
    if not (folder / "adapter_config.json").is_file():
        base = find_model(name, flag)
        return Pretrained(base, None, base)
    check_hashes(folder, weights=False)
    base = find_model(base_name(folder, f"{flag} {name}"), f"{flag} {name}: its base")
    return Pretrained(base, folder, folder if (folder / "tokenizer_config.json").is_file() else base)


def check_teacher_path(name: str, flag: str) -> None:
    """`check_model_path`, of a teacher: a model, a run, or the adapter/ of one, whose base is looked for."""
    folder = student_folder(Path(name), flag)
    if (folder / "adapter_config.json").is_file():
        check_model_path(base_name(folder, f"{flag} {name}"), f"{flag} {name}: its base")
    else:
        check_model_path(name, flag)


def base_name(adapter: Path, where: str) -> str:
    """The folder or hub id of an adapter's base, as the adapter says. Raises InputError if it names none."""
    try:
        of = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"]
        if not of or not isinstance(of, str):
            raise ValueError(of)
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{where}: adapter_config.json names no base; give an adapter PEFT has written") from None
    return of


def fingerprint(model: Pretrained) -> str:
    """A hash that tells a model from another: configuration, names and sizes of the weights, and samples of them.

    Reading all of a large teacher would take minutes; fine-tuning changes weights everywhere.

    Raises:
        InputError: its configuration cannot be read.
    """
    digest = hashlib.sha256()
    for folder, settings in ((model.base, "config.json"), (model.adapter, "adapter_config.json")):
        if folder is None:
            continue
        try:
            content = json.loads((folder / settings).read_text(encoding="utf-8"))
            content.pop("base_model_name_or_path", None)  # where it lies says nothing about what it is
        except (ValueError, AttributeError, TypeError) as error:
            raise InputError(f"{folder / settings} cannot be read ({error}); copy it again or restore it") from None
        digest.update(json.dumps(content, sort_keys=True).encode())
        for file in sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")]):
            size = file.stat().st_size
            digest.update(f"{file.name} {size}".encode())
            with file.open("rb") as weights:
                for part in range(FINGERPRINT_SAMPLES):
                    weights.seek(size * part // FINGERPRINT_SAMPLES)
                    digest.update(weights.read(FINGERPRINT_BYTES))
    return digest.hexdigest()


def load_tokenizer(folder: Path, flag: str) -> PreTrainedTokenizerFast:
    """The tokenizer in a model's folder.

    Raises:
        InputError: it cannot be loaded, is not what our scripts wrote, or has no EOS token.
    """
    from transformers import PreTrainedTokenizerFast  # here, because folders are looked for before it is needed

    check_hashes(folder, weights=False)
    try:
        saved = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        # AutoTokenizer takes the class of the model's family even where the folder says that its tokenizer is a generic
        # one, and would cut text otherwise than the tokenizer.json beside it.
        generic = saved.get("tokenizer_class") in ("TokenizersBackend", "PreTrainedTokenizerFast")
        tokenizer: Any = (PreTrainedTokenizerFast if generic else auto_tokenizer()).from_pretrained(folder)
    except Exception as error:  # the library raises a dozen kinds; each means that the files are missing or damaged
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"{flag} {folder}: its tokenizer cannot be loaded ({reason}); copy its files again") from None
    if tokenizer.eos_token_id is None:
        raise InputError(f"{flag} {folder}: its tokenizer has no EOS token; outputs could not end")
    return tokenizer


def auto_tokenizer() -> Any:
    """transformers' AutoTokenizer; importing it imports torch."""
    from transformers import AutoTokenizer

    return AutoTokenizer


def check_same_tokenizer(
    student: PreTrainedTokenizerFast, teacher: PreTrainedTokenizerFast, student_name: str, teacher_name: str
) -> None:
    """Raises InputError unless every id means the same to both; the loss compares distributions id by id."""
    ours, theirs = student.get_vocab(), teacher.get_vocab()
    if ours != theirs or student.eos_token_id != teacher.eos_token_id:
        differ = len(set(ours.items()) ^ set(theirs.items()))
        raise InputError(
            f"--teacher {teacher_name} has another tokenizer than --student {student_name} "
            f"({len(theirs)} and {len(ours)} tokens, {differ} entries differ); take a pair of one model family"
        )


def find_mask_token(tokenizer: PreTrainedTokenizerFast, name: str | None) -> int:
    """Id of the mask token: `name` if given, else the tokenizer's mask, bos, unk, pad or eos token, in that order.

    Raises:
        InputError: `name` is not one token of the vocabulary.
    """
    if name is None:
        return next(value for value in (getattr(tokenizer, key) for key in MASK_TOKEN_ORDER) if value is not None)
    token_id = tokenizer.get_vocab().get(name)
    if token_id is None:
        raise InputError(f"--mask-token {name!r} is not one token of the student's vocabulary; name one that is")
    return token_id


@dataclass(frozen=True)
class TokenIds:
    """What training and decoding need of a tokenizer.

    count: how many ids it has. Rows of a model's vocabulary from there on only pad it: no output may hold them, as the
    other model may have fewer.
    """

    mask: int
    eos: int
    pad: int
    count: int


def token_ids(tokenizer: PreTrainedTokenizerFast, mask_token: str | None = None) -> TokenIds:
    """Raises InputError as `find_mask_token`."""
    mask = find_mask_token(tokenizer, mask_token)
    return TokenIds(mask, tokenizer.eos_token_id, padding_token(tokenizer), len(tokenizer))


def padding_token(tokenizer: PreTrainedTokenizerFast) -> int:
    """Padding is masked everywhere, so any id serves where the tokenizer has none of its own."""
    return tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
