#!/usr/bin/env python3
"""test_bench_engine.py PROGRAM - small runs of bench_engine, whose lines must add up.

Each value read is checked by the program itself. Here: that each phase has its line, that no
figure is missing, that increments add up, and that wrong options are refused with a reason.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

PROGRAM = sys.argv[1]
KEYS = 2000
OPERATIONS = 5000
TEXTS = {"system", "workload", "distribution", "store", "regime"}
NUMBERS = {
    "threads", "batch", "keys", "key_bytes", "value_bytes", "memory_bytes", "cgroup_bytes",
    "operations", "seconds", "operations_per_s", "samples", "p50_ns", "p99_ns", "p999_ns",
    "cpu_ns_per_operation", "not_found", "wrong_values", "version_sum", "rss_bytes",
    "peak_rss_bytes", "seed",
}


def run(*arguments):
    command = [PROGRAM, "--keys", str(KEYS), "--operations", str(OPERATIONS), "--memory", "16M",
               "--check", "--sample", "1", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for line in lines:
        assert all(isinstance(line[name], str) for name in TEXTS), line
        assert all(isinstance(line[name], (int, float)) for name in NUMBERS), line
        assert {"device_read_per_byte", "device_written_per_byte"} <= line.keys(), line
        assert line["wrong_values"] == 0 and line["operations_per_s"] > 0, line
        assert line["p50_ns"] <= line["p99_ns"] <= line["p999_ns"], line
    return lines


def names(lines):
    return [(line["system"], line["workload"], line["batch"]) for line in lines]


def check_sums(lines):
    """Loaded values have version 0; each increment adds 1, of whichever thread."""
    increments = sum(line["operations"] for line in lines if line["workload"] == "rmw")
    assert lines[-1]["workload"] == "check"
    assert lines[-1]["not_found"] == 0
    assert lines[-1]["version_sum"] == increments, (lines[-1], increments)


def memory_shapes_add_up():
    for key_bytes, value_bytes in ((8, 8), (24, 100), (8, 1000), (24, 13)):
        for distribution in ("uniform", "zipfian"):
            lines = run("--key-bytes", str(key_bytes), "--value-bytes", str(value_bytes),
                        "--distributions", distribution, "--batch", "1,64",
                        "--threads", "1,2", "--workloads", "rmw,C,check")
            assert len(lines) == 1 + 4 * 3
            check_sums(lines)


def reference_does_the_same():
    mixes = "A,B,C,F,upsert,rmw,delete,C"
    lines = run("--reference", "plain", "--batch", "1,100", "--workloads", mixes)
    engine = [line for line in lines if line["system"] == "engine"]
    table = [line for line in lines if line["system"] == "table"]
    assert len(engine) == len(table) == 1 + 2 * len(mixes.split(","))
    for one, other in zip(engine, table):
        assert one["workload"] == other["workload"] and one["batch"] == other["batch"]
        # A batch has no order: of a key that is made in it a read may see either. What all have
        # made is the same, as the phases of one kind of operation tell.
        if one["batch"] == 1 or one["workload"] not in "ABF":
            assert one["not_found"] == other["not_found"], (one, other)
        assert other["engine_ratio"] > 0
    assert engine[-1]["not_found"] > 0


def disk_stores_add_up(directory):
    place = str(directory / "store")
    for store in ("direct", "transactional"):
        lines = run("--store", store, "--directory", place, "--memory", "1M", "--page", "16K",
                    "--value-bytes", "1000", "--batch", "1,64", "--commit-every", "1000",
                    "--workloads", "rmw,A,C")
        assert names(lines)[:2] == [("engine", "load", 1), ("engine", "rmw", 1)]
        check_sums(run("--store", store, "--directory", place, "--memory", "1M", "--page", "16K",
                       "--value-bytes", "1000", "--workloads", "rmw,check"))
        assert not (directory / "store").exists()


def disk_reference_reads(directory):
    """tmpfs may refuse O_DIRECT, and a build may be without io_uring: then it says so."""
    arguments = ("--reference", "disk", "--io-direct", "--directory", str(directory / "store"), "--memory", "1M",
                 "--page", "16K", "--value-bytes", "1000", "--batch", "96", "--threads", "1,2",
                 "--workloads", "C,A")
    try:
        lines = run(*arguments)
    except AssertionError as failure:
        reasons = ("built without io_uring", "no io_uring", "can be opened past the page cache")
        assert any(reason in failure.args[0][2] for reason in reasons), failure
        print("no disk to compare with:", failure.args[0][2])
        return
    assert [line["system"] for line in lines] == ["engine", "engine", "disk", "engine"] + [
        "engine", "disk", "engine"], names(lines)
    assert all(line["engine_ratio"] > 0 for line in lines if line["system"] == "disk")


def wrong_options_are_refused():
    for arguments, allowed in (
        (["--workloads", "Z"], "load, A, B, C, F"),
        (["--key-bytes", "9"], "8 or 24"),
        (["--memory", "12X"], "from 1M"),
        (["--threads", "0"], "1 to 512"),
        (["--speed"], "--help"),
        (["--keys"], "from 1"),
        (["--store", "transactional", "--threads", "2"], "one writer"),
        (["--reference", "disk"], "--directory"),
    ):
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=20)
        assert done.returncode == 2 and allowed in done.stderr, (arguments, done.stderr)
    done = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and "--distributions" in done.stdout


def main():
    memory_shapes_add_up()
    reference_does_the_same()
    with tempfile.TemporaryDirectory() as directory:
        disk_stores_add_up(pathlib.Path(directory))
        disk_reference_reads(pathlib.Path(directory))
    wrong_options_are_refused()
    print("all sums are right")


if __name__ == "__main__":
    main()
