# SPDX-License-Identifier: MIT
"""self_test.py TARGET IMAGE FLASH: runs the port's self-test in the emulator and prints what it found. Status 0: nothing."""
import sys

from drive import FLASH_BANK, NM, Machine, symbols, wait_until


def main():
    target, image, flash = sys.argv[1:]
    names = symbols(NM[target], image)
    if target == "riscv":
        with open(flash, "ab") as file:
            file.truncate(FLASH_BANK)
    machine = Machine(target, image, 0, flash)
    try:
        finished = wait_until(machine, names["finished"], 1, 60)
        fault = machine.word(names["fault"])
        print("     fault %d, at %#x, %d ms by the port's clock" % (
            fault, machine.word(names["report"]), machine.word(names["report"] + 4)))
        return 0 if finished and fault == 0 else 1
    finally:
        machine.kill()


if __name__ == "__main__":
    sys.exit(main())
