# SPDX-License-Identifier: MIT
"""Runs an image in its emulator and takes its power away at random moments.

drive.py TARGET IMAGE PORT CUTS SEED ROWS FLASH

TARGET microbit: the chip is reset by QEMU's system_reset, which keeps RAM, flash and the UART's connection.
TARGET riscv: the emulator is killed with SIGKILL and started again with the same flash file, FLASH.

At each cut the machine is stopped, and what the firmware believes to be durable is read from its RAM (`recorded`); after the start
its log must hold at least as much (`kept`). Ends when `recorded` has reached ROWS. Status 0: everything held.
"""
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

COMMANDS = {
    "microbit": ["qemu-system-arm", "-M", "microbit"],
    "riscv": ["qemu-system-riscv32", "-M", "virt", "-m", "16", "-bios", "none"],
}
NM = {"microbit": "arm-none-eabi-nm", "riscv": "riscv64-unknown-elf-nm"}
FLASH_BANK = 32 << 20
PATIENCE = 20  # seconds


def symbols(tool, image):
    lines = subprocess.run([tool, image], check=True, capture_output=True, text=True).stdout.splitlines()
    return {fields[2]: int(fields[0], 16) for fields in map(str.split, lines) if len(fields) == 3}


class Machine:
    """One QEMU with its control socket."""

    def __init__(self, target, image, port, flash):
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "control")
        command = COMMANDS[target] + ["-display", "none", "-monitor", "none",
                                      # -kernel is passed over where the second flash bank has a file
                                      "-device", "loader,file=" + image,
                                      "-serial", "tcp:127.0.0.1:%d" % port if port else "null",
                                      "-qmp", "unix:%s,server=on,wait=off" % path]
        if target == "riscv":
            command += ["-drive", "if=pflash,unit=1,format=raw,file=" + flash]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self.control = socket.socket(socket.AF_UNIX)
        begin = time.monotonic()
        while True:
            try:
                self.control.connect(path)
                break
            except OSError:
                if time.monotonic() - begin > PATIENCE or self.process.poll() is not None:
                    self.kill()
                    raise SystemExit("drive.py: the emulator did not start: " + " ".join(command))
                time.sleep(0.01)
        self.stream = self.control.makefile("rw")
        self.stream.readline()
        self.call("qmp_capabilities")

    def call(self, name, **arguments):
        self.stream.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.stream.flush()
        while True:
            answer = json.loads(self.stream.readline())
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise SystemExit("drive.py: %s: %s" % (name, answer["error"]))

    def word(self, address):
        text = self.call("human-monitor-command", **{"command-line": "xp /1wx 0x%x" % address})
        return int(text.split(":")[1], 16)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.control.close()
        self.folder.cleanup()


def wait_until(machine, address, least, patience=PATIENCE):
    """Waits until the word is at least so large; returns it, and gives up after so many seconds without a change."""
    found = machine.word(address)
    begin = time.monotonic()
    while found < least and time.monotonic() - begin < patience:
        time.sleep(0.005)
        now = machine.word(address)
        if now != found:
            found, begin = now, time.monotonic()
    return found


def main():
    target, image, port, cuts, seed, rows, flash = sys.argv[1:]
    port, cuts, rows = int(port), int(cuts), int(rows)
    chance = random.Random(seed)
    names = symbols(NM[target], image)
    if target == "riscv":
        with open(flash, "ab") as file:
            file.truncate(FLASH_BANK)
    machine = Machine(target, image, port, flash)
    try:
        recorded = 0
        for cut in range(cuts):
            time.sleep(0.02 + chance.random() * chance.random() * 0.8)
            machine.call("stop")
            recorded = machine.word(names["recorded"])
            if target == "microbit":
                machine.call("system_reset")
                machine.call("cont")
            else:
                machine.kill()
                machine = Machine(target, image, port, flash)
            kept = wait_until(machine, names["kept"], recorded)
            if kept < recorded:
                print("cut %d: %d records were committed and the log holds %d" % (cut + 1, recorded, kept))
                return 1
        if recorded == 0:
            print("nothing was recorded before the last cut")
            return 1
        print("     %d cuts, %d records at the last one" % (cuts, recorded))
        found = wait_until(machine, names["recorded"], rows)
        if found < rows:
            print("after the cuts the firmware stands still at %d of %d records" % (found, rows))
            return 1
        sys.stdout.flush()
        # The shell looks whether everything arrives, and then closes this pipe's other end.
        sys.stdin.read()
        return 0
    finally:
        machine.kill()


if __name__ == "__main__":
    sys.exit(main())
