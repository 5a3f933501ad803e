"""Which files of plugins/ import which as they are loaded, and those that no other file imports.

ansible-test's import test loads each file from nothing, and with it all that it imports. Where no file imports itself by way of
others, the files that nobody imports load every other one on the way: what fails to load by itself fails there too. So the quick
run loads these, the long run each file (``gate.py``); that there is no such circle is a test.

    import_graph.py     the files that no other file imports, a line each
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "ansible_collections.segwright.microseg."


def loaded(nodes: list[ast.stmt]) -> Iterator[str]:
    """Yield the dotted names that a file imports as it is loaded: not in functions, not for a type checker alone."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from loaded(node.orelse)
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for field in ("body", "orelse", "finalbody"):
                yield from loaded(getattr(node, field, []))
            for handler in getattr(node, "handlers", []):
                yield from loaded(handler.body)


def imports_of(texts: Mapping[str, str]) -> dict[str, set[str]]:
    """Return, for each path, the paths that it imports; a module brings the packages that it lies in."""
    paths = {path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in texts}
    found: dict[str, set[str]] = {path: set() for path in texts}
    for path, text in texts.items():
        names = [name.removeprefix(PREFIX) for name in loaded(ast.parse(text).body) if name.startswith(PREFIX)]
        for name in names:
            parts = name.split(".")
            # The last part may be a module or something in one.
            wanted = {paths.get(".".join(parts[:end])) for end in range(1, len(parts) + 1)}
            found[path] |= {each for each in wanted if each} - {path}
    return found


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the files of one circle of imports, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def outermost(graph: Mapping[str, set[str]]) -> list[str]:
    """Return the files that no other file imports."""
    return sorted(graph.keys() - set().union(*graph.values()))


def plugins(root: Path = ROOT) -> dict[str, str]:
    """Return the text of every Python file below plugins/ by its path."""
    files = (path for path in (root / "plugins").rglob("*.py") if "__pycache__" not in path.parts)
    return {str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in files}


if __name__ == "__main__":
    everything = imports_of(plugins())
    if there := circle(everything):
        sys.exit("a circle of imports: " + " > ".join(there))
    print("\n".join(outermost(everything)))
