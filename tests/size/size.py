# SPDX-License-Identifier: MIT
"""What the device core takes, a line a target and configuration, in bytes: code, data and bss of a firmware that uses all that a plain
device uses, linked with section garbage collection, compiler helpers counted, the four memory functions and the port not; RAM of
struct tern and one lane; the deepest stack. Each has a bound in tests/size/bounds, which only falls: `size.py --lower` writes
today's values, and a little room, where they are below it. Above a bound is a failure. `size.py --ways` shows the whole deepest call with its frames."""
import glob
import os
import subprocess
import sys

import stack

TARGETS = {
    "cortex-m0plus": ("arm-none-eabi-", ["-mcpu=cortex-m0plus", "-mthumb"]),
    "cortex-m3": ("arm-none-eabi-", ["-mcpu=cortex-m3", "-mthumb"]),
    "rv32imc": ("riscv64-unknown-elf-", ["-march=rv32imc", "-mabi=ilp32"]),
    "avr": ("avr-", ["-mmcu=atmega328p"]),
    "x86-64": ("", ["-fno-pic", "-no-pie", "-static", "-fcf-protection=none"]),
}
CONFIGURATIONS = {"packed": [], "dedup": ["-DDEDUP"], "csv": ["-DPLAIN"]}
FLAGS = ["-std=c99", "-Os", "-ffreestanding", "-ffunction-sections", "-fdata-sections"]
ABSENT = ["memcpy", "memmove", "memset", "memcmp", "config", "row", "tern", "dedup", "filter"]
FIGURES = ["text", "data", "bss", "ram", "stack"]
# What the project aims at: text, ram, stack; None: nothing in particular.
AIMS = {("cortex-m0plus", "packed"): (6144, 512, 256), ("cortex-m0plus", "dedup"): (8192, None, 256), ("avr", "packed"): (None, 320, None)}
# The packed codecs alone on Cortex-M0+: what is linked, and the bound; "more" is beside the encoder for numbers.
UNPACK = ["tern_unpack_open", "tern_unpack_table", "tern_unpack_segment", "tern_unpack_next"]
CODECS = {
    "pack_numbers": (["tern_packed"], False, 1100),
    "pack_text_more": (["tern_packed_text"], True, 250),
    "unpack_more": (["tern_packed"] + UNPACK, True, 1100),
    "unpack_alone": (UNPACK, False, None),
    "pack_text_unpack": (["tern_packed_text"] + UNPACK, False, None),
}
PAIR_BOUND = 12553  # of what `make dist` writes, on Cortex-M0+
BOUNDS = os.path.join(os.path.dirname(__file__), "bounds")
OUT = os.path.join(os.environ.get("B", "build"), "size")


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def compile_core(prefix, flags, folder):
    objects = []
    for source in sorted(glob.glob("core/*.c")) + ["tests/size/ram.c"]:
        objects.append(os.path.join(folder, os.path.basename(source)[:-1] + "o"))
        run(prefix + "gcc", *flags, *FLAGS, "-fstack-usage", "-c", source, "-o", objects[-1])
    return objects


def measure(target, configuration, objects, folder):
    prefix, flags = TARGETS[target]
    main = os.path.join(folder, "main-" + configuration)
    os.makedirs(main, exist_ok=True)
    run(prefix + "gcc", *flags, *FLAGS, *CONFIGURATIONS[configuration], "-fstack-usage", "-c", "tests/size/firmware.c",
        "-o", main + "/firmware.o")
    image = main + ".elf"
    run(prefix + "gcc", *flags, "-nostartfiles", "-nodefaultlibs", main + "/firmware.o", *objects[:-1], "-Wl,--gc-sections",
        "-Wl,-e,main", *["-Wl,--defsym,%s=0" % name for name in ABSENT], "-lgcc", "-o", image)
    sections = [int(word) for word in run(prefix + "size", image).splitlines()[1].split()[:3]]
    symbols = [line.split() for line in run(prefix + "nm", "-S", image).splitlines()]
    sections[2] = sum(int(symbol[1], 16) for symbol in symbols if len(symbol) == 4 and symbol[2] in "bB")  # without padding
    wanted = "ram_dedup" if configuration == "dedup" else "ram_plain"
    ram = next(int(line.split()[1], 16) for line in run(prefix + "nm", "-S", objects[-1]).splitlines() if line.endswith(wanted))
    try:
        depth, way = stack.Image(prefix, image, [folder, main]).deepest()
    except stack.StackError as problem:
        depth, way = 99999, [str(problem)]  # above every bound
    return sections + [ram, depth], way


def with_room(name, size):
    """A bound for a figure: two parts that each became smaller may be a little larger together, and a fix may cost some bytes."""
    return size + {"text": size // 64, "stack": size // 16, "ram": 4}.get(name, 0)


def weigh_codec(symbols, folder):
    prefix, flags = TARGETS["cortex-m0plus"]
    objects = [path for path in glob.glob(folder + "/*.o") if "pack" in os.path.basename(path)]
    run(prefix + "gcc", *flags, "-nostartfiles", "-nodefaultlibs", *objects, "-Wl,--gc-sections", "-Wl,-e,0",
        *["-Wl,-u," + symbol for symbol in symbols], *["-Wl,--defsym,%s=0" % name for name in ABSENT + ["tern_row_check"]],
        "-lgcc", "-o", folder + "/codec.elf")
    return int(run(prefix + "size", folder + "/codec.elf").splitlines()[1].split()[0])


def check_codecs(folder):
    """How many are within their bounds, and how many are not."""
    passed = failed = 0
    numbers = weigh_codec(["tern_packed"], folder)
    for name, (symbols, more, bound) in CODECS.items():
        size = weigh_codec(symbols, folder) - (numbers if more else 0)
        print("codec_%s %d bytes" % (name, size))
        if bound and size > bound:
            print("FAIL codec_%s is above its bound %d" % (name, bound))
        passed, failed = passed + bool(bound and size <= bound), failed + bool(bound and size > bound)
    return passed, failed


def check_pair(folder):
    """The packed firmware from the pair of files that `make dist` writes, whose one compiler run sees every caller."""
    prefix, flags = TARGETS["cortex-m0plus"]
    run(sys.executable, "tests/dist/dist.py", folder + "/dist")
    run(prefix + "gcc", *flags, *FLAGS, "-nostartfiles", "-nodefaultlibs", folder + "/main-packed/firmware.o", folder + "/dist/tern.c",
        "-Wl,--gc-sections", "-Wl,-e,main", *["-Wl,--defsym,%s=0" % name for name in ABSENT], "-lgcc", "-o", folder + "/dist.elf")
    size = int(run(prefix + "size", folder + "/dist.elf").splitlines()[1].split()[0])
    print("one_file %d bytes" % size)
    if size > PAIR_BOUND:
        print("FAIL one_file is above its bound %d" % PAIR_BOUND)
    return size <= PAIR_BOUND


def read_bounds():
    bounds = {}
    for line in open(BOUNDS):
        if line.strip() and not line.startswith("#"):
            target, configuration, *numbers = line.split()
            bounds[target, configuration] = [int(number) for number in numbers]
    return bounds


def write_bounds(bounds):
    """The comments, and the figures' names among them, stay."""
    comments = [line for line in open(BOUNDS) if line.startswith("#")]
    with open(BOUNDS, "w") as file:
        file.writelines(comments)
        for (target, configuration), numbers in bounds.items():
            file.write("%-14s %-8s %s\n" % (target, configuration, " ".join("%6d" % number for number in numbers)))


def show_modules(folder):
    print("\ncode of a module, cortex-m0plus, before garbage collection:")
    log = 0
    for line in run("arm-none-eabi-size", *sorted(glob.glob(folder + "/*.o"))).splitlines()[1:]:
        size, name = int(line.split()[0]), os.path.basename(line.split()[5])[:-2]
        log += size if name.startswith("log") else 0
        if name != "ram":
            print("module_%s %d bytes" % (name, size))
    print("module_log_all %d bytes" % log)


def main():
    bounds = read_bounds() if os.path.exists(BOUNDS) else {}
    lower = "--lower" in sys.argv
    passed = failed = 0
    print("%-14s %-8s %s   aim: text, ram, stack; the deepest call" % ("target", "config", " ".join("%6s" % name for name in FIGURES)))
    for target, (prefix, flags) in TARGETS.items():
        folder = os.path.join(OUT, target)
        os.makedirs(folder, exist_ok=True)
        for old in glob.glob(folder + "/*.o") + glob.glob(folder + "/*.su"):
            os.remove(old)
        objects = compile_core(prefix, flags, folder)
        for configuration in CONFIGURATIONS:
            found, way = measure(target, configuration, objects, folder)
            aim = " ".join("%5s" % (number or "-") for number in AIMS.get((target, configuration), (None, None, None)))
            print("%-14s %-8s %s   %s  %s" % (target, configuration, " ".join("%6d" % number for number in found), aim, " > ".join(way if "--ways" in sys.argv else way[:1] + ["..."] + way[-1:])))
            bound = bounds.get((target, configuration))
            if lower:
                roomy = [with_room(name, size) for name, size in zip(FIGURES, found)]
                bounds[target, configuration] = [min(pair) for pair in zip(roomy, bound or roomy)]
                continue
            excess = ["%s %d above its bound %d" % triple for triple in zip(FIGURES, found, bound or [0] * 5) if triple[1] > triple[2]]
            passed, failed = passed + (not excess), failed + bool(excess)
            if excess:
                print("FAIL %s %s: %s" % (target, configuration, "; ".join(excess)))
    within, above = check_codecs(os.path.join(OUT, "cortex-m0plus"))
    within_pair = check_pair(os.path.join(OUT, "cortex-m0plus"))
    passed, failed = passed + within + within_pair, failed + above + (not within_pair)
    show_modules(os.path.join(OUT, "cortex-m0plus"))
    if lower:
        write_bounds(bounds)
        return 0
    print("%d passed, %d failed" % (passed, failed))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
