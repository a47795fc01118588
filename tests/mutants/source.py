# SPDX-License-Identifier: MIT
"""Mutants of a C file: what is changed in it, one place at a time, so that a test should notice.

All mutants of a file are compiled at once: each is a function under another name, and a function that chooses among them by the number
in tern_mutant has the name of the original.
"""
import collections
import re

TOKEN = re.compile(r"""
    (?P<space>\s+|/\*.*?\*/|//[^\n]*|\#(?:[^\n\\]|\\.)*)
  | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<number>\.?\d(?:[\w.]|[eEpP][+-])*)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<sign><<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)
""", re.S | re.X)

FLIPS = {"<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"), "==": ("!=",), "!=": ("==",),
         "&&": ("||",), "||": ("&&",)}
# Moving the constant on the right the other way than the flip to the operator's neighbour does.
MOVES = {"<": "-", "<=": "+", ">": "+", ">=": "-"}
MIRROR = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}

KEYWORDS = {"if", "for", "while", "do", "return", "switch", "case", "default", "else", "goto"}
TYPES = re.compile(r"(u?int\w*_t|unsigned|signed|int|char|long|short|bool|size_t|ptrdiff_t|struct|enum|const|static|void)$")

Token = collections.namedtuple("Token", "kind text start end")
Mutant = collections.namedtuple("Mutant", "path line kind old new start end text")
Function = collections.namedtuple("Function", "name head arguments is_void start open begin end")


def tokens_of(source):
    found = []
    for match in TOKEN.finditer(source):
        if match.lastgroup != "space":
            found.append(Token(match.lastgroup, match.group(), match.start(), match.end()))
    return found


def closing(tokens, at):
    """Index of the bracket that closes the one at `at`."""
    depth = 0
    for i in range(at, len(tokens)):
        depth += tokens[i].text in "([{"
        depth -= tokens[i].text in ")]}"
        if depth == 0:
            return i
    raise ValueError("a bracket is not closed")


def functions_of(source, tokens):
    """The functions that the file defines; `begin` and `end` are the indexes of the braces of their bodies."""
    found = []
    at = 0
    while at < len(tokens):
        if tokens[at].text == "{":
            end = closing(tokens, at)
            if tokens[at - 1].text == ")":
                found.append(function(source, tokens, at, end))
            at = end
        at += 1
    return found


def function(source, tokens, begin, end):
    depth, k = 0, begin - 1
    while True:
        depth += (tokens[k].text == ")") - (tokens[k].text == "(")
        if depth == 0:
            break
        k -= 1
    first = k - 1
    while first > 0 and tokens[first - 1].text not in (";", "}"):
        first -= 1
    result = [token.text for token in tokens[first:k - 1] if token.text not in ("static", "inline")]
    names, name = [], None
    for token in tokens[k + 1:begin]:
        if token.text in (",", ")"):
            names += [name] if name not in (None, "void") else []
            name = None
        elif token.kind == "word" and not name_is_done(source, token):
            name = token.text
    return Function(tokens[k - 1].text, " ".join(result), names, result == ["void"], tokens[first].start,
                    tokens[k].start, begin, end)


def name_is_done(source, token):
    """Inside the brackets of an array."""
    return source.rfind("[", 0, token.start) > source.rfind("]", 0, token.start)


def is_constant(token):
    if token.text in ("0", "TERN_OK"):  # a sign, and no bound
        return False
    return token.kind == "number" or (token.kind == "word" and token.text.isupper() and len(token.text) > 1)


class File:
    def __init__(self, path):
        self.path = path
        with open(path, encoding="utf-8") as file:
            self.source = file.read()
        self.tokens = tokens_of(self.source)
        self.mutants = []
        self.functions = functions_of(self.source, self.tokens)
        for function in self.functions:
            for i in range(function.begin + 1, function.end):
                self.flip(i)
                self.move(i)
                self.decide(i)
            self.delete(function.begin, function.end)

    def add(self, kind, start, end, text):
        """`text` in place of [start, end) of the source."""
        first = self.source.rfind("\n", 0, start) + 1
        last = self.source.find("\n", end)
        old = " ".join(self.source[first:last].split())
        new = " ".join((self.source[first:start] + text + self.source[end:last]).split())
        line = self.source.count("\n", 0, start) + 1
        self.mutants.append(Mutant(self.path, line, kind, old, new, start, end, text))

    def flip(self, i):
        token = self.tokens[i]
        for other in FLIPS.get(token.text, ()) if token.kind == "sign" else ():
            self.add("flip", token.start, token.end, other)
        if token.text == "!":
            self.add("flip", token.start, token.end, "")

    def move(self, i):
        token, before, after = self.tokens[i], self.tokens[i - 1], self.tokens[i + 1]
        if token.kind != "sign" or token.text not in MOVES:
            return
        if is_constant(after) and self.tokens[i + 2].text not in ("(", "<<"):
            self.add("move", after.start, after.end, f"({after.text} {MOVES[token.text]} 1)")
        elif is_constant(before):
            self.add("move", before.start, before.end, f"({before.text} {MOVES[MIRROR[token.text]]} 1)")

    def decide(self, i):
        """Conditions that are always true or always false; what they do besides, they do."""
        word = self.tokens[i].text
        if word == "if":
            begin, end = i + 1, closing(self.tokens, i + 1)
            inner = self.source[self.tokens[begin].end:self.tokens[end].start]
            for value in "10":
                self.add("decide", self.tokens[begin].end, self.tokens[end].start, f"(({inner}), {value})")
        elif word == "while":
            begin, end = i + 1, closing(self.tokens, i + 1)
            inner = self.source[self.tokens[begin].end:self.tokens[end].start]
            self.add("decide", self.tokens[begin].end, self.tokens[end].start, f"(({inner}), 0)")
        elif word == "for":
            end = closing(self.tokens, i + 1)
            signs = [k for k in range(i, end) if self.tokens[k].text == ";"]
            begin, end = self.tokens[signs[0]].end, self.tokens[signs[1]].start
            if self.source[begin:end].strip():
                self.add("decide", begin, end, f" (({self.source[begin:end].strip()}), 0)")
        elif word == "?":
            at = self.tokens[i].start
            self.add("decide", at, at, "|| 1 ")
            self.add("decide", at, at, "&& 0 ")

    def delete(self, begin, end):
        """Statements left out, but for declarations, return and what only holds others."""
        i = begin + 1
        while i < end:
            before = self.tokens[i - 1].text
            if before == "{" and self.tokens[i - 2].text == "=":
                i = closing(self.tokens, i - 1) + 1  # an initializer
                continue
            if before in (";", "{", "}", "else", "do") or (before == ")" and self.follows_condition(i - 1)):
                last = self.statement(i, end)
                if last is not None:
                    self.add("delete", self.tokens[i].start, self.tokens[last].start, "")
                    i = last
                elif self.tokens[i].text == "for":
                    i = closing(self.tokens, i + 1)
            i += 1

    def follows_condition(self, at):
        depth = 0
        for k in range(at, 0, -1):
            depth += self.tokens[k].text == ")"
            depth -= self.tokens[k].text == "("
            if depth == 0:
                return self.tokens[k - 1].text in ("if", "for", "while")
        return False

    def statement(self, i, end):
        """The index of the semicolon of a statement that can be left out."""
        first, second = self.tokens[i], self.tokens[i + 1]
        if first.kind not in ("word", "sign") or first.text in KEYWORDS or first.text in "{};" or TYPES.match(first.text):
            return None
        if first.text == "(" and second.text == "void":
            following = self.tokens[i + 3]
            if following.kind == "word" and self.tokens[i + 4].text == ";":
                return None  # (void)argument;
        k = i
        while k < end and self.tokens[k].text != ";":
            k = closing(self.tokens, k) + 1 if self.tokens[k].text in "([{" else k + 1
            if self.tokens[k - 1].text == ":" or self.tokens[k].text == "{":
                return None
        return k


    def variants(self, chosen):
        """The file with the mutants in it: `chosen` is {number: mutant}. A line of number N is said to be of the file `mutant:N`."""
        parts, at = ["extern unsigned tern_mutant;\n"], 0
        for function in self.functions:
            end = self.tokens[function.end].end
            mine = {number: m for number, m in chosen.items() if function.start <= m.start and m.end <= end}
            if not mine:
                continue
            body = self.source[function.open:end]
            parts.append(self.source[at:function.start])
            parts.append(f"\n{variant_head(function, 0)}{body}\n")
            for number, mutant in mine.items():
                start = mutant.start - function.open
                changed = body[:start] + mutant.text + body[mutant.end - function.open:]
                parts.append(f'#line 1 "mutant:{number}"\n{variant_head(function, number)}{changed}\n')
            parts.append(f'#line 1 "{self.path}"\n' + self.chooser(function, mine))
            at = end
        return "".join(parts + [self.source[at:]])

    def chooser(self, function, mine):
        signature = self.source[function.start:self.tokens[function.begin].start]
        given = ", ".join(function.arguments)
        lines = [f"{signature}{{ switch (tern_mutant) {{"]
        for number in [*mine, 0]:
            call = f"{variant_name(function.name, number)}({given});"
            label = f"case {number}:" if number else "default:"
            lines.append(f"{label} {call} return;" if function.is_void else f"{label} return {call}")
        return "\n".join(lines) + "\n} }\n"


def variant_name(name, number):
    return f"{name}__mutant{number}"


def variant_head(function, number):
    return f"static __attribute__((noipa, used)) {function.head} {variant_name(function.name, number)}"
