# SPDX-License-Identifier: MIT
"""Writes the device core as one pair of files: dist.py FOLDER makes FOLDER/tern.c and FOLDER/tern.h out of core/, and with the pair
FOLDER/arduino/tern, a whole library for Arduino.

Names that two files of the core use for things of their own get the file's name behind them, macros of a file end with it, and
each internal header is there once. What only the core calls becomes static, so that the compiler sees all of its callers: the image is
three per cent smaller. Whether it compiles as it should is for tests/all/dist.sh to say."""
import collections
import glob
import os
import re
import shutil
import sys

NOTE = "/* Made by `make dist` from the folder core/ of tern. Change it there. */\n"
DEFINITIONS = [
    re.compile(r"^static [^;={]*?\b(\w+)\(", re.M),
    re.compile(r"^static (?:const )?[\w ]+[ *](\w+)(?:\[[^]]*\])* ?(?:=|;)", re.M),
    re.compile(r"^(?:struct|enum|union) (\w+) \{", re.M),
    re.compile(r"^typedef [^;{]*?\b(\w+)(?:\[[^;]*\])?;", re.M),
]
FUNCTION = re.compile(r"^(?!static |typedef |extern |return |else )(\w[\w ]*[ *]+(tern_\w+)\()", re.M)
INTERNAL = """#ifdef __GNUC__
#define TERN_INLINE static inline __attribute__((unused))
#else
#define TERN_INLINE static inline
#endif
#ifdef __AVR__
#define TERN_INTERNAL /* what its compiler makes of static functions is larger */
#elif defined(__GNUC__)
#define TERN_INTERNAL static __attribute__((unused))
#else
#define TERN_INTERNAL static
#endif
"""
MACRO = re.compile(r"^#define (\w+)", re.M)
INCLUDE = re.compile(r'^#include ([<"])([\w./]+)[>"].*\n', re.M)
LICENCE = re.compile(r"^/\* SPDX-License-Identifier: MIT \*/\n")


def names_of(text):
    names = {name for pattern in DEFINITIONS for name in pattern.findall(text)}
    for body in re.findall(r"^enum \w* ?\{([^}]*)\}", text, re.M):
        names.update(re.findall(r"\b([A-Z][A-Z0-9_]+)\b(?=\s*[,=}]|\s*$|\s*/\*)", body, re.M))
    return names


def main():
    folder = sys.argv[1]
    sources = {os.path.basename(path): open(path).read() for path in sorted(glob.glob("core/*.c"))}
    owners = collections.Counter(name for text in sources.values() for name in names_of(text))
    headers = {os.path.basename(path): open(path).read() for path in glob.glob("core/*.h")}
    public = {name for _, name in FUNCTION.findall(headers["tern.h"])}
    internal = {name for text in headers.values() for _, name in FUNCTION.findall(text)} - public
    seen, system = {"tern.h"}, set()

    def inline(text):
        """The text without its includes, behind those of its own headers that have not been there."""
        before = ""
        for kind, name in INCLUDE.findall(text):
            if kind == "<":
                system.add(name)
            elif name not in seen:
                seen.add(name)
                before += inline(open(os.path.join("core", name)).read())
        return before + LICENCE.sub("", INCLUDE.sub("", text)).replace("\nstatic inline ", "\nTERN_INLINE ")

    parts = []
    for name, text in sources.items():
        stem = name[:-2]
        for shared in sorted(owner for owner in names_of(text) if owners[owner] > 1):
            text = re.sub(r"(?<![\w.>])%s\b" % shared, "%s_of_%s" % (shared, stem), text)
        macros = "".join("#undef %s\n" % macro for macro in MACRO.findall(text))
        text = inline(text)
        text = FUNCTION.sub(lambda found: ("TERN_INTERNAL " if found.group(2) in internal else "") + found.group(1), text)
        parts.append("\n/* ---- %s %s */\n\n%s%s" % (name, "-" * (110 - len(name)), text, macros))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "tern.h"), "w") as file:
        file.write(NOTE + open("core/tern.h").read())
    with open(os.path.join(folder, "tern.c"), "w") as file:
        file.write("/* SPDX-License-Identifier: MIT */\n" + NOTE + '#include "tern.h"\n\n')
        file.write("".join("#include <%s>\n" % name for name in sorted(system)) + "\n" + INTERNAL + "".join(parts))
    library = os.path.join(folder, "arduino", "tern")
    shutil.rmtree(library, ignore_errors=True)
    shutil.copytree("port/arduino", library)
    shutil.copy("core/LICENSE", library)
    for name in ("tern.c", "tern.h"):
        shutil.copy(os.path.join(folder, name), os.path.join(library, "src"))


if __name__ == "__main__":
    main()
