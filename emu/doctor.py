"""An examination of this installation: versions, datasheets, and one small model end to end."""

import os
import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version

from emu.devices.datasheet import generic_names, load_datasheet
from emu.ir.errors import EmuError

PACKAGES = ("numpy", "onnx", "protobuf", "onnxruntime", "typer")
# The variables that the builds of numpy's matrix library read, the most special one first.
THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
Finding = tuple[str, Callable[[], str]]


def examine() -> int:
    """Print one line per finding; return 1 if something does not work."""
    said = [_say(name, finding) for name, finding in _findings()]
    print("all is well" if all(said) else "something does not work")
    return 0 if all(said) else 1


def _say(name: str, finding: Callable[[], str]) -> bool:
    try:
        text, well = finding(), True
    except Exception as error:  # whatever is broken is what the doctor is asked for
        text, well = f"FAILED: {type(error).__name__}: {' '.join(str(error).split())}", False
    print(f"{name:<18}{text}")
    return well


def _findings() -> Iterator[Finding]:
    yield "python", platform.python_version
    for name in PACKAGES:
        yield name, lambda name=name: version(name)
    yield "blas", _blas
    for device in generic_names():
        yield device, lambda device=device: load_datasheet(device).about
    for device in generic_names():
        yield f"mlp on {device}", lambda device=device: _end_to_end(device)


def _blas() -> str:
    """What multiplies matrices on this machine, and on how many threads."""
    import numpy

    built = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
    limits = [f"{name}={os.environ[name]}" for name in THREADS if name in os.environ]
    threads = limits[0] if limits else f"a thread for each of {os.cpu_count()} processors"
    return f"{built['name']} {built['version']}, {threads}"


def _end_to_end(device: str) -> str:
    """A small model with values and check."""
    from emu.pipeline import compile

    run = compile("mlp", device=device).run()
    if run.check is None or not run.check.ok:
        raise EmuError(f"the values are not as {run.check}")
    return f"{run.compiled.trace.total_ps:,} ps, values as {run.check.reference}"
