"""README, the pages in docs/ and CONTRIBUTING.md do what they say.

In a block marked ``console``, each ``$ emu ...`` is run and must print what stands below it, if
anything does; ``...`` stands for any lines. Blocks of a page marked ``python`` are run one after
the other. One marked ``session`` is as ``console``, in a folder with the files that the Python of
the page makes, and may show an error. Figures of the simulated clock are compared to the digit;
errors such as 1.2e-07 depend on the host's processor and are masked.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

import emu.cli

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).parents[2]
NAMES = ("README.md", "CONTRIBUTING.md", "docs/*.md", "changelog.d/*.md")
PAGES = sorted(page for name in NAMES for page in ROOT.glob(name))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]+\]\((?!https?:)([^)#]+)[^)]*\)")
FOLDER = re.compile(r"`((?:models|ir|kernels|devices|emu|tests|benches|docs)/[\w/.-]*)`")
TINY = re.compile(r"\b\d(\.\d+)?e-\d\d\b")


def blocks(kind: str) -> list[tuple[str, str]]:
    """Every block of one kind with the page that it stands on."""
    return [
        (page.name, text)
        for page in PAGES
        for label, text in BLOCK.findall(page.read_text("utf-8"))
        if label == kind
    ]


def scripts() -> dict[str, str]:
    """The Python of each page that has some, one block after the other."""
    found: dict[str, str] = {}
    for page, code in blocks("python"):
        found[page] = found.get(page, "") + code
    return found


def commands() -> list[tuple[str, str, str]]:
    """Page, command and expected output of every command in a console block."""
    parts = [(page, part) for page, text in blocks("console") for part in _commands_of(text)]
    return [(page, *part) for page, part in parts]


def _commands_of(text: str) -> list[tuple[str, str]]:
    found = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE)
    return [(line.split("  #")[0].strip(), output) for line, output in found]


def execute(arguments: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run Python from another folder, on the checkout, as on a terminal without colours."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    plain = {"PYTHONPATH": path, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **plain},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def masked(line: str) -> str:
    return TINY.sub("tiny", line.rstrip())


def matches(printed: str, shown: str) -> bool:
    """Whether ``printed`` is what is ``shown``; a line ``...`` stands for any number of lines."""
    lines = [masked(line) for line in shown.strip("\n").splitlines()]
    pattern = [r"(?:.*\n)*" if line == "..." else re.escape(line) + "\n" for line in lines]
    text = "".join(masked(line) + "\n" for line in printed.strip("\n").splitlines())
    return re.fullmatch("".join(pattern), text) is not None


EMU = [found for found in commands() if found[1].startswith("emu ")]
PYTHON = scripts()
SESSIONS = sorted({page for page, _ in blocks("session")})
OTHER = [found for found in commands() if not found[1].startswith("emu ")]


@pytest.mark.parametrize(("page", "command", "shown"), EMU, ids=[c[1] for c in EMU])
def test_a_command_on_a_page_prints_what_the_page_shows(
    page: str, command: str, shown: str, tmp_path: Path
) -> None:
    run = execute(["-m", *shlex.split(command)], tmp_path)
    assert run.returncode == 0, f"{page}: $ {command}\n{run.stderr}"
    assert not shown.strip() or matches(run.stdout, shown), f"{page}: $ {command}\n{run.stdout}"


@pytest.mark.parametrize("page", PYTHON)
def test_the_python_on_a_page_runs(page: str, tmp_path: Path) -> None:
    run = execute(["-c", PYTHON[page]], tmp_path)
    assert run.returncode == 0, f"{page}: {run.stderr}"


@pytest.mark.parametrize("page", SESSIONS)
def test_a_session_with_the_files_of_its_page_prints_what_the_page_shows(
    page: str, tmp_path: Path
) -> None:
    assert execute(["-c", PYTHON[page]], tmp_path).returncode == 0
    for command, shown in (
        c for p, text in blocks("session") if p == page for c in _commands_of(text)
    ):
        run = execute(["-m", *shlex.split(command)], tmp_path)
        assert run.returncode == 0 or run.stderr.startswith("emu: "), run.stderr
        assert matches(run.stdout or run.stderr, shown), f"$ {command}\n{run.stdout}{run.stderr}"


def test_all_other_commands_are_targets_of_the_makefile_or_known_tools() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = {f"make {name}" for name in re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)}
    known = targets | {"pip install .", "python -m emu"}
    assert [found for found in OTHER if found[1] not in known] == []


def test_setting_up_a_fresh_machine_takes_exactly_two_commands() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    start = readme.split("## Start", 1)[1].split("\n## ", 1)[0]
    assert re.findall(r"^\$ (make [\w-]+)", start, re.MULTILINE) == ["make demo", "make test"]


def test_every_command_stands_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    table = readme.split("## Commands", 1)[1].split("\n## ", 1)[0]
    names = typer.main.get_group(emu.cli.app).commands
    assert [name for name in names if f"`emu {name}" not in table] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_folder_on_a_page_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    links = [page.parent / name for name in LINK.findall(text)]
    named = [ROOT / name for name in FOLDER.findall(text)]
    assert [str(path) for path in links + named if not path.exists()] == []


def test_every_page_of_docs_stands_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    pages = {page.name for page in PAGES if page.parent.name == "docs"} - {"index.md"}
    assert pages <= set(LINK.findall(index))


def test_dots_stand_for_lines_and_tiny_numbers_are_masked() -> None:
    assert matches("a\nb\nc\n", "a\n...\nc\n")
    assert matches("a\nc 1.2e-07\n", "a\n...\nc 3.4e-08\n")
    assert not matches("a\nb\n", "a\n")
    assert matches("a\nb\n", "...\n")
