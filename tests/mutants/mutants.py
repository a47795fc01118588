# SPDX-License-Identifier: MIT
"""Does a test notice when a line of core/ is wrong? Changes core/*.c in one place at a time, and runs the unit tests.

    mutants.py [--sample N] [--seed N] [--match PATTERN] [--build DIR] [--least PERCENT] [--jobs N] [--plain] [--verbose] [FILE ...]

What is changed: comparisons, && and ||, a missing `!`, constants that are compared with, conditions that are always true or always
false, statements left out (source.py). A mutant that compiles to the very code of the original, or of another mutant, is not counted. One
that the plain tests let through is built with AddressSanitizer and UndefinedBehaviorSanitizer as well, for the tests of its file. What nothing notices is printed
as `survived FILE:LINE: OLD => NEW`; `equivalent` names those of which nothing can be noticed, each with its reason. A sample is the same
for the same seed, and a change of one line changes little of it. Ends with status 1 when fewer than --least percent are killed.

All of them are run by `make mutants`, one part of them by `make mutants MUTANTS="core/log_read.c core/log_scan.c"` or MUTANTS="--match PATTERN".
It says once a minute how many are left. Which test noticed a mutant is kept in DIR/noticed: a run that was broken off is soon where it was, and
one after a change begins with that test for each mutant. A sample of 80 took 38 seconds of processor time, building included; those that survive
cost most, as every test is run on them: the log's, with the excused ones some 40, take 15 seconds each, most of it sim/powercut. So all take about
half an hour on two cores that do nothing else, and a new test is tried with --match first.
"""
import argparse
import concurrent.futures
import glob
import hashlib
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
import time

import source

HERE = os.path.dirname(os.path.abspath(__file__))
CC = os.environ.get("MUTANT_CC", "gcc")
CORE = ["-std=c99", "-O2", "-w"]
HOST = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-w", "-pthread"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

# Each test, what it is called with, and the files that it is about: those it is run on first.
TESTS = [
    ("unit/test_schema", [], "schema"),
    ("unit/test_push", [], "push push_in push_out"),
    ("unit/test_sending", [], "push push_in push_out"),
    ("unit/test_golden", [], "chunk frame"),
    ("unit/test_dedup", [], "dedup"),
    ("unit/test_config", [], "tern"),
    ("unit/test_tern", [], "tern"),
    ("unit/test_answers", [], "push push_in push_out"),
    ("unit/test_bytes", [], "bytes crc32c"),
    ("unit/test_frame", [], "frame"),
    ("unit/test_pack", [], "pack pack_model unpack"),
    ("unit/test_chunk", [], "chunk"),
    ("unit/test_csv", [], "csv"),
    ("unit/test_log", [], "log log_mount log_read log_scan"),
    ("unit/test_log_sectors", [], "log log_mount log_read log_scan"),
    ("unit/test_log_find", [], "log log_mount log_read log_scan"),
    ("unit/test_log_start", [], "log log_mount log_read log_scan"),
    ("unit/test_log_ring", [], "log log_mount log_read log_scan"),
    ("unit/test_log_mount", [], "log log_mount log_read log_scan"),
    ("property/pack_random", ["1", "20000"], "pack pack_model unpack schema"),
    ("property/dedup_random", ["1", "3000"], "dedup bloom"),
    ("property/device_random", ["1", "60"], "tern push push_in push_out log log_mount log_read log_scan chunk"),
    ("unit/test_refuse", [], "tern"),
    ("unit/test_bloom", [], "bloom"),
    ("sim/powercut", ["quick"], "log log_mount log_read log_scan"),
]
# These take long, and are run on no others.
SLOW = {
    "unit/test_log": "log log_mount log_read log_scan chunk tern crc32c",
    "unit/test_log_sectors": "log log_mount log_read log_scan",
    "unit/test_log_find": "log log_mount log_read log_scan",
    "unit/test_log_start": "log log_mount log_read log_scan",
    "unit/test_log_ring": "log log_mount log_read log_scan",
    "unit/test_log_mount": "log log_mount log_read log_scan",
    "property/device_random": "log log_mount log_read log_scan chunk tern push push_in push_out schema frame",
    "unit/test_bloom": "bloom",
    "property/dedup_random": "dedup bloom chunk unpack schema bytes",
    "sim/powercut": "log log_mount log_read log_scan",
}


def run(command, **more):
    return subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **more)


def name_of(test):
    return "main_" + os.path.basename(test)


class Bench:
    """One program of all tests and all mutants; `flags` for all of it."""

    def __init__(self, build, flags, files, mutants):
        """`files`: {path: source.File}; `mutants`: {number: mutant}."""
        self.build, self.flags = build, flags
        self.tests = [test for test in TESTS if os.path.exists(f"tests/{test[0]}.c")]
        self.code = {}
        shutil.rmtree(build, ignore_errors=True)
        os.makedirs(build)
        with open(f"{build}/tests.h", "w", encoding="utf-8") as file:
            file.writelines(f"TEST({name_of(test)})\n" for test, _, _ in self.tests)
        jobs = [("host/crc32c.c", HOST), ("tests/nor.c", HOST), ("tests/log_rig.c", HOST),
                ("tests/mutants/driver.c", HOST + [f"-I{build}"])]
        jobs += [(f"tests/{test}.c", HOST + ["-DTEST_QUITS", f"-Dmain={name_of(test)}"]) for test, _, _ in self.tests]
        jobs = [job for job in jobs if job[0] != "tests/unit/test_bytes.c"]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            made = [pool.submit(self.compile, *job) for job in jobs]
            for path in sorted(glob.glob("core/*.c")):
                mine = {number: mutant for number, mutant in mutants.items() if mutant.path == path}
                made.append(pool.submit(self.compile_mutants, files.get(path) or source.File(path), mine))
            objects = [future.result() for future in made]
        for test, _, _ in self.tests:
            run(["objcopy", f"--keep-global-symbol={name_of(test)}", self.object_of(f"tests/{test}.c")])
        run([CC, *self.flags, *objects, "-pthread", "-lm", "-o", f"{build}/driver"])
        self.measure({test for mutant in mutants.values() for test, _, _ in self.fit(mutant.path)})

    def object_of(self, path):
        return f"{self.build}/{path.replace('/', '+')[:-2]}.o"

    def compile(self, path, flags):
        cache = ["ccache"] if shutil.which("ccache") else []
        run([*cache, CC, *flags, *self.flags, "-c", path, "-o", self.object_of(path)])
        return self.object_of(path)

    def compile_mutants(self, file, mutants):
        """All of a file at once; what code each of them is, is kept. One that does not compile is a fault of source.py."""
        made = self.object_of(file.path)
        text, assembly = made[:-1] + "c", made[:-1] + "s"
        with open(text, "w", encoding="utf-8") as to:
            to.write(file.variants(mutants))
        command = [CC, *CORE, *self.flags, "-Icore", "-S", text, "-o", assembly]
        if file.path == "core/crc32c.c":  # the host's is linked, which is faster; this one stands in a test
            made = self.object_of("tests/unit/test_bytes.c")
            command = self.bytes_command(text, assembly)
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            first = re.search(r"^mutant:(\d+):.*error:.*", result.stderr, re.M)
            sys.exit(f"mutants: {described(mutants[int(first.group(1))])}: {first.group()}" if first else result.stderr)
        run([CC, *self.flags, "-c", assembly, "-o", made])
        with open(assembly, encoding="utf-8") as listing:
            self.code.update(codes(file.path, listing.read()))
        return made

    def bytes_command(self, crc, assembly):
        with open("tests/unit/test_bytes.c", encoding="utf-8") as file:
            text = file.read().replace("../../core/crc32c.c", os.path.abspath(crc))
        with open(f"{self.build}/test_bytes.c", "w", encoding="utf-8") as file:
            file.write(text)
        return [CC, *HOST, "-Itests/unit", "-Icore", *self.flags, "-DTEST_QUITS", "-Dmain=main_test_bytes", "-S",
                f"{self.build}/test_bytes.c", "-o", assembly]

    def fit(self, path):
        """The tests for a file."""
        name = os.path.basename(path)[:-2]
        if self.flags:
            return [test for test in self.tests if name in test[2].split() and test[0] != "sim/powercut"]
        return [test for test in self.tests if test[0] not in SLOW or name in SLOW[test[0]].split()]

    def order(self, path):
        """The same, those first that are about it, and of them the quick ones."""
        name = os.path.basename(path)[:-2]
        return sorted(self.fit(path), key=lambda test: (test[0] == "sim/powercut", name not in test[2].split(), self.limits[test[0]]))

    def measure(self, wanted):
        """Milliseconds of processor time that each test may take: some times what it takes, and a little."""
        self.limits = {}
        for test, arguments, _ in [test for test in self.tests if test[0] in wanted]:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            if self.run_test(0, test, arguments, 60000) != 0:
                sys.exit(f"mutants: {test} fails as things are")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            self.limits[test] = int(100 + 4000 * took)

    def run_test(self, number, test, arguments, milliseconds):
        try:
            return subprocess.run([f"{self.build}/driver", str(number), name_of(test), str(milliseconds), *arguments],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  check=False, timeout=30 + milliseconds / 100).returncode
        except subprocess.TimeoutExpired:
            return -1

    def judge(self, number, mutant, first):
        """The test that notices this one, or None. `first` is run first: it noticed it the last time."""
        for test, arguments, _ in sorted(self.order(mutant.path), key=lambda test: test[0] != first):
            if self.run_test(number, test, arguments, self.limits[test]) != 0:
                return test
        return None


class Memory:
    """A file of what each mutant came to, line by line as it did: so the next run begins with the test that noticed it. Says how far a run is."""

    def __init__(self, path, count):
        self.found, self.left, self.next, self.lock = {}, count, time.time() + 60, threading.Lock()
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                lines = [line.rstrip("\n").split("\t") for line in file]
            self.found = {tuple(line[:3]): line[3] for line in lines if len(line) == 4}
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self.file = open(path, "w", encoding="utf-8")
        for entry, test in self.found.items():
            self.write(entry, test)

    def write(self, entry, test):
        print(*entry, test, sep="\t", file=self.file, flush=True)

    def keep(self, mutant, verdict):
        with self.lock:
            self.write(key(mutant), verdict or "-")
            self.left -= 1
            if time.time() > self.next:
                print(f"mutants: {self.left} left", file=sys.stderr, flush=True)
                self.next += 60
        return verdict


def codes(path, listing):
    """{number: what the function of that mutant compiles to}; (path, name) in place of the number of an original."""
    found = {}
    for match in re.finditer(r"^(\w+)__mutant(\d+):\n(.*?)^\s*\.size\s+\1__mutant\2,", listing, re.M | re.S):
        name, number, text = match.group(1), int(match.group(2)), match.group(3)
        labels = {}
        text = re.sub(r"\.L\w+", lambda label, labels=labels: labels.setdefault(label.group(), f"L{len(labels)}"), text)
        text = re.sub(r"__mutant\d+|\.\d+\b", "", text)
        found[number or (path, name)] = hashlib.sha256(f"{path} {name} {text}".encode()).digest()
    return found


def excuses():
    """{(file, old, new): reason} of the mutants of which nothing can be noticed."""
    found, entry = {}, None
    with open(f"{HERE}/equivalent", encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.startswith("#") or not line.strip():
                continue
            if line[0].isspace():
                found[entry] = (found[entry] + " " + line.strip()).strip()
                continue
            match = re.match(r"(\S+): (.*) => (.*)$", line.rstrip("\n"))
            if not match:
                sys.exit(f"equivalent:{number}: FILE: OLD => NEW is expected")
            entry = match.groups()
            found[entry] = ""
    for entry, reason in found.items():
        if not reason:
            sys.exit(f"equivalent: {entry[0]}: {entry[1]}: no reason is given")
    return found


def key(mutant):
    return mutant.path, mutant.old, mutant.new


def described(mutant):
    return f"{mutant.path}:{mutant.line}: {mutant.old} => {mutant.new}"


def sample(mutants, size, seed):
    def rank(mutant):
        return hashlib.sha256(f"{seed} {key(mutant)}".encode()).digest()
    return sorted(mutants, key=rank)[:size] if size else mutants


def hunt(build, jobs, files, mutants, is_plain):
    """[(mutant, verdict)]: the test that noticed it, "same" or None."""
    numbers = dict(enumerate(mutants, 1))
    plain = Bench(build + "/plain", [], files, numbers)
    verdicts = {}
    seen = {code for key, code in plain.code.items() if isinstance(key, tuple)}
    for number in numbers:
        if plain.code[number] in seen:
            verdicts[number] = "same"
        seen.add(plain.code[number])
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        todo = [number for number in numbers if number not in verdicts]
        memory = Memory(build + "/noticed", len(todo))

        def try_one(number):
            mutant = numbers[number]
            return memory.keep(mutant, plain.judge(number, mutant, memory.found.get(key(mutant))))
        verdicts.update(zip(todo, pool.map(try_one, todo)))
        alive = [number for number, verdict in verdicts.items() if verdict is None]
        if alive and not is_plain:
            strict = Bench(build + "/strict", SANITIZE, files, {number: numbers[number] for number in alive})
            found = pool.map(lambda number: strict.judge(number, numbers[number], None), alive)
            verdicts.update((number, verdict and "sanitizer: " + verdict) for number, verdict in zip(alive, found))
    return [(numbers[number], verdict) for number, verdict in sorted(verdicts.items())]


def report(results, excused, whole, arguments):
    killed = survived = out = wrong = 0
    by, files = {}, {}
    seen = set()
    for mutant, verdict in results:
        if verdict == "same":  # which may be another compiler's doing
            seen.add(key(mutant))
            continue
        where = described(mutant)
        if key(mutant) in excused:
            seen.add(key(mutant))
            out += 1
            if verdict is not None:
                print(f"FAIL {where}: is said to be equivalent, and {verdict} notices it")
                wrong += 1
            continue
        of_file = files.setdefault(mutant.path, [0, 0])
        of_file[verdict is None] += 1
        if verdict is None:
            survived += 1
            print(f"survived {where}")
        else:
            killed += 1
            by[verdict] = by.get(verdict, 0) + 1
        if arguments.verbose and verdict:
            print(f"killed by {verdict}: {where}")
    for path, old, new in set(excused) - seen if whole else ():
        print(f"FAIL {path}: {old} => {new}: is said to be equivalent, and is no mutant")
        wrong += 1
    for test, count in sorted(by.items(), key=lambda item: -item[1]):
        print(f"killed_by_{test.replace(' ', '_')} {count} count")
    for path, (good, bad) in sorted(files.items()):
        print(f"mutants_killed_ratio_{path} {100 * good / (good + bad):.1f} percent")
    total = killed + survived
    percent = 100 * killed / total if total else 100
    print(f"mutants {total} count\nkilled {killed} count\nsurvived {survived} count\nequivalent {out} count")
    print(f"mutants_killed_ratio {percent:.1f} percent")
    return wrong == 0 and percent >= arguments.least


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--build", default="build/mutants")
    parser.add_argument("--least", type=float, default=95)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--match", default="", help="those alone that hold this regular expression, as they are printed")
    parser.add_argument("--plain", action="store_true", help="without the sanitizers")
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    start = time.time()
    files = {path: source.File(path) for path in arguments.files or sorted(glob.glob("core/*.c"))}
    mutants = [mutant for file in files.values() for mutant in file.mutants
               if re.search(arguments.match, described(mutant))]
    excused = excuses()
    chosen = sample(mutants, arguments.sample, arguments.seed)
    good = report(hunt(arguments.build, arguments.jobs, files, chosen, arguments.plain), excused,
                  len(chosen) == len(mutants) and not arguments.files and not arguments.match, arguments)
    print(f"seconds {time.time() - start:.0f} count")
    return 0 if good else 1


sys.exit(main())
