"""emu: take a real ONNX model down a whole AI software stack and account for every picosecond."""

from pathlib import Path

# In a checkout the folders of the flow stand beside this one; an installed wheel nests them here.
if (_checkout := Path(__file__).resolve().parent.parent).joinpath("pyproject.toml").exists():
    __path__.append(str(_checkout))
