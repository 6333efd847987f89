"""The folders of the flow are importable as emu.* from a checkout and from a wheel."""

import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import distribution, entry_points
from importlib.resources import files
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import pytest

import emu

SIDE_FOLDERS = ("ir", "kernels", "devices", "models")


def module_names() -> list[str]:
    """Every module of emu, from the folders of a checkout or of an installation."""
    walks = [walk_packages(emu.__path__[:1], "emu.")]
    for name in SIDE_FOLDERS:
        package = import_module(f"emu.{name}")
        walks.append(walk_packages(package.__path__, f"emu.{name}."))
    return sorted({found.name for walk in walks for found in walk})


def project(checkout: Path) -> dict[str, Any]:
    return tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))


@pytest.mark.checkout
def test_the_wheel_takes_every_folder_that_has_modules(checkout: Path) -> None:
    inits = [f for top in ("emu", *SIDE_FOLDERS) for f in (checkout / top).rglob("*.py")]
    folders = {file.parent.relative_to(checkout).as_posix().replace("/", ".") for file in inits}
    packages = {name if name.split(".")[0] == "emu" else f"emu.{name}" for name in folders}
    assert set(project(checkout)["tool"]["setuptools"]["packages"]) == packages


@pytest.mark.checkout
def test_every_package_says_what_it_holds(checkout: Path) -> None:
    folders = {f.parent for top in ("emu", *SIDE_FOLDERS) for f in (checkout / top).rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


@pytest.mark.checkout
def test_every_file_of_data_goes_into_the_wheel(checkout: Path) -> None:
    declared = project(checkout)["tool"]["setuptools"]["package-data"]
    taken = {
        file
        for package, globs in declared.items()
        for pattern in globs
        for file in _folder(checkout, package).glob(pattern)
    }
    found = {
        f for top in ("emu", *SIDE_FOLDERS) for f in (checkout / top).rglob("*") if _is_data(f)
    }
    assert found == taken


@pytest.mark.checkout
def test_a_bare_checkout_on_the_path_is_enough(checkout: Path, tmp_path: Path) -> None:
    code = (
        f"import sys, {', '.join(f'emu.{name}' for name in SIDE_FOLDERS)}; print(emu.ir.__file__)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.stdout.strip(), run.stderr) == (str(checkout / "ir" / "__init__.py"), "")


def test_every_module_can_be_imported() -> None:
    names = module_names()
    assert [import_module(name).__name__ for name in names] == names
    assert "emu.ir.graph" in names


def test_types_are_shipped() -> None:
    assert (files("emu") / "py.typed").is_file()


@pytest.mark.installed
def test_the_wheel_brings_no_other_name_than_emu() -> None:
    tops = {file.parts[0] for file in distribution("emu").files or ()}
    assert {top for top in tops if not re.match(r"emu(-[\w.]+\.dist-info)?$|\.\.$", top)} == set()


@pytest.mark.installed
def test_the_tests_run_on_the_installed_package_and_not_on_a_checkout() -> None:
    assert list(emu.__path__) == [str(distribution("emu").locate_file("emu"))]


@pytest.mark.installed
def test_the_command_is_installed() -> None:
    (command,) = entry_points(group="console_scripts", name="emu")
    assert callable(command.load())


def _folder(checkout: Path, package: str) -> Path:
    inner = package.removeprefix("emu").removeprefix(".").replace(".", "/")
    return checkout / (inner or "emu")


def _is_data(file: Path) -> bool:
    return file.is_file() and file.suffix not in (".py", ".pyc", ".nbi", ".nbc")
