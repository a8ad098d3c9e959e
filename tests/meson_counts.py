#!/usr/bin/env python3
"""Reads a meson test log: prints each test's result and writes the counts.

meson_counts.py BUILD_DIRECTORY LOG_NAME COUNTS_FILE

A TAP test counts with its cases, any other program as one. The counts file gets
"passed failed skipped".
"""
import json
import pathlib
import re
import sys


def tap_counts(output):
    passed = len(re.findall(r"^ok\b(?!.*# ?SKIP)", output, re.MULTILINE | re.IGNORECASE))
    skipped = len(re.findall(r"^ok\b.*# ?SKIP", output, re.MULTILINE | re.IGNORECASE))
    failed = len(re.findall(r"^not ok\b", output, re.MULTILINE))
    return passed, failed, skipped


def counts_of(test):
    output = test.get("stdout") or ""
    good = test["result"] in ("OK", "EXPECTEDFAIL")
    if test["result"] == "SKIP":
        return 0, 0, 1
    if output.startswith("TAP version"):
        passed, failed, skipped = tap_counts(output)
        return passed, failed if good or failed else 1, skipped
    return (1, 0, 0) if good else (0, 1, 0)


def last_line(test):
    lines = [line.strip() for line in (test.get("stdout") or "").splitlines() if line.strip()]
    if not lines or lines[0].startswith("TAP version"):
        return ""
    return lines[-1][:100]


def main():
    build, log_name, counts_file = sys.argv[1:]
    path = pathlib.Path(build) / "meson-logs" / f"{log_name}.json"
    total = [0, 0, 0]
    for line in path.read_text().splitlines() if path.is_file() else []:
        test = json.loads(line)
        counts = counts_of(test)
        total = [a + b for a, b in zip(total, counts)]
        passed, failed, skipped = counts
        name = test["name"].split(" / ")[-1]
        text = f"  {name:<28} {test['duration']:7.1f} s  {passed} passed, {failed} failed"
        text += f", {skipped} skipped" if skipped else ""
        detail = last_line(test)
        print(text + (f"  ({detail})" if detail else ""))
        if failed:
            print((test.get("stdout") or "")[-6000:])
            print((test.get("stderr") or "")[-6000:])
    pathlib.Path(counts_file).write_text("%d %d %d\n" % tuple(total))


if __name__ == "__main__":
    main()
