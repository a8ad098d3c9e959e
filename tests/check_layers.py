#!/usr/bin/env python3
"""Checks the include graph: layer n of the engine includes only layers below it.

Within a layer, a file includes files of its own component only. The extension sees
faster.h and SQLite's headers, never the engine's inside; the engine never sees SQLite.
Prints each violation and ends with exit code 1 if there is one.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAYERS = {
    "base": 0,
    "shapes": 1,
    "primitives": 2,
    "structures": 3,
    "store": 4,
    "procedures": 5,
    "tiers": 6,
}
TOP_LAYER = 7  # faster.c and its helpers, directly in engine/
# Directories whose components must not know each other: file name prefix -> component.
COMPONENTS = {
    "primitives": {"epoch": "epoch", "device": "device", "segment": "device"},
    "structures": {
        "hash_index": "hash_index",
        "hybrid_log": "hybrid_log",
        "read_cache": "read_cache",
    },
}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.MULTILINE)


def component(directory, name):
    for prefix, value in COMPONENTS.get(directory, {}).items():
        if name.startswith(prefix):
            return value
    return directory


def layer_of(path):
    """Layer, directory and component of a path relative to engine/."""
    parts = path.parts
    if len(parts) == 1:
        return TOP_LAYER, "", "faster"
    return LAYERS[parts[0]], parts[0], component(parts[0], parts[-1])


def resolve(source, included, bases):
    for base in [source.parent, *bases]:
        candidate = (base / included).resolve()
        if candidate.is_file():
            return candidate
    return None


def check_engine_include(source, included):
    engine = ROOT / "engine"
    if re.match(r"sqlite3", included):
        return "the engine knows no SQLite"
    target = resolve(source, included, [engine, engine / "include"])
    if target is None:
        return "no such file in engine/"
    if target.is_relative_to(engine / "include"):
        return None
    if not target.is_relative_to(engine):
        return "is outside engine/"
    own_layer, own_directory, own_component = layer_of(source.relative_to(engine))
    layer, directory, other = layer_of(target.relative_to(engine))
    if layer > own_layer:
        return f"layer {own_layer} includes layer {layer}"
    if layer == own_layer and (directory, other) != (own_directory, own_component):
        return f"{own_component} includes {other} of its own layer"
    return None


def check_extension_include(source, included):
    if included in ("faster.h", "sqlite3.h", "sqlite3ext.h"):
        return None
    if (source.parent / included).is_file() and "/" not in included:
        return None
    return "the extension sees faster.h and SQLite's headers only"


def check_system_include(included):
    if re.match(r"sqlite3", included):
        return "SQLite's headers are for the extension"
    if included.startswith("stdatomic"):
        return "atomics go through base/atomic.h"
    return None


def check_file(source, own_check):
    found = []
    is_engine = own_check is check_engine_include
    for kind, included in INCLUDE.findall(source.read_text()):
        problem = None
        if kind == '"':
            if "FST_ATOMIC_SHIM" in included:
                continue
            problem = own_check(source, included)
        elif is_engine and source.name != "atomic.h":
            problem = check_system_include(included)
        if problem:
            found.append(f'{source.relative_to(ROOT)}: "{included}": {problem}')
    return found


def main():
    found = []
    count = 0
    for directory, check in (("engine", check_engine_include), ("ext", check_extension_include)):
        for source in sorted((ROOT / directory).rglob("*.[ch]")):
            if source.is_relative_to(ROOT / "engine" / "include"):
                continue
            found += check_file(source, check)
            count += 1
    for line in found:
        print(line)
    print(f"{count} files, {len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
