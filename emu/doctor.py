"""An examination of this installation: versions, datasheets, and one small model end to end."""

import platform
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

from emu.devices.datasheet import device_names, load_datasheet
from emu.ir.errors import EmuError
from emu.pipeline import compile

PACKAGES = ("numpy", "onnx", "onnxruntime", "typer")


def examine() -> int:
    """Print one line per finding; return 1 if something does not work."""
    healthy = True
    for name, finding in _findings():
        try:
            said = finding()
        except (EmuError, PackageNotFoundError, ImportError) as error:
            healthy, said = False, f"FAILED: {' '.join(str(error).split())}"
        print(f"{name:<13} {said}")
    print("all is well" if healthy else "something does not work")
    return 0 if healthy else 1


def _findings() -> Iterator[tuple[str, Callable[[], str]]]:
    yield "python", platform.python_version
    for name in PACKAGES:
        yield name, lambda name=name: version(name)
    for device in device_names():
        yield device, lambda device=device: load_datasheet(device).about
    for device in device_names():
        yield f"mlp on {device}", lambda device=device: _end_to_end(device)


def _end_to_end(device: str) -> str:
    """A small model with values and check."""
    run = compile("mlp", device=device).run()
    if run.check is None or not run.check.ok:
        raise EmuError(f"values are not those of onnxruntime: {run.check}")
    return f"{run.compiled.trace.total_ps:,} ps, values as {run.check.reference}"
