"""``python -m emu`` is the same as ``emu``."""

from emu.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
