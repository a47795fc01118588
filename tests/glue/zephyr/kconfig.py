# SPDX-License-Identifier: MIT
"""kconfig.py: the lines for prj.conf that port/zephyr/README.md gives turn tern on, and without any one of them it stays off. Needs
Debian's python3-kconfiglib, which is what Zephyr reads its options with."""
import os
import re
import sys
import tempfile

import kconfiglib

HERE = os.path.dirname(os.path.abspath(__file__))


def has_tern(lines):
    options = kconfiglib.Kconfig(os.path.join(HERE, "Kconfig"), warn=False)  # a loop among the dependencies is an exception
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("".join(line + "\n" for line in lines))
        file.flush()
        options.load_config(file.name)
    return options.syms["TERN"].str_value == "y" and options.syms["RING_BUFFER"].str_value == "y"


def main():
    readme = open(os.path.join(HERE, "../../../port/zephyr/README.md")).read()
    lines = re.findall(r"^    (CONFIG_\w+=y)$", readme, re.M)
    good = "CONFIG_TERN=y" in lines and has_tern(lines)
    for line in lines:
        good = good and not has_tern([other for other in lines if other != line])
    return 0 if good and len(lines) > 3 else 1


if __name__ == "__main__":
    sys.exit(main())
