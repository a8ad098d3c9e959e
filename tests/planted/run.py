#!/usr/bin/env python3
"""Runs each planted bug's program, which must fail; and each program without one, which must not.

run.py BUGS PROGRAM... [--only NUMBERS]

A program is a path whose name is planted_<name as in BUGS>, or <name as in BUGS>=path; after a
colon its arguments, in which $seed is FASTER_TEST_SEED. It runs a tenth of its quick size, of
schedules a fifth, of threads all; and all if that has not noticed anything; or what the bug's "with"
says. Without a bug it runs a fiftieth: other tests have run that at length. Two run at a time.
Prints a line for each bug: number, promise, what is wrong, who caught it, how to replay that,
seconds. A bug is caught by exit code 1 or a signal; other codes mean that the program could
not do what it was told. A bug that survives fails the test, and so do a bug whose program is not
given and a program that fails without a bug.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import plant  # noqa: E402

SECONDS_MAX = 240


def scale_of(command, number):
    if number == 0:
        return "2"
    return "20" if "interleave" in command[0] else "100" if "stress" in command[0] else "10"


def run_bug(command, bug):
    if bug.arguments:
        return run([command[0], *bug.arguments], bug.number, "100")
    result = run(command, bug.number, scale_of(command, bug.number))
    return result if result[0] != 0 else run(command, bug.number, "100")


def run(command, number, scale):
    """Exit code, output, seconds. A program that hangs has noticed nothing: code None."""
    environment = {**os.environ, "FASTER_PLANTED": str(number), "FASTER_TEST_SCALE": scale}
    begin = time.monotonic()
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=SECONDS_MAX, check=False
        )
        code, output = done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired as error:
        code, output = None, (error.stdout or b"") + (error.stderr or b"")
    return code, output.decode(errors="replace"), time.monotonic() - begin


def replay_of(output):
    found = re.search(r"replay: (.*)", output)
    lines = output.strip().splitlines() or ["it says nothing"]
    return found.group(1)[:100] if found else lines[-1]


def report(bug, code, output, seconds):
    """True if the bug was caught."""
    caught = code is not None and (code == 1 or code < 0)
    how = f"caught by {bug.program}" if caught else f"SURVIVES {bug.program}"
    print(f"{bug.number:3} {bug.promise:3} {bug.text}: {how}, {seconds:.1f} s")
    print(f"        {replay_of(output) if caught else output.strip()[-300:]}", flush=True)
    return caught


def parse(arguments):
    programs = {}
    only = None
    seed = os.environ.get("FASTER_TEST_SEED", "1")
    while arguments:
        word = arguments.pop(0)
        if word == "--only":
            only = {int(number) for number in arguments.pop(0).split(",")}
            continue
        path, _, words = word.partition(":")
        given_name, _, path = path.rpartition("=")
        name = given_name or pathlib.Path(path).name.removeprefix("planted_")
        programs[name] = [path, *words.replace("$seed", seed).split()]
    return programs, only


def main():
    bugs_path, *arguments = sys.argv[1:]
    programs, only = parse(arguments)
    bugs = plant.read_bugs(bugs_path)
    wanted = [b for b in bugs if only is None or b.number in only]
    chosen = [b for b in wanted if b.program in programs]
    survivors = [b.number for b in wanted if b.program not in programs]
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        clean = {
            name: pool.submit(run, command, 0, scale_of(command, 0))
            for name, command in programs.items()
        }
        runs = [(b, pool.submit(run_bug, programs[b.program], b)) for b in chosen]
        for name, future in clean.items():
            code, output, seconds = future.result()
            print(f"  0     {name} without a bug: exit code {code}, {seconds:.1f} s")
            if code != 0:
                print(output[-3000:])
                survivors.append(0)
        for bug, future in runs:
            if not report(bug, *future.result()):
                survivors.append(bug.number)
    print(f"{len(wanted)} bugs, {len(wanted) - len([s for s in survivors if s])} caught")
    if survivors:
        print("not caught:", *survivors)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
