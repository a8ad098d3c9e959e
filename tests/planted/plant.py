#!/usr/bin/env python3
"""Puts bugs into copies of source files, each active only when it is asked for.

plant.py files BUGS DIRECTORY         prints the planted files below DIRECTORY, one a line
plant.py copy BUGS ROOT SOURCE OUT    writes SOURCE with its bugs to OUT
plant.py list BUGS                    prints number, promise, program and text, tab-separated

A bug in BUGS is

    bug NUMBER PROMISE PROGRAM what is wrong
    with ARGUMENTS
    file PATH
    in FUNCTION
    - statements as they are
    + statements instead, or nothing

with "-e" and "+e" for an expression, and any number of file, in and edits. "with", which may be
missing, is for a bug that the program meets rarely: where it is to look. Blanks and line ends count
as one another. What is to be replaced must occur exactly once in its function: an edit that
no longer fits ends the build. A copy holds both, and the variable `planted` decides.
"""
import pathlib
import re
import sys


class Edit:
    def __init__(self, path, function, is_expression):
        self.path = path
        self.function = function
        self.is_expression = is_expression
        self.old = []
        self.new = []


class Bug:
    def __init__(self, line):
        number, self.promise, self.program, self.text = line.split(" ", 3)
        self.number = int(number)
        self.arguments = []
        self.edits = []


def fail(message):
    sys.exit(f"plant.py: {message}")


def add_text(bug, path, function, line):
    """A line of an edit; a "-" after a "+" begins the next one."""
    mark, _, text = line.partition(" ")
    is_expression = mark.endswith("e")
    if mark[0] == "-":
        if not bug.edits or bug.edits[-1].new or bug.edits[-1].function != function:
            bug.edits.append(Edit(path, function, is_expression))
        bug.edits[-1].old.append(text)
    else:
        bug.edits[-1].new.append(text)


def read_bugs(path):
    bugs = []
    file = function = None
    for line in pathlib.Path(path).read_text().splitlines():
        word, _, rest = line.partition(" ")
        if not line or line.startswith("#"):
            continue
        if word == "bug":
            bugs.append(Bug(rest))
        elif word == "with":
            bugs[-1].arguments = rest.split()
        elif word == "file":
            file = rest
        elif word == "in":
            function = rest
        elif word in ("-", "+", "-e", "+e"):
            add_text(bugs[-1], file, function, line)
        else:
            fail(f"{path}: {line}")
    if [bug.number for bug in bugs] != sorted({bug.number for bug in bugs}):
        fail(f"{path}: the numbers do not ascend")
    return bugs


def function_body(text, name, path):
    """Where a function's body begins and ends. Its definition begins and ends a line."""
    found = list(re.finditer(rf"^\w[^\n;{{}}]*\b{name}\([^;{{}}]*\) {{\n", text, re.MULTILINE))
    if len(found) != 1:
        fail(f"{path}: {len(found)} definitions of {name}()")
    end = text.index("\n}\n", found[0].end() - 1)
    return found[0].end(), end


def find_old(text, edit, number):
    begin, end = function_body(text, edit.function, edit.path)
    words = " ".join(edit.old).split()
    pattern = re.compile(r"(?<!\w)" + r"\s+".join(re.escape(word) for word in words) + r"(?!\w)")
    found = list(pattern.finditer(text, begin, end))
    if len(found) != 1:
        fail(f"bug {number}: {len(found)} places in {edit.path}: {edit.function}()")
    return found[0].span()


def replacement(old, choices):
    """The old text keeps its lines: what the compiler and a debugger say fits the original."""
    result = old
    for number, edit in reversed(choices):
        new = " ".join(edit.new).strip()
        if edit.is_expression:
            result = f"(planted == {number} ? ({new}) : ({result}))"
        else:
            result = f"if (planted == {number}) {{ {new} }} else {{ {result} }}"
    return result


def plant(text, path, bugs):
    places = {}
    for bug in bugs:
        for edit in bug.edits:
            if edit.path == path:
                span = find_old(text, edit, bug.number)
                places.setdefault(span, []).append((bug.number, edit))
    last = len(text)
    for begin, end in sorted(places, reverse=True):
        if end > last:
            fail(f"{path}: bugs overlap: {places[begin, end][0][0]}")
        text = text[:begin] + replacement(text[begin:end], places[begin, end]) + text[end:]
        last = begin
    return text


def main():
    command, bugs_path, *rest = sys.argv[1:]
    bugs = read_bugs(bugs_path)
    if command == "files":
        paths = {edit.path for bug in bugs for edit in bug.edits}
        for path in sorted(paths):
            if path.startswith(rest[0] + "/"):
                print(path)
    elif command == "copy":
        root, source, out = rest
        path = pathlib.Path(source).resolve().relative_to(pathlib.Path(root).resolve()).as_posix()
        text = plant(pathlib.Path(source).read_text(), path, bugs)
        pathlib.Path(out).write_text(f'extern int planted;\n#line 1 "{path}"\n{text}')
    elif command == "list":
        for bug in bugs:
            print(bug.number, bug.promise, bug.program, bug.text, sep="\t")
    else:
        fail(__doc__)


if __name__ == "__main__":
    main()
