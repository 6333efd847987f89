"""A command about a file of a stranger runs in a process of its own, under the limits.

C code cannot be interrupted, and hostile files are made to be met by it, so the whole command is
worked on elsewhere: read, compiled, executed and checked. Here its output is handed on, and it is
ended when it takes too long, prints too much, or dies. Whatever happens is one line.
"""

import os
import selectors
import signal
import subprocess
import sys
from codecs import getincrementaldecoder
from collections.abc import Sequence
from pathlib import Path
from struct import calcsize, unpack
from tempfile import TemporaryFile
from time import monotonic
from typing import IO

from emu.ir.errors import Crashed, OverLimit
from emu.models.limits import Limits

PLACE_BYTES = 256  # of the note that says where the work is
APART = "d"  # seconds, behind the place in the note, that do not count as work on the file
APART_BYTES = calcsize(APART)
MOST_APART_S = 120.0
CHUNK_BYTES = 1 << 16
ALONE = "emu.guarded"  # the module that the process runs
# How the kernel ends what has used up memory or processor time.
RAN_OUT = (-signal.SIGKILL, -signal.SIGXCPU)


def run_guarded(arguments: Sequence[str], limits: Limits) -> int:
    """Run ``emu ARGUMENTS`` in a process under limits, print what it prints, return its exit code.

    Raises OverLimit if it takes too long or prints too much, Crashed if it dies.
    """
    with TemporaryFile() as note:
        note.truncate(PLACE_BYTES + APART_BYTES)
        with _started(arguments, note, limits) as process:
            try:
                said = _Relay(process, note, limits).run()
            finally:
                _end(process)
        code = process.returncode
        if code < 0 or (code and not said):
            raise _died(code, _after(note), limits)
        sys.stderr.write(said)
        return code


def _started(
    arguments: Sequence[str], note: IO[bytes], limits: Limits
) -> "subprocess.Popen[bytes]":
    # -P: the folder that the command runs in may hold a stranger's numpy.py beside the model.
    alone = (sys.executable, "-P", "-W", "ignore", "-m", ALONE)
    bounds = map(str, (note.fileno(), limits.seconds, limits.memory_bytes))
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [*alone, *bounds, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
        pass_fds=(note.fileno(),),
        start_new_session=True,
    )


class _Relay:
    """What a process prints, handed on until it ends or has to be ended."""

    def __init__(self, process: "subprocess.Popen[bytes]", note: IO[bytes], limits: Limits) -> None:
        self.process, self.note, self.limits = process, note, limits
        self.deadline = monotonic() + limits.seconds
        self.printed = 0
        self.said: list[str] = []

    def run(self) -> str:
        """Print its output as it comes, and return what it said on its error stream."""
        with selectors.DefaultSelector() as waiting:
            for stream, write in (
                (self.process.stdout, sys.stdout.write),
                (self.process.stderr, self.said.append),
            ):
                assert stream is not None  # both were asked for
                decode = getincrementaldecoder("utf-8")("backslashreplace").decode
                waiting.register(stream, selectors.EVENT_READ, (decode, write))
            while waiting.get_map():
                self._read(waiting)
        while self.process.poll() is None:
            self._wait()
        return "".join(self.said)

    def _wait(self) -> None:
        try:
            self.process.wait(self._left())
        except subprocess.TimeoutExpired as error:
            if not self._left():
                raise self._over("took", "seconds") from error

    def _read(self, waiting: selectors.BaseSelector) -> None:
        ready = waiting.select(self._left())
        if not self._left():
            raise self._over("took", "seconds")
        for key, _ in ready:
            chunk = os.read(key.fd, CHUNK_BYTES)
            decode, write = key.data
            write(decode(chunk, not chunk))
            self.printed += len(chunk)
            if not chunk:
                waiting.unregister(key.fileobj)
        if self.printed > self.limits.printed_bytes:
            raise self._over("printed", "printed_bytes")

    def _left(self) -> float:
        return max(0.0, self.deadline + _apart(self.note) - monotonic())

    def _over(self, did: str, key: str) -> OverLimit:
        most: int = getattr(self.limits, key)
        unit = key.rpartition("_")[2]
        return OverLimit(f"{_after(self.note)}: {did} over {most:,} {unit} (--limits {key}=N)")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the process, and all that it started, if it still runs."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)  # it leads a group of its own and was not waited for


def _after(note: IO[bytes]) -> str:
    """The last place that the process noted."""
    text = os.pread(note.fileno(), PLACE_BYTES, 0).rstrip(b"\0").decode("utf-8", "ignore")
    return text or "start"


def _apart(note: IO[bytes]) -> float:
    """Seconds that the process spent, or is spending, on what a fresh installation has to do."""
    (seconds,) = unpack(APART, os.pread(note.fileno(), APART_BYTES, PLACE_BYTES))
    return min(max(0.0, seconds), MOST_APART_S)


def _died(code: int, place: str, limits: Limits) -> Crashed | OverLimit:
    """What became of a process that ended without a word; libraries exit if they get no memory."""
    if code in RAN_OUT or code > 0:
        bounds = f"{limits.seconds} s and {limits.memory_bytes:,} bytes"
        return OverLimit(f"{place}: ended by the system; the limits are {bounds} (--limits)")
    return Crashed(f"{place}: the process crashed ({signal.Signals(-code).name})")
