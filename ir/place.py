"""Where the work is: a note for whoever may have to stop it from outside.

C code cannot be interrupted, so a process that takes too long is ended without a word of its own.
What it noted last is then all that is known. The note is a context variable, not an argument,
since every stage would have to hand it on only for the case that a file is hostile.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar

Note = Callable[[str], None]

_NOTE: ContextVar[Note | None] = ContextVar("note", default=None)


def at(*words: str) -> None:
    """Note the place that work is about to begin at; nothing is made of it if nobody listens."""
    note = _NOTE.get()
    if note is not None:
        note(" ".join(words))


@contextmanager
def noting(note: Note) -> Generator[None, None, None]:
    """Hand every place to ``note`` while the block runs, and to whoever listened before."""
    outer = _NOTE.get()

    def both(where: str) -> None:
        note(where)
        if outer is not None:
            outer(where)

    token = _NOTE.set(both)
    try:
        yield
    finally:
        _NOTE.reset(token)
