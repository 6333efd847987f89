"""The files of the corpus, with numbers for the dimensions that they leave open."""

from pathlib import Path

from emu.models.dims import input_types
from emu.models.limits import LIMITS
from emu.models.reader import read_model

FILES = Path(__file__).parent / "files"
DEVICES = ("gpu", "systolic", "npu")
SCOPES = ("vertical", "global")
PAIRS = tuple((device, scope) for scope in SCOPES for device in DEVICES)
# None is the size with which the file was exported.
NUMBERS = {"batch": 3, "height": 48, "width": 32, "seq": 6, "past": 4, "edges": 9, "samples": 150}
OTHER = 4
# Of onnxruntime, for f32.
ATOL, RTOL = 1e-4, 1e-3


def paths() -> list[Path]:
    """Every file, in the order of names."""
    return sorted(FILES.glob("*.onnx"))


def dims_of_file(path: Path) -> dict[str, int]:
    """A number for each symbol of the inputs."""
    types = input_types(read_model(path, LIMITS)).values()
    symbols = sorted({d for type in types for d in type.shape if isinstance(d, str)})
    return {symbol: NUMBERS.get(symbol, OTHER) for symbol in symbols}
