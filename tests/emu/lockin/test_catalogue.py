"""Every file of the catalogue is read strictly; what is wrong is named with file and key."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emu.ir.errors import AbiMismatch, CatalogueError
from emu.lockin.catalogue import load_catalogue
from emu.lockin.contracts.linking import linked
from emu.lockin.parts import Offer, title
from emu.lockin.source import Source
from emu.lockin.toml_file import LARGEST_FILE
from emu.models.reader import to_graph
from emu.models.zoo import build
from tests.emu.lockin.small import INTERFACES, PARTS, STACKS, Table, changed, offer, write


def refused(folder: Path) -> str:
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(folder)
    return str(caught.value)


def test_a_catalogue_holds_what_its_files_say(tmp_path: Path) -> None:
    known = load_catalogue(write(tmp_path))
    assert {slot: set(parts) for slot, parts in known.parts.items()}["driver"] == {
        "driver-a",
        "driver-b",
    }
    assert known.interfaces["dialect-a"].newest == 2
    assert "Where" not in known.interfaces["dialect-a"].upto(1)
    assert title(known.stacks["stack-a"]["front_end"]) == "graph-a"
    assert known.about["stack-b"] == "vendor B"
    assert known.of_kind("isa") == {"isa-a", "isa-b"}


def test_offers_meet_in_the_newest_version_that_both_speak() -> None:
    assert Offer("x", 1, 4).meets(Offer("x", 2, 9)) == 4
    assert Offer("x", 1, 4).meets(Offer("x", 5, 9)) is None
    assert Offer("x", 1, 4).meets(Offer("y", 1, 4)) is None


Edit = Callable[[], dict[str, Any]]
BAD: list[tuple[Edit, str]] = [
    (lambda: {"parts": changed(PARTS, "graph-a", mode="sometimes")}, "facts.mode: must be one of"),
    (lambda: {"parts": changed(PARTS, "graph-a", mod="eager")}, "mod: unknown key"),
    (lambda: {"parts": changed(PARTS, "graph-a", open="yes")}, "open: must be true or false"),
    (lambda: {"parts": changed(PARTS, "graph-a", dispatch_us=-1)}, "a time in microseconds"),
    (lambda: {"parts": changed(PARTS, "chip-a", rom_modulus="0x")}, "a hexadecimal number"),
    (lambda: {"parts": changed(PARTS, "chip-a", placement=3)}, "placement: must be a table"),
    (
        lambda: {"parts": changed(PARTS, "compiler-a", parsers={})},
        "facts.parsers: must be a table of dialects, each with the newest version that is read",
    ),
    (lambda: {"parts": changed(PARTS, "compiler-a", parsers={"dialect-a": -1})}, "of dialects"),
    (
        lambda: {"parts": changed(PARTS, "compiler-a", parsers={"isa-a": 1})},
        "facts.parsers: 'isa-a' is no dialect; known: dialect-a, dialect-b",
    ),
    (
        lambda: {"parts": changed(PARTS, "compiler-a", parsers={"dialect-a": 3})},
        "facts.parsers.dialect-a: has versions 1 to 2, not 3",
    ),
    (
        lambda: {"interfaces": changed(INTERFACES, "dialect-b", versions=[{"Add": 1}])},
        "dialect-b.toml: versions.Add: must be a spelling, not 1",
    ),
    (
        lambda: {"parts": changed(PARTS, "graph-a", exports=[offer("dialect-z")])},
        "exports: 'dialect-z' is no interface; known: calls-a",
    ),
    (
        lambda: {"parts": changed(PARTS, "graph-a", exports=[offer("dialect-a", 1, 3)])},
        "'dialect-a' has versions 1 to 2, not 1 to 3",
    ),
    (
        lambda: {"interfaces": changed(INTERFACES, "isa-a", kind="song")},
        "isa-a.toml: kind: 'song' is none of dialect",
    ),
    (
        lambda: {"interfaces": changed(INTERFACES, "isa-a", versions=[{"a": 1}, {"a": 2}])},
        "versions: 'a' is added twice",
    ),
    (
        lambda: {"stacks": changed(STACKS, "stack-a", slots={"driver": ["driver-a"]})},
        "slots.front_end: must be a list of at least one part",
    ),
    (
        lambda: {"stacks": changed(STACKS, "stack-a", slots={"kernel": []})},
        "slots.kernel: is no slot; known: compiler, device",
    ),
]


@pytest.mark.parametrize(("edit", "said"), BAD)
def test_a_bad_file_is_refused_with_file_and_key(tmp_path: Path, edit: Edit, said: str) -> None:
    found = refused(write(tmp_path, **edit()))
    assert said in found
    assert str(tmp_path) in found
    assert "\n" not in found


def test_a_stack_of_parts_that_do_not_exist_names_those_that_do(tmp_path: Path) -> None:
    slots = {**STACKS["stack-a"]["slots"], "driver": ["driver-c"]}
    found = refused(write(tmp_path, stacks=changed(STACKS, "stack-a", slots=slots)))
    assert "slots.driver: 'driver-c' is not in the catalogue; known: driver-a, driver-b" in found


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        ({"value": True}, "needs a source, or assumed = true"),
        ({"value": True, "source": "x", "assumed": True}, "needs a source"),
        ({"value": True, "assumed": False}, "needs a source"),
        ({"source": "x"}, "must be a table with a value"),
        ({"value": True, "source": "x", "note": "y"}, "note: is none of value, source"),
    ],
)
def test_a_fact_needs_a_source_or_says_that_it_is_assumed(
    tmp_path: Path, fact: dict[str, Any], said: str
) -> None:
    parts = changed(PARTS, "graph-a")
    parts["graph-a"]["facts"]["dynamic"] = fact
    assert f"facts.dynamic: {said}" in refused(write(tmp_path, parts=parts)).replace(
        "dynamic.note", "dynamic: note"
    )


def test_an_assumed_fact_says_so(tmp_path: Path) -> None:
    parts = changed(PARTS, "graph-a")
    parts["graph-a"]["facts"]["dynamic"] = {"value": True, "assumed": True, "why": "no document"}
    fact = (
        load_catalogue(write(tmp_path, parts=parts)).parts["front_end"]["graph-a"].facts["dynamic"]
    )
    assert (fact.assumed, fact.why) == (True, "no document")


def test_a_missing_and_an_unknown_fact_are_named(tmp_path: Path) -> None:
    parts = changed(PARTS, "graph-a")
    del parts["graph-a"]["facts"]["dynamic"]
    assert "facts.dynamic: is missing" in refused(write(tmp_path / "1", parts=parts))
    parts = changed(PARTS, "graph-a")
    parts["graph-a"]["facts"]["colour"] = {"value": 1, "source": "x"}
    assert "facts.colour: is no fact of this slot" in refused(write(tmp_path / "2", parts=parts))


def test_a_file_is_named_as_what_it_holds(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "driver" / "driver-a.toml").rename(folder / "driver" / "other.toml")
    assert "other.toml: name: must be the name of the file, 'other'" in refused(folder)


def test_a_part_lies_in_the_folder_of_its_slot(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "driver" / "driver-b.toml").rename(folder / "device" / "driver-b.toml")
    assert "driver-b.toml: slot: is 'driver', but the file lies in device" in refused(folder)


@pytest.mark.parametrize("text", [b"name = ", b"\xff\xfe", b"a = " + b"[" * 5000])
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, text: bytes) -> None:
    folder = write(tmp_path)
    (folder / "driver" / "driver-a.toml").write_bytes(text)
    assert "driver-a.toml: file: is not TOML" in refused(folder)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "driver" / "driver-a.toml").write_bytes(b"#" * (LARGEST_FILE + 1))
    assert "is larger than 1,048,576 bytes" in refused(folder)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, endless])
def test_what_is_no_file_is_not_read(tmp_path: Path, make: Callable[[Path], object]) -> None:
    folder = write(tmp_path)
    make(folder / "driver" / "strange.toml")
    assert "driver/strange.toml: file: is not a file" in refused(folder)


def test_a_slot_of_a_stack_is_not_empty(tmp_path: Path) -> None:
    slots: dict[str, list[str]] = {**STACKS["stack-a"]["slots"], "driver": []}
    found = refused(write(tmp_path, stacks=changed(STACKS, "stack-a", slots=slots)))
    assert "stack-a.toml: slots.driver: must be a list of at least one part" in found


def test_two_files_with_one_name_are_refused_by_both(tmp_path: Path) -> None:
    parts = {**PARTS, "twin": PARTS["chip-b"]}
    folder = write(tmp_path, parts=parts)
    again = (folder / "device" / "twin.toml").read_text().replace('"device"', '"orchestrator"', 1)
    facts = again.index("facts = ")
    text = again[:facts] + 'facts = {"intents" = {value = [], source = "test"}}'
    (folder / "orchestrator" / "twin.toml").write_text(text)
    found = refused(folder)
    assert f"{folder}/orchestrator/twin.toml: name: 'twin' is the name of" in found
    assert found.endswith(f"{folder}/device/twin.toml too")


def test_a_catalogue_that_was_refused_is_read_again(tmp_path: Path) -> None:
    folder = write(tmp_path)
    file = folder / "driver" / "driver-a.toml"
    sound = file.read_text()
    file.write_text("name = ")
    refused(folder)
    file.write_text(sound)
    assert "driver-a" in load_catalogue(folder).parts["driver"]


def opening_each_other() -> dict[str, Table]:
    """Parts of which driver A needs B, and B needs A."""
    parts = changed(PARTS, "driver-a", imports=[*PARTS["driver-a"]["imports"], offer("calls-b")])
    return changed(parts, "driver-b", imports=[*PARTS["driver-b"]["imports"], offer("calls-a")])


def test_parts_that_open_only_each_other_are_named_with_file_and_key(tmp_path: Path) -> None:
    found = refused(write(tmp_path, parts=opening_each_other()))
    assert f"{tmp_path}/driver/driver-a.toml: imports: parts open only each other: " in found
    assert "driver-a needs calls-b of driver-b, driver-b needs calls-a of driver-a" in found
    assert found.endswith(f"(see {tmp_path}/driver/driver-b.toml too)")


def grounded() -> dict[str, Table]:
    """The same with two more parts, by which each of them can be opened otherwise."""
    return {**opening_each_other(), "ground-a": PARTS["driver-a"], "ground-b": PARTS["driver-b"]}


def test_a_stack_of_drivers_that_open_each_other_is_named_with_file_and_key(tmp_path: Path) -> None:
    slots = {**STACKS["stack-a"]["slots"], "driver": ["driver-a", "driver-b"]}
    stacks = changed(STACKS, "stack-a", slots=slots)
    found = refused(write(tmp_path, parts=grounded(), stacks=stacks))
    assert f"{tmp_path}/stacks/stack-a.toml: slots.driver: parts open each other" in found


def test_drivers_put_together_that_open_each_other_open_no_chip(tmp_path: Path) -> None:
    """A bundle that no file has is refused when it is linked."""
    known = load_catalogue(write(tmp_path, parts=grounded()))
    pair = tuple(known.parts["driver"][name] for name in ("driver-a", "driver-b"))
    choice = {**known.stacks["stack-a"], "driver": pair}
    with pytest.raises(AbiMismatch, match="drivers open each other: have driver-a needs calls-b"):
        linked(choice, Source(to_graph(build("mlp", {}), {})), known)
