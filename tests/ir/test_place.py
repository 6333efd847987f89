"""Notes of where the work is."""

from emu.ir.place import at, noting


def test_places_are_noted_while_somebody_listens() -> None:
    found: list[str] = []
    at("before")
    with noting(found.append):
        at("node 'a'")
        at("launch of", "gemm", "for value", "y")
    at("after")
    assert found == ["node 'a'", "launch of gemm for value y"]


def test_all_who_listen_hear_of_a_place() -> None:
    inner: list[str] = []
    outer: list[str] = []
    with noting(outer.append):
        with noting(inner.append):
            at("node 'a'")
        at("node 'b'")
    assert (inner, outer) == (["node 'a'"], ["node 'a'", "node 'b'"])
