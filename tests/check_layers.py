#!/usr/bin/env python3
"""Checks the include graph: layer n of engine/ and of ext/ includes only layers below it.

Within a layer of the engine, a file includes files of its own component only. Within one of
the extension, modules (x.c and x.h) may include each other, but never in a cycle. The
extension sees faster.h and SQLite's headers, never the engine's inside; the engine never
sees SQLite. Prints each violation and ends with exit code 1 if there is one.
With a build directory as argument, no object of the engine calls one of a layer above it
either: a declaration in faster.h hides such a call from the include graph.
"""
import pathlib
import re
import subprocess
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
EXTENSION_LAYERS = {"base": 0, "codec": 1, "store": 2, "table": 3, "sql": 4}
EXTENSION_TOP_LAYER = 5  # module.c and extension.c, directly in ext/
# Modules of several files: file name prefix -> module.
EXTENSION_MODULES = {
    "codec": {"schema": "schema", "row": "row", "key_codec": "row", "affinity": "row"},
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


def extension_layer(path):
    """Layer of a path relative to ext/."""
    if len(path.parts) == 1:
        return EXTENSION_TOP_LAYER
    return EXTENSION_LAYERS[path.parts[0]]


def extension_module(path):
    """The module that a path relative to ext/ belongs to, as directory/name."""
    directory = path.parent.as_posix()
    for prefix, value in EXTENSION_MODULES.get(directory, {}).items():
        if path.name.startswith(prefix):
            return f"{directory}/{value}"
    return path.with_suffix("").as_posix()


def check_extension_include(source, included):
    if included in ("faster.h", "sqlite3.h", "sqlite3ext.h"):
        return None
    extension = ROOT / "ext"
    if ".." in included or not (extension / included).is_file():
        return "is no path in ext/, faster.h or a header of SQLite"
    own_layer = extension_layer(source.relative_to(extension))
    layer = extension_layer(pathlib.Path(included))
    if layer > own_layer:
        return f"layer {own_layer} includes layer {layer}"
    return None


def extension_graph():
    """Module -> the modules of its own layer that its header and source include."""
    extension = ROOT / "ext"
    graph = {}
    for source in sorted(extension.rglob("*.[ch]")):
        path = source.relative_to(extension)
        for kind, included in INCLUDE.findall(source.read_text()):
            target = pathlib.Path(included)
            if kind != '"' or not (extension / target).is_file() or target.parent != path.parent:
                continue
            if extension_module(target) != extension_module(path):
                graph.setdefault(extension_module(path), set()).add(extension_module(target))
    return graph


def find_cycles(graph):
    """Each cycle once, as the list of its modules."""
    cycles = []
    finished = set()

    def visit(module, path):
        if module in path:
            cycles.append(path[path.index(module) :])
        elif module not in finished:
            for other in sorted(graph.get(module, ())):
                visit(other, [*path, module])
            finished.add(module)

    for module in sorted(graph):
        visit(module, [])
    return cycles


def check_system_include(source, included):
    if re.match(r"sqlite3", included):
        return "SQLite's headers are for the extension"
    if included in ("pthread.h", "threads.h") and not source.name.startswith("env_posix"):
        return "threads and locks go through the environment, so that a test can own them"
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
            problem = check_system_include(source, included)
        if problem:
            found.append(f'{source.relative_to(ROOT)}: "{included}": {problem}')
    return found


def object_layer(member):
    directory = member.split("_", 1)[0]
    return LAYERS.get(directory, TOP_LAYER)


def check_symbols(library):
    listing = subprocess.run(
        ["nm", "-A", "--format=posix", library], check=True, capture_output=True, text=True
    ).stdout
    home = {}
    calls = []
    for line in listing.splitlines():
        match = re.match(r".*[\[:]([^\[\]:]+\.o)\]?: (\S+) (\S)", line)
        if match is None:
            continue
        member, symbol, kind = match.groups()
        if kind == "U":
            calls.append((member, symbol))
        elif kind.isupper():
            home[symbol] = member
    found = [
        f"{member} calls {symbol} of {home[symbol]}, a layer above"
        for member, symbol in calls
        if symbol in home and object_layer(home[symbol]) > object_layer(member)
    ]
    if len(home) < 100:
        found.append(f"{library}: only {len(home)} symbols were found")
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
    for cycle in find_cycles(extension_graph()):
        found.append("ext: a cycle: " + " -> ".join([*cycle, cycle[0]]))
    if len(sys.argv) > 1:
        found += check_symbols(pathlib.Path(sys.argv[1]) / "engine" / "libfaster.a")
    for line in found:
        print(line)
    print(f"{count} files, {len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
