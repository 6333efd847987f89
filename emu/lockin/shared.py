"""Times of programs that processes share: what one of them has found, none of them finds again."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emu.ir.replacing import replacing
from emu.lockin.segments import Timed


@dataclass(frozen=True)
class Shared:
    """Times in a folder, a file for each, by the digests of programs; nothing where there is none.

    A file is written whole or not at all, and processes that write the same write it equal. What
    cannot be written is not shared.
    """

    folder: Path | None = None

    def time(self, digest: str) -> Timed | None:
        """A warm run of a program."""
        found = self._read(f"{digest}.time")
        if found is None:
            return None
        return Timed(found["ps"], found["by_cause"], frozenset(found["launched"]))

    def keep_time(self, digest: str, timed: Timed) -> None:
        """Keep a warm run of a program."""
        said = {**asdict(timed), "launched": sorted(timed.launched)}
        self._write(f"{digest}.time", said)

    def most(self, digest: str) -> int | None:
        """Picoseconds than which a warm run of a program takes no longer."""
        found = self._read(f"{digest}.most")
        return None if found is None else found["ps"]

    def keep_most(self, digest: str, ps: int) -> None:
        """Keep the same."""
        self._write(f"{digest}.most", {"ps": ps})

    def _read(self, name: str) -> Any:
        if self.folder is None:
            return None
        try:
            return json.loads((self.folder / name).read_bytes())
        except FileNotFoundError:
            return None

    def _write(self, name: str, said: Mapping[str, object]) -> None:
        if self.folder is not None:
            # What cannot be kept, as on a full disk, is found by others for themselves.
            with suppress(OSError), replacing(self.folder / name) as file:
                file.write(json.dumps(said).encode())
