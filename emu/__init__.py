"""emu: take a real ONNX model down a whole AI software stack and account for every picosecond."""

from pathlib import Path
from typing import TYPE_CHECKING

# In a checkout the folders of the flow stand beside this one; an installed wheel nests them here.
if (_checkout := Path(__file__).resolve().parent.parent).joinpath("pyproject.toml").exists():
    __path__.append(str(_checkout))

if TYPE_CHECKING:
    from emu.pipeline import Executable, compile

__all__ = ["Executable", "compile"]


def __getattr__(name: str) -> object:
    """Import the pipeline only when it is used, so that the command line starts quickly."""
    if name in __all__:
        from emu import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module 'emu' has no attribute '{name}'")
