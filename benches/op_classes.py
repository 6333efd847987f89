"""Who computes each op of ONNX on three devices: all node tests, and the table of docs/ops.md.

``python -m benches.op_classes`` from the checkout writes the table anew, and takes minutes.
"""

import re
from pathlib import Path

from emu.studies.node_tests_report import classes, lines

PAGE = Path(__file__).parents[1] / "docs" / "ops.md"
TABLE = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- end -->)", re.DOTALL)
DEVICES = ("gpu", "systolic", "npu")


def main() -> None:
    """Run every node test on every device, and put the table into the page."""
    made = "\n".join(lines(classes((), DEVICES))) + "\n"
    PAGE.write_text(TABLE.sub(lambda _: made, PAGE.read_text("utf-8")), "utf-8")
    print(made.split("\n\n")[1])


if __name__ == "__main__":
    main()
