"""Find a pretrained model's folder, and load its tokenizer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kid.config.trained import student_folder
from kid.data.prompts.chat import end_outputs_with_turn
from kid.errors import InputError
from kid.models.hashes import check_hashes

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

MASK_TOKEN_ORDER = ("mask_token_id", "bos_token_id", "unk_token_id", "pad_token_id", "eos_token_id")
# A fingerprint includes this many samples of each weights file, each of this many bytes.
FINGERPRINT_SAMPLES, FINGERPRINT_BYTES = 64, 2**16
SMALL_FILES = ["*.json", "*.model", "*.txt", "*.jinja", "README.md"]


def check_model_path(name: str, flag: str) -> Path | None:
    """The folder of the model `name`, a model's folder or a finished run; None if `name` can only be a hub id.

    Raises:
        InputError: it is something else: an adapter, an unfinished run, a folder without config.json.
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
    """How to merge an adapter into a model; names the command if the adapter belongs to a run."""
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
    """The folder of a model: `name` itself, model/ of a run, or a snapshot from the hub, downloaded if not cached.

    Raises:
        InputError: `name` is neither a folder with config.json nor a model on the hub, or it is an unfinished run.
    """
    if folder := check_model_path(name, flag):
        return folder
    from huggingface_hub import snapshot_download

    try:
        # Many repositories have the weights in both formats; download .bin only if there are no safetensors.
        found = Path(snapshot_download(name, allow_patterns=[*SMALL_FILES, "*.safetensors"]))
        if not any(found.glob("*.safetensors")):
            found = Path(snapshot_download(name, allow_patterns=[*SMALL_FILES, "*.bin"]))
        return found
    except Exception as error:  # the hub client raises many types; each means that the model is not available
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"{flag} {name} is not a folder and cannot be downloaded from the hub ({reason})") from None


@dataclass(frozen=True)
class Pretrained:
    """Folders of a model: its base, the adapter trained on the base (or None), and its tokenizer."""

    base: Path
    adapter: Path | None
    tokenizer: Path


def find_teacher(name: str, flag: str) -> Pretrained:
    """Find a teacher: a model, a finished run, or the adapter/ of one, which names its base.

    Raises:
        InputError: as in `find_model`, also for the adapter's base; or the adapter's files have changed since our
            scripts wrote them.
    """
    folder = student_folder(Path(name), flag)
    if not (folder / "adapter_config.json").is_file():
        base = find_model(name, flag)
        return Pretrained(base, None, base)
    check_hashes(folder, weights=False)
    base = find_model(base_name(folder, f"{flag} {name}"), f"{flag} {name}: its base")
    return Pretrained(base, folder, folder if (folder / "tokenizer_config.json").is_file() else base)


def check_teacher_path(name: str, flag: str) -> None:
    """`check_model_path` of a teacher: a model, a run, or the adapter/ of one, whose base is checked."""
    folder = student_folder(Path(name), flag)
    if (folder / "adapter_config.json").is_file():
        check_model_path(base_name(folder, f"{flag} {name}"), f"{flag} {name}: its base")
    else:
        check_model_path(name, flag)


def base_name(adapter: Path, where: str) -> str:
    """The folder or hub id of the base that an adapter names. Raises InputError if it names none."""
    try:
        name = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"]
        if not name or not isinstance(name, str):
            raise ValueError(name)
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{where}: adapter_config.json names no base; give an adapter written by PEFT") from None
    return name


def fingerprint(model: Pretrained) -> str:
    """A hash that identifies a model: its configuration, the names and sizes of its weights files, samples of these.

    Reading all weights of a large teacher would take minutes, and fine-tuning changes weights everywhere, so samples
    are enough.

    Raises:
        InputError: the model's configuration cannot be read.
    """
    digest = hashlib.sha256()
    for folder, settings in ((model.base, "config.json"), (model.adapter, "adapter_config.json")):
        if folder is None:
            continue
        try:
            content = json.loads((folder / settings).read_text(encoding="utf-8"))
            content.pop("base_model_name_or_path", None)  # its location does not identify it
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


def load_tokenizer(folder: Path, flag: str, chat_template: str = "none") -> PreTrainedTokenizerFast:
    """Load the tokenizer in a model's folder.

    Args:
        chat_template: the key of a run. Unless it is "none", EOS is the token that ends a turn in the template; a
            template's text replaces the tokenizer's own.

    Raises:
        InputError: it cannot be loaded, has changed since our scripts wrote it, or has no EOS token; its chat template
            fails.
    """
    check_hashes(folder, weights=False)
    try:
        tokenizer: Any = tokenizer_class(folder).from_pretrained(folder)
    except Exception as error:  # transformers raises many types; each means that files are missing or damaged
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"{flag} {folder}: its tokenizer cannot be loaded ({reason}); copy its files again") from None
    if tokenizer.eos_token_id is None:
        raise InputError(f"{flag} {folder}: its tokenizer has no EOS token; set eos_token in tokenizer_config.json")
    end_outputs_with_turn(tokenizer, chat_template)
    return tokenizer


def tokenizer_class(folder: Path) -> Any:
    """The class of transformers that loads a folder's tokenizer; only importing AutoTokenizer also imports torch.

    Raises:
        OSError, ValueError, AttributeError: tokenizer_config.json or config.json is missing or damaged.
    """
    import transformers  # not at the top: finding folders does not need this slow import

    saved = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    name = saved.get("tokenizer_class")
    if name in ("TokenizersBackend", "PreTrainedTokenizerFast"):
        # AutoTokenizer would use the class of the model family, which may split text differently than tokenizer.json.
        return transformers.PreTrainedTokenizerFast
    if name in ("Qwen2Tokenizer", "Qwen2TokenizerFast") and "auto_map" not in saved:
        settings = folder / "config.json"  # an adapter has none
        family = json.loads(settings.read_text(encoding="utf-8")).get("model_type") if settings.is_file() else "qwen2"
        if family in ("qwen2", "qwen3"):  # what AutoTokenizer uses for them
            return transformers.Qwen2Tokenizer
    return transformers.AutoTokenizer


def find_mask_token(tokenizer: PreTrainedTokenizerFast, name: str | None) -> int:
    """Id of the mask token: `name` if given, else the tokenizer's mask, bos, unk, pad or eos token, in that order.

    Raises:
        InputError: `name` is not a token of the vocabulary.
    """
    if name is None:
        return next(value for value in (getattr(tokenizer, key) for key in MASK_TOKEN_ORDER) if value is not None)
    token_id = tokenizer.get_vocab().get(name)
    if token_id is None:
        raise InputError(f"--mask-token {name!r} is not a token of the student's vocabulary; name one that is")
    return token_id


@dataclass(frozen=True)
class TokenIds:
    """The special ids of a tokenizer that training and decoding need, and its size.

    count: number of ids of the tokenizer. A model's vocabulary may be padded with further rows. Outputs never contain
    these ids, because the other model may be padded to a smaller size.
    """

    mask: int
    eos: int
    pad: int
    count: int


def token_ids(tokenizer: PreTrainedTokenizerFast, mask_token: str | None = None) -> TokenIds:
    """The `TokenIds` of a tokenizer. Raises InputError as `find_mask_token` does."""
    mask = find_mask_token(tokenizer, mask_token)
    return TokenIds(mask, tokenizer.eos_token_id, padding_token(tokenizer), len(tokenizer))


def padding_token(tokenizer: PreTrainedTokenizerFast) -> int:
    """EOS: padding is masked everywhere, so any id works, and a tokenizer's own may be beyond the model's rows."""
    return tokenizer.eos_token_id
