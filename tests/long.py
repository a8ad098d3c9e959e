#!/usr/bin/env python3
"""Goes on with the long set: programs that run case after case from a seed, slice by slice.

long.py BUILD_DIRECTORY [MINUTES] [--only PROGRAM]

Each run takes the program that is furthest behind its target, from the slice after the last one
that the ledger knows, for two minutes or one slice; two run at a time. The ledger is a file of
tab-separated lines outside the tree, ${XDG_STATE_HOME:-~/.local/state}/faster-sqlite/long.tsv:

    program  arguments  first slice  last slice  states or cases  generated  seconds  commit  result

A failure is printed with its replay and noted; its slice is not tried again: add the case to
tests/sim/regressions.txt. Ends with a table of where each program stands; exit code 1 if one has
failed.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parent
SECONDS_PER_RUN = 120
# Program, arguments, how many states or cases make the long set: rows 1 to 6 of the tests.
PROGRAMS = [
    ("crash_direct", "", 8_000_000),
    ("crash_transactional", "", 8_000_000),
    ("crash_sql", "", 9_000_000),
    ("crash_direct", "--deeper", 1_000_000),
    ("crash_transactional", "--deeper", 1_000_000),
    ("crash_sql", "--deeper", 1_000_000),
    ("faults_engine", "", 6_000_000),
    ("faults_engine", "--allocations", 500_000),
    ("faults_sql", "", 4_000_000),
    ("faults_sql", "--allocations", 500_000),
    ("damage", "", 10_000_000),
    ("simulate", "", 350_000),
    ("simulate_sql", "", 150_000),
]


class Ledger:
    """What has been run. Lines are added under a lock, whole."""

    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()
        self.counts = {}
        self.next_slice = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        for line in path.read_text().splitlines() if path.exists() else []:
            fields = line.split("\t")
            self.note((fields[0], fields[1]), int(fields[3]), int(fields[4]))

    def note(self, key, last, count):
        self.counts[key] = self.counts.get(key, 0) + count
        self.next_slice[key] = max(self.next_slice.get(key, 1), last + 1)

    def add(self, key, first, last, count, generated, seconds, commit, result):
        fields = [*key, first, last, count, generated, f"{seconds:.0f}", commit, result]
        with self.lock:
            self.note(key, last, count)
            with self.path.open("a") as file:
                file.write("\t".join(str(field) for field in fields) + "\n")


def figures(output):
    """Count, generated and last slice of a program's last line; None: it has not come so far."""
    line = (output.strip().splitlines() or [""])[-1]
    count = re.search(r"(\d+) (?:states|cases)", line)
    generated = re.search(r"(\d+) generated", line)
    slices = re.search(r"slices \d+ to (\d+)", line)
    if not count or not slices:
        return None
    return int(count[1]), int(generated[1]) if generated else int(count[1]), int(slices[1])


class Runner:
    def __init__(self, build, ledger, programs):
        self.build = build
        self.ledger = ledger
        self.programs = programs
        self.running = set()
        self.lock = threading.Lock()
        self.failures = 0
        self.commit = subprocess.run(
            ["git", "-C", TESTS, "rev-parse", "--short", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()

    def choose(self):
        """The program that is furthest behind, of those that are not running; or None."""
        with self.lock:
            free = [(name, words) for name, words in self.programs if (name, words) not in self.running]
            if not free:
                return None
            key = min(free, key=lambda one: self.ledger.counts.get(one, 0) / self.programs[one])
            self.running.add(key)
            return key

    def run(self, key):
        name, words = key
        first = self.ledger.next_slice.get(key, 1)
        command = [self.build / "tests" / name, "--long", "--from", str(first)]
        command += ["--seconds", str(SECONDS_PER_RUN), *words.split()]
        begin = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - begin
        found = figures(done.stdout) if done.returncode == 0 else None
        if found:
            count, generated, last = found
            self.ledger.add(key, first, last, count, generated, seconds, self.commit, "passed")
            print(f"{name} {words}: slices {first} to {last}, {count}, {seconds:.0f} s", flush=True)
        else:
            replay = re.search(r"replay: (.*)", done.stderr)
            result = f"failed: {replay[1]}" if replay else f"failed: exit code {done.returncode}"
            self.ledger.add(key, first, first, 0, 0, seconds, self.commit, result)
            self.failures += 1
            print(f"{name} {words}: slice {first} FAILED\n{done.stderr[-4000:]}", flush=True)
        with self.lock:
            self.running.discard(key)

    def work(self, end):
        while time.monotonic() < end:
            key = self.choose()
            if key is None:
                return
            self.run(key)


def main():
    arguments = sys.argv[1:]
    only = None
    if "--only" in arguments:
        at = arguments.index("--only")
        only = arguments[at + 1]
        del arguments[at : at + 2]
    if not 1 <= len(arguments) <= 2:
        sys.exit(__doc__)
    build = pathlib.Path(arguments[0]).resolve()
    minutes = float(arguments[1]) if len(arguments) > 1 else 60
    state = os.environ.get("XDG_STATE_HOME") or pathlib.Path.home() / ".local" / "state"
    ledger = Ledger(pathlib.Path(state) / "faster-sqlite" / "long.tsv")
    programs = {
        (name, words): target
        for name, words, target in PROGRAMS
        if (build / "tests" / name).exists() and only in (None, name)
    }
    runner = Runner(build, ledger, programs)
    end = time.monotonic() + minutes * 60
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for future in [pool.submit(runner.work, end) for _ in range(2)]:
            future.result()
    for key, target in programs.items():
        count = ledger.counts.get(key, 0)
        print(f"{' '.join(key).strip():<32} {count:>10} of {target:>10} ({100 * count // target} %)")
    print(f"{runner.failures} failed; {ledger.path}")
    return 1 if runner.failures else 0


if __name__ == "__main__":
    sys.exit(main())
