"""Images, which onnx's reference decodes with Pillow: what it may be given.

Pillow knows formats that ONNX does not name, among them one that starts another program
(PostScript), so the format is found out before anything is decoded.
"""

from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from typing import Any

from emu.ir.errors import BadValues, MissingExtra
from emu.ir.types import Array

IMAGE_DECODER = "ImageDecoder"
# What ONNX's text of the op names, as Pillow calls it.
FORMATS = ("BMP", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")


def must_have_pillow(where: str) -> None:
    """Raise MissingExtra, which says what to install, if Pillow is not there."""
    if find_spec("PIL") is None:
        raise MissingExtra(f"{where}: decodes images with Pillow: pip install 'emu[image]'")


def must_be_image(encoded: Array) -> None:
    """Raise BadValues unless the bytes are an image in one of the formats of the op."""
    pillow: Any = import_module("PIL.Image")
    try:
        with pillow.open(BytesIO(encoded.tobytes())) as image:
            found = str(image.format)
    except Exception as error:  # Pillow raises whatever the format's reader happens to
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadValues(f"{IMAGE_DECODER}: {reason}") from error
    if found not in FORMATS:
        raise BadValues(f"{IMAGE_DECODER}: takes no {found}; formats: {', '.join(FORMATS)}")
