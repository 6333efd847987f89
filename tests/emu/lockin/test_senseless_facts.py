"""Facts and tables that make no sense: refused by file and key, or by the contract that runs."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from emu.ir.errors import CatalogueError, EmuError
from emu.lockin.catalogue import load_catalogue
from emu.lockin.source import Source
from emu.lockin.trial import Laboratory
from emu.models.reader import to_graph
from emu.models.zoo import build
from tests.emu.lockin.small import INTERFACES, PARTS, STACKS, Table, changed, write
from tests.mutating import refusal

SOURCE = Source(to_graph(build("mlp", {}), {}))
FACTS: list[Any] = [0, -1, 2**70, "", "x", [], ["x"], {}, True, 1.5, ["fp8"], ["partition 1/7"]]
HUGE = 10**12
ONE = {"name": "a", "cores": 1, "of": 7, "slices": 1, "starts": [0]}
REFUSED: list[tuple[str, str, Any, str]] = [
    ("chip-a", "placement", {"slices": HUGE, "most": HUGE, "profiles": [ONE]}, "a table of slices"),
    ("chip-a", "placement", {"profiles": 3}, "a table of slices"),
    ("chip-a", "placement", {"profiles": [{}]}, "a table of slices"),
    ("chip-a", "placement", {"profiles": [{**ONE, "starts": [1]}]}, "a table of slices"),
    ("chip-a", "placement", {"profiles": [{**ONE, "name": 1}]}, "a table of slices"),
    ("chip-a", "placement", {"profiles": [{**ONE, "cores": 8}]}, "a table of slices"),
    ("chip-a", "rom_modulus", "0", "not 0"),
    ("chip-a", "rom_modulus", "f" * 5000, "up to 2,048 digits"),
    ("chip-a", "rom_exponent", 2**70, "a whole number below"),
    ("chip-a", "datasheet", "h1000", "must be one of gpu"),
    ("compiler-a", "decider", "oracle", "must be one of first-match"),
    ("kernels-a", "dtypes", [], "a list of at least one of"),
    ("sevenths", "intents", ["partition 1/0"], "a list of partition N/M"),
    ("sevenths", "intents", ["partition " + "9" * 5000 + "/1"], "a list of partition N/M"),
    ("sevenths", "intents", ["figure "], "a list of partition N/M"),
]


@pytest.mark.parametrize(("name", "key", "value", "why"), REFUSED)
def test_a_fact_that_no_run_survives_is_refused_by_file_and_key(
    tmp_path: Path, name: str, key: str, value: Any, why: str
) -> None:
    with pytest.raises(CatalogueError, match=rf"{name}\.toml: facts\.{key}: must be ") as caught:
        load_catalogue(write(tmp_path, parts=changed(PARTS, name, **{key: value})))
    assert why in str(caught.value)


TABLES: list[tuple[str, Table, str]] = [
    ("calls-a", {"versions": [{"a_open": "fly"}, {}]}, "versions.a_open: must be one of open"),
    ("manage-a", {"versions": [{"fly": "a_fly"}]}, "versions.fly: is none of partition"),
    ("manage-a", {"versions": [{"measure": 3}]}, "versions.measure: must be the name of a"),
    ("isa-a", {"versions": [{"Load": "x"}, {}]}, "versions.Load: must be a number"),
    ("isa-a", {"versions": [{"Load": 33, "Store": 33}, {}]}, "opcodes are distinct numbers"),
    ("isa-a", {"facts": {}}, "facts.word_bytes: must be one of 1, 2, 4, 8"),
    ("isa-a", {"facts": {"word_bytes": 4, "major": "x"}}, "facts.major: must be a number below"),
]


@pytest.mark.parametrize(("name", "changes", "why"), TABLES)
def test_a_table_that_its_kind_cannot_carry_out_is_refused_by_file_and_key(
    tmp_path: Path, name: str, changes: Table, why: str
) -> None:
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(write(tmp_path, changed(INTERFACES, name, **changes)))
    assert f"{name}.toml: " in str(caught.value)
    assert why in str(caught.value)


@pytest.mark.parametrize("slot", STACKS["stack-a"]["slots"])
def test_whatever_a_fact_says_the_stack_is_refused_runs_or_fails_by_name(
    tmp_path: Path, slot: str
) -> None:
    (name,) = STACKS["stack-a"]["slots"][slot]
    tried = 0
    for key in PARTS[name]["facts"]:
        for value in FACTS:
            parts = changed(PARTS, name, **{key: value})
            tried += 1
            said = refusal(partial(outcome, write(tmp_path / str(tried), parts=parts)))
            assert not said or f"facts.{key}" in said


def outcome(folder: Path) -> None:
    known = load_catalogue(folder)
    failure = Laboratory(known, SOURCE).try_(known.stacks["stack-a"]).failure
    assert failure is None or isinstance(failure.error, EmuError)
