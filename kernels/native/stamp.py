"""What all machine code of this folder is made from, as one word.

numba keeps compiled functions on disk and looks for changes in the file that a function stands in,
and at what it closes over, but not at other files that it calls into.
"""

from hashlib import sha256
from pathlib import Path

FILES = sorted(Path(__file__).parent.glob("*.py"))
STAMP = sha256(b"".join(file.read_bytes() for file in FILES)).hexdigest()
