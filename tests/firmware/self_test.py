# SPDX-License-Identifier: MIT
"""self_test.py TARGET IMAGE FLASH: runs the port's self-test in the emulator, the UART's two wires joined, and prints what it found.
Status 0: nothing, and all of the bytes came back."""
import socket
import sys
import threading

from drive import FLASH_BANK, NM, Machine, symbols, wait_until


def join_wires():
    """The port of a socket that sends back what comes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def echo():
        stream = listener.accept()[0]
        try:
            while data := stream.recv(4096):
                stream.sendall(data)
        except ConnectionError:
            pass  # the emulator has been killed

    threading.Thread(target=echo, daemon=True).start()
    return listener.getsockname()[1]


def main():
    target, image, flash = sys.argv[1:]
    names = symbols(NM[target], image)
    if target == "riscv":
        with open(flash, "ab") as file:
            file.truncate(FLASH_BANK)
    machine = Machine(target, image, join_wires(), flash)
    try:
        finished = wait_until(machine, names["finished"], 1, 60)
        fault = machine.word(names["fault"])
        looped = machine.word(names["report"] + 8)
        print("     fault %d, at %#x, %d ms by the port's clock, %d bytes came back" % (
            fault, machine.word(names["report"]), machine.word(names["report"] + 4), looped))
        return 0 if finished and fault == 0 and looped == 512 else 1
    finally:
        machine.kill()


if __name__ == "__main__":
    sys.exit(main())
