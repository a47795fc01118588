# SPDX-License-Identifier: MIT
"""The deepest stack of a linked image: frames from -fstack-usage, calls from the disassembly, calls through pointers by hand."""
import collections
import fnmatch
import glob
import os
import re
import subprocess

# Calls through a pointer: who calls, and what may be called, both as file:function; the first that fits holds. A port's own functions
# are not counted, whose depth only the port knows: "port".
INDIRECT = {
    "log.c:*": ["port"],
    "log_mount.c:*": ["port"],
    "log_scan.c:*": ["port"],
    "log_read.c:*": ["port"],
    "push*.c:*": ["port"],
    "tern.c:*": ["port", "dedup.c:repeats"],
    "chunk.c:tern_chunk_*": ["csv.c:csv_*", "pack.c:open*", "pack.c:declare", "pack.c:put", "pack.c:finish"],
    "chunk.c:*": ["log*.c:tern_log_load", "chunk.c:read_memory"],
    "pack_model.c:code*": ["pack.c:write_byte", "unpack.c:read_byte"],
    "pack_model.c:tern_pack_bytes": ["pack.c:write_byte", "unpack.c:read_byte"],
    "*pack*.c:*": ["pack.c:write_byte", "pack.c:refuse_text", "unpack.c:read_*", "pack_model.c:tern_pack_bytes"],
    "schema.c:*": ["schema.c:add_*", "log*.c:gather*"],
    "dedup.c:*": ["port", "csv.c:csv_*"],
}
ENTRIES = ["main"]

POINTER_CALL = re.compile(r"\b(?:blx\s+(?:r\d+|ip|sl|fp|lr)|bx\s+(?:r\d+|ip)|jalr\s+|icall|eicall|call\s+\*|callq\s+\*)")
POINTER_JUMP = re.compile(r"\b(?:jr\s+(?!ra)|ijmp|eijmp|jmp\s+\*|jmpq\s+\*)")


class StackError(Exception):
    pass


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def read_frames(folders):
    """(file, function) -> bytes."""
    frames = {}
    for path in (path for folder in folders for path in glob.glob(os.path.join(folder, "*.su"))):
        for line in open(path):
            place, size, kind = line.rstrip("\n").split("\t")
            source, name = place.split(":")[0], place.split(":")[-1]
            if kind.startswith("dynamic") and "bounded" not in kind:
                raise StackError("%s: its stack has no bound" % place)
            key = os.path.basename(source), name
            frames[key] = max(frames.get(key, 0), int(size))
    return frames


def read_symbols(prefix, image):
    """address -> (file, function); a global's file is looked up in the frames."""
    places, source = {}, ""
    for line in output(prefix + "readelf", "-sW", image).splitlines():
        field = line.split()
        if len(field) < 8 or not field[0].endswith(":"):
            continue
        if field[3] == "FILE":
            source = field[7]
        elif field[3] == "FUNC":
            thumb = int(prefix.startswith("arm"))  # an odd address says that the code is Thumb
            places[int(field[1], 16) & ~thumb] = (source if field[4] == "LOCAL" else "", field[7])
    return places


def frame_by_eye(lines):
    """For the compiler's helpers, which come without -fstack-usage: pushes and subtractions."""
    size = 0
    for line in lines:
        push = re.search(r"\bpush\s+\{([^}]*)\}", line)
        if push:
            size += 4 * sum(int(high[1:]) - int(low[1:]) + 1 if "-" in part else 1
                            for part in push.group(1).split(",") for low, high in [(part.strip().split("-") * 2)[:2]])
        elif re.search(r"\bpush\s+r\d+", line):
            size += 1
        elif re.search(r"\bpush\s+%r", line):
            size += 8
        down = re.search(r"\bsub\s+sp,.*#(\d+)|\baddi?\s+sp,sp,-(\d+)|\bsub\s+\$0x([0-9a-f]+),%rsp", line)
        if down:
            size += int(down.group(3), 16) if down.group(3) else int(down.group(1) or down.group(2))
    return size


class Image:
    def __init__(self, prefix, path, folders):
        self.frames = read_frames(folders)
        self.places = read_symbols(prefix, path)
        self.files = {name: source for source, name in self.frames}
        self.body = collections.defaultdict(list)
        self.calls = collections.defaultdict(set)
        self.pointer_calls = set()
        self.read_code(output(prefix + "objdump", "-d", "--no-show-raw-insn", path))
        self.link_pointers()

    def named(self, place):
        source, name = place
        return (source or self.files.get(name.split(".")[0], "")), name

    def read_code(self, text):
        here, by_name = None, {}
        for line in text.splitlines():
            start = re.match(r"([0-9a-f]+) <([^>]+)>:$", line)
            if start:
                place = self.places.get(int(start.group(1), 16))
                if place is None and start.group(2).startswith("."):
                    continue
                here = self.named(place or ("", start.group(2)))
            elif here:
                self.body[here].append(line)
        at = {address: self.named(place) for address, place in self.places.items()}
        for here, lines in self.body.items():
            for line in lines:
                code = line.split("\t", 1)[-1].replace("\t", " ")
                target = re.search(r"(?:0x|\b)([0-9a-f]+) <([^>+]+)>", code)
                if target and not re.match(r"(lea|mov|ldr|add|auipc|lui|cmp)", code):
                    called = at.get(int(target.group(1), 16))
                    if called and called != here:
                        self.calls[here].add(called)
                elif POINTER_CALL.search(code) and not re.search(r"bx\s+lr|jalr\s+(zero|x0)", code):
                    self.pointer_calls.add(here)
                elif POINTER_JUMP.search(code) and self.targets(here) is not None:
                    self.pointer_calls.add(here)

    @staticmethod
    def targets(here):
        name = "%s:%s" % (here[0], here[1].split(".")[0])
        return next((called for caller, called in INDIRECT.items() if fnmatch.fnmatch(name, caller)), None)

    def matching(self, pattern):
        source, _, name = pattern.partition(":")
        return [place for place in self.body if fnmatch.fnmatch(place[0], source) and fnmatch.fnmatch(place[1].split(".")[0], name)]

    def link_pointers(self):
        for here in self.pointer_calls:
            if not here[0] or here[0] == "firmware.c":
                continue  # a compiler's helper: a jump table
            targets = self.targets(here)
            if targets is None:
                raise StackError("%s:%s calls through a pointer: name what it may call in tests/size/stack.py" % here)
            for pattern in targets:
                if pattern != "port":
                    self.calls[here].update(place for place in self.matching(pattern) if place != here)
        called = set().union(*self.calls.values()) if self.calls else set()
        for place in self.body:
            if place not in called and place[0] and place[1] not in ENTRIES:
                raise StackError("%s:%s is linked and nobody calls it: name its caller in tests/size/stack.py" % place)

    def frame(self, place):
        source, name = place
        if place in self.frames:
            return self.frames[place]
        sizes = [size for (file, known), size in self.frames.items() if file == source and known.split(".")[0] == name.split(".")[0]]
        return max(sizes) if sizes else frame_by_eye(self.body[place])

    def depth(self, place, above=()):
        """(bytes, the way down)"""
        if place in above:
            raise StackError("recursion: " + " > ".join(name for _, name in above + (place,)))
        if place not in self.known:
            below = [self.depth(called, above + (place,)) for called in self.calls[place] if called in self.body]
            deepest = max(below, default=(0, []))
            self.known[place] = (self.frame(place) + deepest[0], ["%s %d" % (place[1].split(".")[0], self.frame(place))] + deepest[1])
        return self.known[place]

    def deepest(self):
        """The deepest call below main(), whose own frame is the application's."""
        self.known = {}
        main = next(place for place in self.body if place[1] == "main")
        self.depth(main)
        return max(self.depth(called) for called in self.calls[main] if called in self.body)
