"""Reading one TOML file that anybody may have written, within limits."""

import tomllib
from pathlib import Path
from typing import Any

from emu.devices.fields import At

LARGEST_FILE = 1 << 20


def toml_table(path: Path, at: At) -> dict[str, Any]:
    """The table of a file; raises the error of ``at`` for no file, one too large, or no TOML."""
    try:
        return tomllib.loads(_text(path, at))
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no text, no TOML
        raise at.error(f"is not TOML: {' '.join(str(error).split())}") from error


def _text(path: Path, at: At) -> str:
    if path.exists() and not path.is_file():  # reading a pipe or a device would not end
        raise at.error("is not a file")
    with path.open("rb") as file:
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise at.error(f"is larger than {LARGEST_FILE:,} bytes")
    return data.decode("utf-8")
