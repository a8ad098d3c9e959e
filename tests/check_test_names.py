#!/usr/bin/env python3
"""Checks that every test which tests/README.md names exists.

In the table's second column, "suite.test" is a unit test, "program: case, case" a program and
strings in its source, and a word alone a program. Prints what is missing and ends with exit
code 1 if there is any.
"""
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parent


def unit_tests():
    found = set()
    for path in (TESTS / "unit").glob("*.[ch]"):
        text = path.read_text()
        for suite, name in re.findall(r"^Test\((\w+), (\w+)", text, re.M):
            found.add(f"{suite}.{name}")
        for name in re.findall(r"^ALL_DEVICES\((\w+)\)", text, re.M):
            found.add(f"device.{name}")
    return found


def program_text(program):
    """The sources of a program and of its parts, program_*.c, or "" if there is none."""
    paths = [path for path in TESTS.rglob("*.c") if path.stem == program]
    paths += TESTS.rglob(f"{program}_*.c") if paths else []
    return "".join(path.read_text() for path in paths)


def missing_in(cell, known):
    program = ""
    for name in re.split(r"[,;] ?", cell):
        if re.fullmatch(r"\w+\.\w+", name):
            program = ""
            if name not in known:
                yield name
            continue
        if ": " in name:
            program, name = name.split(": ", 1)
        elif program_text(name):
            program, name = name, ""
        text = program_text(program)
        if not text or (name and f'"{name}"' not in text):
            yield f"{program}: {name}"


def main():
    known = unit_tests()
    table = (TESTS / "README.md").read_text().split("| what goes wrong | test |")[-1]
    rows = re.findall(r"^\| [a-z].* \| (\S.*) \|$", table, re.M)
    missing = [name for cell in rows for name in missing_in(cell, known)]
    for name in missing:
        print(f"tests/README.md names a test that is not there: {name}")
    print(f"{len(rows)} rows, {len(missing)} without their test")
    return 1 if missing or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
