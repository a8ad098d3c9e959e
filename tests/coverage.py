#!/usr/bin/env python3
"""Line and branch coverage of engine/, from a build with -Db_coverage=true whose tests have run.

    coverage.py BUILD [LINES_MIN BRANCHES_MIN]

Reads what gcov says of the engine's own objects; a header's lines count as covered if they are in
any of them. Prints the totals and the files that lack most, and ends with exit code 1 if a total
is below its minimum, in percent.
"""
import collections
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORST_COUNT = 15


class File:
    def __init__(self):
        self.lines = collections.defaultdict(int)
        self.branches = {}

    def add(self, line):
        number = line["line_number"]
        self.lines[number] += line["count"]
        # What the compiler added for exceptions is no decision of the source's.
        counts = [b["count"] for b in line["branches"] if not b["throw"]]
        before = self.branches.get(number, [])
        if len(before) == len(counts):
            counts = [a + b for a, b in zip(before, counts)]
        elif len(before) > len(counts):
            counts = before  # an inlined copy that was folded
        self.branches[number] = counts

    def line_counts(self):
        return sum(1 for count in self.lines.values() if count), len(self.lines)

    def branch_counts(self):
        counts = [count for branches in self.branches.values() for count in branches]
        return sum(1 for count in counts if count), len(counts)


def gcov_documents(build):
    objects = sorted((build / "engine").rglob("*.gcda"))
    for start in range(0, len(objects), 20):
        output = subprocess.run(
            ["gcov", "--json-format", "--stdout", "--branch-probabilities"]
            + [str(path) for path in objects[start : start + 20]],
            cwd=build,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ).stdout
        for document in output.decode().splitlines():
            if document.strip():
                yield json.loads(document)


def read(build):
    files = collections.defaultdict(File)
    engine = ROOT / "engine"
    for document in gcov_documents(build):
        directory = pathlib.Path(document["current_working_directory"])
        for part in document["files"]:
            path = (directory / part["file"]).resolve()
            if path.is_relative_to(engine):
                for line in part["lines"]:
                    files[path.relative_to(ROOT)].add(line)
    return files


def percent(pair):
    return 100.0 * pair[0] / pair[1] if pair[1] else 100.0


def total(pairs):
    pairs = list(pairs)
    return sum(a for a, _ in pairs), sum(b for _, b in pairs)


def main():
    if len(sys.argv) not in (2, 4):
        print(__doc__, file=sys.stderr)
        return 2
    files = read(pathlib.Path(sys.argv[1]).resolve())
    if not files:
        print("no coverage data: build with -Db_coverage=true and run the tests first")
        return 1
    lines = total(one.line_counts() for one in files.values())
    branches = total(one.branch_counts() for one in files.values())

    def lacking(item):
        (line_hit, line_all), (branch_hit, branch_all) = item[1].line_counts(), item[1].branch_counts()
        return line_all - line_hit + branch_all - branch_hit

    print(f"{'':42} {'lines':>16} {'branches':>18}")
    for path, one in sorted(files.items(), key=lacking, reverse=True)[:WORST_COUNT]:
        a, b = one.line_counts(), one.branch_counts()
        print(f"{str(path):42} {percent(a):6.1f} % of {a[1]:5} {percent(b):6.1f} % of {b[1]:5}")
    print(f"engine: lines {percent(lines):.1f} % ({lines[0]} of {lines[1]}), "
          f"branches {percent(branches):.1f} % ({branches[0]} of {branches[1]}), {len(files)} files")
    lines_min, branches_min = [float(text) for text in sys.argv[2:]] or [0.0, 0.0]
    if percent(lines) >= lines_min and percent(branches) >= branches_min:
        return 0
    print(f"the minimum is {lines_min} % of the lines and {branches_min} % of the branches")
    return 1


if __name__ == "__main__":
    sys.exit(main())
