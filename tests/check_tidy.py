#!/usr/bin/env python3
"""Runs clang-tidy over the engine and the extension. Every finding is an error.

check_tidy.py CLANG_TIDY BUILD_DIRECTORY [FILES...]

A build compiles most files more than once, and clang-tidy would look at each of these: here it
looks at a file as it is compiled first, or, if it is for another system, as its neighbours are.
FILES are relative to the project's root; without any it is all of engine/ and ext/.
"""
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile

root = pathlib.Path(__file__).resolve().parent.parent


def first_commands(build):
    commands = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = (pathlib.Path(entry["directory"]) / entry["file"]).resolve()
        if path.is_relative_to(root) and path.relative_to(root).parts[0] in ("engine", "ext"):
            commands.setdefault(str(path.relative_to(root)), entry)
    return commands


def add_missing(commands):
    """Files that this system does not compile."""
    for source in sorted(root.glob("engine/**/*.c")) + sorted(root.glob("ext/**/*.c")):
        path = source.relative_to(root)
        if str(path) not in commands:
            other = next(name for name in commands if pathlib.Path(name).parent == path.parent)
            entry = dict(commands[other])
            entry["command"] = entry["command"].replace(other, str(path))
            entry["file"] = entry["file"].replace(other, str(path))
            commands[str(path)] = entry


def check(tool, database, path):
    run = subprocess.run(
        [tool, "-p", database, "--quiet", "--warnings-as-errors=*", path],
        cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return run.returncode, run.stdout


def main():
    tool, build, files = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    commands = first_commands(build)
    add_missing(commands)
    files = files or sorted(commands)
    failed = 0
    with tempfile.TemporaryDirectory() as database:
        kept = [commands[path] for path in files]
        (pathlib.Path(database) / "compile_commands.json").write_text(json.dumps(kept))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for code, output in pool.map(lambda path: check(tool, database, path), files):
                if code != 0:
                    failed += 1
                    print(output)
    print(f"{len(files)} files, {failed} with findings")
    return failed != 0 or not files


sys.exit(main())
