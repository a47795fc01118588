# SPDX-License-Identifier: MIT
"""What gcov counted, as lines `branch_coverage_FILE V percent`; see coverage.sh.

    coverage.py BUILD [BEGINNING ...]
"""
import collections
import glob
import json
import os
import re
import subprocess
import sys

EXCUSE = re.compile(r"uncovered: *(\S.*)?")
WHOLES = ("core", "host")


def counts(build):
    """{file: {line: [how often each branch was taken]}}"""
    files = collections.defaultdict(dict)
    data = sorted(glob.glob(build + "/**/*.gcno", recursive=True))
    output = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities"] + data,
                            check=True, capture_output=True, text=True).stdout
    for line in output.splitlines():
        for file in json.loads(line)["files"] if line.startswith("{") else []:
            name = os.path.normpath(file["file"])
            if not name.startswith(tuple(whole + "/" for whole in WHOLES)):
                continue
            for entry in file["lines"]:
                branches = [branch["count"] for branch in entry["branches"]]
                before = files[name].get(entry["line_number"], [0] * len(branches))
                # A header's function stands in several objects.
                files[name][entry["line_number"]] = [a + b for a, b in zip(before, branches)]
    return files


def excused(name):
    """Lines that are left out, each with its reason."""
    lines = set()
    with open(name, encoding="utf-8") as source:
        for number, text in enumerate(source, 1):
            excuse = EXCUSE.search(text)
            if excuse and not excuse.group(1):
                sys.exit(f"{name}:{number}: uncovered, and no reason is given")
            if excuse:
                lines.add(number)
    return lines


def main():
    build, *rest = sys.argv[1:]
    paths = tuple(rest) or ("",)
    wholes = {whole: [0, 0, 0] for whole in WHOLES}
    for name, lines in sorted(counts(build).items()):
        if not name.startswith(paths):
            continue
        out = excused(name)
        kept = {number: branches for number, branches in lines.items() if number not in out}
        total = sum(map(len, kept.values()))
        taken = sum(count > 0 for branches in kept.values() for count in branches)
        whole = wholes[name.split("/")[0]]
        whole[0] += taken
        whole[1] += total
        whole[2] += len(out & lines.keys())
        if total:
            print(f"branch_coverage_{name} {100 * taken / total:.1f} percent")
        for number, branches in sorted(kept.items()) if rest else []:
            untaken = branches.count(0)
            if untaken:
                text = open(name, encoding="utf-8").read().splitlines()[number - 1].strip()
                print(f"    {name}:{number}: {untaken} of {len(branches)} never taken: {text}")
    for whole, (taken, total, lines) in wholes.items():
        if total:
            print(f"branches_{whole} {total} count")
            print(f"branches_{whole}_taken {taken} count")
            print(f"lines_{whole}_excused {lines} count")
            print(f"branch_coverage_{whole} {100 * taken / total:.2f} percent")


main()
