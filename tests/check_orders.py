#!/usr/bin/env python3
"""Checks that every ordered atomic access of the engine names its partner.

A call with acquire, release, acq_rel or seq_cst has a comment with "pair" on its line or in the
lines before it, or its file has a table under the words "The orders that pair".
Prints each call without one and ends with exit code 1 if there is one.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINES_BEFORE = 8
CALL = re.compile(r"\bfst_\w+_(?:acquire|release|acq_rel|seq_cst)_(?:u8|u32|u64|ptr)\(")
TABLE = "The orders that pair"


def main():
    count = 0
    failures = 0
    for path in sorted((ROOT / "engine").rglob("*.[ch]")):
        name = path.relative_to(ROOT)
        text = path.read_text()
        if name.as_posix() == "engine/base/atomic.h":
            continue
        lines = text.splitlines()
        for number, line in enumerate(lines):
            if not CALL.search(line):
                continue
            count += 1
            near = "\n".join(lines[max(0, number - LINES_BEFORE) : number + 1])
            if TABLE not in text and "pair" not in near.lower():
                print(f"{name}:{number + 1}: no partner is named: {line.strip()}")
                failures += 1
    print(f"{count} ordered accesses, {failures} without a partner")
    return 1 if failures or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
