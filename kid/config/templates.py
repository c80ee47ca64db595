"""Settings whose value may be a Jinja template: the file that a user names becomes its text, which is then the value.

So the text is in config.yaml, in exports and in notes, and another text is another setting, wherever the file is.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from kid.errors import InputError


def is_template(value: object) -> bool:
    """Whether a setting's value is the text of a template, not a name."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def read_template(name: str, value: str, choices: tuple[str, ...], where: str) -> str:
    """Return the text of the template that a setting names; `value` itself if it is a template's text already.

    Args:
        choices: the names that the setting also allows, for the message.

    Raises:
        InputError: there is no such file, it cannot be read, is not UTF-8 or is no template.
    """
    if is_template(value):
        return value
    path = Path(value)
    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "does not exist" if path.suffix else "is unknown"
        raise InputError(f"{where}: {name} = {value!r} {problem}; choose one of {', '.join(choices)}, or a Jinja file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{where}: {name} = {value} cannot be read ({error.strerror}); choose another file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: {name} = {value} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    if not is_template(text):
        raise InputError(f"{where}: {name} = {value} is no Jinja template: it has neither {{{{ nor {{%")
    return text


def brief(value: Any) -> Any:
    """A setting's value for messages and tables: a template becomes its size and hash; others stay as they are."""
    if not is_template(value):
        return value
    return f"template ({len(value.splitlines())} lines, sha256 {sha256(value.encode()).hexdigest()[:12]})"


class BlockDumper(yaml.SafeDumper):
    """Writes texts of several lines, which are templates, line by line where YAML can."""


BlockDumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, "|" if "\n" in text else None)
)


def dump_yaml(values: dict) -> str:
    return yaml.dump(values, Dumper=BlockDumper, sort_keys=False, allow_unicode=True)
