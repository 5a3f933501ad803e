"""The rules of the house: what a reviewer would otherwise have to look for in every change.

docs/architecture.md says why each is there. A fault names the file and line; nothing here has a list of exceptions.
"""

from __future__ import annotations

import ast
import functools
import importlib
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import generate_docs
from tools.generate_docs import ROOMS

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
ENGINE = PLUGINS / "plugin_utils"
COLLECTION = "ansible_collections.segwright.microseg"
ROOM_IMPORT = re.compile(re.escape(COLLECTION) + r"\.plugins\.plugin_utils\.([a-z_]+)")
# Folders of plugins/ whose files Ansible loads in its own process.
SKIN = {"action", "callback", "filter", "inventory", "lookup", "test"}
KNOWN = SKIN | {"doc_fragments", "modules", "plugin_utils"}
TARGETS_NEVER = {"learn", "risk", "report", "steps"}
HEADER = (
    "# Copyright: (c) 2026, Segwright contributors",
    "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)",
    "# SPDX-License-Identifier: GPL-3.0-or-later",
)


def python_files(folder: Path = PLUGINS) -> list[Path]:
    """Return the Python files below a folder that have any content."""
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts and path.stat().st_size)


def shipped_files() -> list[Path]:
    """Return the files that are, or would be, under version control."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    paths = (ROOT / name for name in done.stdout.split("\0") if name)
    return sorted(path for path in paths if path.is_file() and not path.is_symlink())


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of every import at any level; a relative one begins with a dot.

    What stands below ``if TYPE_CHECKING:`` never runs and is left out.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                yield node.lineno, f"{module}.{alias.name}"
        elif not isinstance(node, ast.expr):  # no expression holds an import
            yield from imports(node)


@functools.cache
def taken_apart(source: str) -> tuple[tuple[tuple[int, str], ...], tuple[tuple[int, str], ...]]:
    """Return the imports of a file's text and its tests that check nothing; each text is read once for all the tests here."""
    tree = ast.parse(source)
    return tuple(imports(tree)), tuple(idle_tests(tree))


def imported(source: str) -> tuple[tuple[int, str], ...]:
    """Return the imports of a file's text."""
    return taken_apart(source)[0]


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield every statement below a node, those of functions and classes too; expressions hold none."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        below = getattr(node, field, None)
        for each in below if isinstance(below, list) else ():
            yield each
            yield from statements(each)


def idle_tests(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, name) of every test function that neither asserts nor calls what says that it checks."""
    words = ("assert", "raises", "check", "expect", "verify", "fail")
    for node in statements(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
            if any(isinstance(each, ast.Assert) for each in statements(node)):
                continue
            calls = (
                getattr(n.func, "attr", getattr(n.func, "id", "")) for n in ast.walk(node) if isinstance(n, ast.Call)
            )
            if not any(call.lower().startswith(words) for call in calls):
                yield node.lineno, node.name


def room_faults(source: str, room: str) -> list[str]:
    """Return what a file of ``room`` imports from rooms it must not know."""
    faults = []
    for line, name in imported(source):
        found = ROOM_IMPORT.match(name)
        if name.startswith("."):
            faults.append(f"{line}: relative import {name}")
        elif found and found[1] not in ROOMS:
            faults.append(f"{line}: {found[1]} is no room")
        elif found and ROOMS.index(found[1]) > ROOMS.index(room):
            faults.append(f"{line}: {room} imports {found[1]}, which comes after it")
        elif found and room == "targets" and found[1] in TARGETS_NEVER:
            faults.append(f"{line}: targets imports {found[1]}")
    return faults


def third_party_faults(source: str, ansible: bool) -> list[str]:
    """Return the imports that would fail where our requirements are absent; ``ansible`` says whether ansible may be imported."""
    faults = []
    for line, name in imported(source):
        top = name.split(".", maxsplit=1)[0]
        if top == "ansible" and not ansible:
            faults.append(f"{line}: imports {name}; only the skin imports Ansible")
        elif top and top not in sys.stdlib_module_names and top not in ("ansible", "ansible_collections"):
            faults.append(f"{line}: imports {name} without guarded()")
    return faults


def guarded_in_functions(source: str) -> list[str]:
    """Return the calls of guarded() inside functions: a worker would pay for the import on every host."""
    faults: list[str] = []
    if "guarded(" not in source:
        return faults
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "guarded":
                    faults.append(f"{node.lineno}: guarded() inside {function.name}()")
    return faults


@functools.cache
def constants(source: str) -> tuple[tuple[int, str], ...]:
    """Return (line, text) of string literals, without docstrings and the documentation of plugins."""
    skipped: set[ast.AST] = set()
    nodes = list(ast.walk(ast.parse(source)))
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(node.value)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if node.targets[0].id in ("DOCUMENTATION", "EXAMPLES", "RETURN"):
                skipped.update(ast.walk(node.value))
    texts = (node for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return tuple((node.lineno, node.value) for node in texts if node not in skipped)


def faults_in(paths: list[Path], check: Any) -> list[str]:
    """Return the faults that ``check(path, source)`` finds in any of the files."""
    found = []
    for path in paths:
        found += [f"{short(path)}:{fault}" for fault in check(path, path.read_text(encoding="utf-8"))]
    return found


def assert_none(faults: Iterable[str]) -> None:
    """Fail with every fault on a line of its own."""
    listed = sorted(set(faults))
    assert not listed, f"{len(listed)} faults:\n" + "\n".join(listed)


# ---------------------------------------------------------------- the rooms


def test_every_folder_of_the_engine_is_a_room() -> None:
    folders = {path.name for path in ENGINE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert_none(sorted(folders - set(ROOMS)))


def test_a_room_imports_only_rooms_above_it() -> None:
    def check(path: Path, source: str) -> list[str]:
        return room_faults(source, path.relative_to(ENGINE).parts[0])

    inside = [path for path in python_files(ENGINE) if path.parent != ENGINE]
    assert_none(faults_in(inside, check))


def test_the_import_check_sees_a_fault() -> None:
    start = f"from {COLLECTION}.plugins.plugin_utils"
    assert room_faults(f"{start}.packets.model import Box\n", "policy") == []
    assert room_faults(f"def f():\n    {start}.learn import score\n", "packets") == [
        "2: packets imports learn, which comes after it"
    ]
    assert room_faults(f"{start}.report.text import x\n", "targets")
    assert room_faults(f"{start}.learn.score import x\n", "targets") == ["1: targets imports learn"]
    assert room_faults("from .model import x\n", "base")
    assert third_party_faults("try:\n    import numpy as np\nexcept ImportError:\n    np = None\n", ansible=False)
    assert third_party_faults("import ansible.constants\n", ansible=False)
    assert (
        third_party_faults("import ansible.constants\nimport json\nfrom __future__ import annotations\n", ansible=True)
        == []
    )
    assert guarded_in_functions("def run(self):\n    sdk = guarded('ciscoisesdk')\n") == ["2: guarded() inside run()"]
    assert guarded_in_functions("sdk = guarded('ciscoisesdk')\n") == []


def test_only_the_skin_imports_ansible_and_nothing_third_party_is_imported_unguarded() -> None:
    def check(path: Path, source: str) -> list[str]:
        return third_party_faults(source, ansible=path.relative_to(PLUGINS).parts[0] in SKIN)

    assert_none(faults_in(python_files(), check))


def test_heavy_packages_are_imported_once_at_the_top() -> None:
    own = ENGINE / "base" / "imports.py"
    files = [path for path in python_files() if path != own]
    assert_none(faults_in(files, lambda _path, source: guarded_in_functions(source)))


def required(name: str) -> set[str]:
    """Return the packages that a requirements file names, in lower case, with those of the files it includes."""
    found: set[str] = set()
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            found |= required(line[3:].strip())
        elif line and not line.startswith("#"):
            found.add(re.split(r"[<>=!~\[; ]", line, maxsplit=1)[0].lower())
    return found


def test_every_package_that_is_imported_is_required_and_explained() -> None:
    distributions = {"yaml": "pyyaml", "paho": "paho-mqtt", "ruamel": "ruamel.yaml", "ansible": "ansible-core"}
    distributions |= {"pylibsshext": "ansible-pylibssh"}
    distributions["ibis"] = "ibis-framework"
    at_run_time = required("requirements.txt") | required("requirements-spark.txt")
    faults = []
    for path in python_files():
        for name in re.findall(r"""guarded\(["']([a-z_0-9]+)""", path.read_text(encoding="utf-8")):
            if name != "ansible_collections" and distributions.get(name, name) not in at_run_time:
                faults.append(f"{short(path)}: {name} is in neither requirements.txt nor requirements-spark.txt")
    own = {"tests", "tools", "stages", "ansible_collections"}
    for path in [*python_files(ROOT / "tests"), *python_files(ROOT / "tools")]:
        for line, name in imported(path.read_text(encoding="utf-8")):
            top = name.split(".", maxsplit=1)[0]
            if top and top not in own | set(sys.stdlib_module_names):
                if distributions.get(top, top) not in at_run_time | required("requirements-dev.txt"):
                    faults.append(f"{short(path)}:{line}: {top} is in no requirements file")
    explained = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    for package in at_run_time | required("requirements-dev.txt"):
        if not re.search(rf"^\| [^|]*\b{re.escape(package)}\b[^|]* \|", explained, re.MULTILINE):
            faults.append(f"{package} is not in docs/dependencies.md")
    assert_none(faults)


def test_runtime_code_reads_nothing_of_the_checkout() -> None:
    """policies/, inventory/, tests/ and samples/ are data of a checkout; an installed collection has none of them."""
    outside = re.compile(r"(?:^|\.\./|\./)(?:policies|inventory|tests|samples)/")

    def check(_path: Path, source: str) -> list[str]:
        if not re.search(r"(?:policies|inventory|tests|samples)/", source):
            return []
        return [f"{line}: {text!r}" for line, text in constants(source) if outside.search(text)]

    assert_none(faults_in(python_files(), check))
    yaml_files = [path for folder in ("roles", "playbooks") for path in sorted((ROOT / folder).rglob("*.yml"))]

    def yaml_check(_path: Path, source: str) -> list[str]:
        pattern = re.compile(r"(?:^|[\s\"'/])(?:policies|inventory|tests|samples)/")
        return [
            f"{number}: {line.strip()}" for number, line in enumerate(source.splitlines(), 1) if pattern.search(line)
        ]

    assert_none(faults_in(yaml_files, yaml_check))


# ---------------------------------------------------------------- files


def test_plugins_holds_only_folders_that_ansible_knows() -> None:
    assert_none(sorted({path.name for path in PLUGINS.iterdir() if path.name != "__pycache__"} - KNOWN))


def test_every_file_has_the_licence_header() -> None:
    def check(_path: Path, source: str) -> list[str]:
        lines = source.splitlines()
        if lines[0].startswith("#!"):
            lines = lines[1:]
        faults = [] if tuple(lines[:3]) == HEADER else ["1: no licence header"]
        if "from __future__ import annotations" not in lines:
            faults.append("1: no `from __future__ import annotations`")
        return faults

    assert_none(faults_in(python_files(), check))


def test_package_files_are_empty_and_every_package_has_one() -> None:
    assert_none([short(path) for path in sorted(PLUGINS.rglob("__init__.py")) if path.stat().st_size])
    folders = {path.parent for path in ENGINE.rglob("*.py")}
    assert_none(sorted(short(folder) for folder in folders if not (folder / "__init__.py").exists()))


def test_no_file_is_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}
    assert_none([f"{short(path)}: {lines} lines" for path, lines in lengths.items() if lines > 600])
    actions = {path: lines for path, lines in lengths.items() if path.parent.name == "action"}
    assert_none(
        [f"{short(path)}: {lines} lines; move work into the engine" for path, lines in actions.items() if lines >= 120]
    )


def test_no_variable_is_named_with_a_bare_underscore() -> None:
    """ansible-test's pylint forbids it in shipped code; here it costs a second instead of a minute."""

    def check(_path: Path, source: str) -> list[str]:
        if not re.search(r"\b_\b", source):
            return []
        names = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name) and node.id == "_")
        return [f"{node.lineno}: say _what it is" for node in names if isinstance(node.ctx, ast.Store)]

    assert_none(faults_in(python_files(), check))


def test_every_room_has_a_readme() -> None:
    assert_none([room for room in ROOMS if (ENGINE / room).is_dir() and not (ENGINE / room / "README.md").is_file()])


def test_no_paths_of_one_machine_and_no_index_addresses() -> None:
    paths = re.compile(r"/[w]ork/[a-z.]|/[r]oot/\.|/[t]mp/(?:bash_jobs|brief)|/[h]ome/[a-z]+/")
    index = re.compile(r"https?://|--(?:extra-)?index-url|--find-links")
    faults = []
    for path in shipped_files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        faults += [
            f"{short(path)}:{number}: {line[:100]}" for number, line in enumerate(lines, 1) if paths.search(line)
        ]
        if path.name.startswith(("requirements", "lock-")):
            faults += [f"{short(path)}:{number}: {line}" for number, line in enumerate(lines, 1) if index.search(line)]
    assert_none(faults)


def test_no_sanity_exceptions() -> None:
    assert_none([short(path) for path in (ROOT / "tests" / "sanity").glob("ignore*")])


def test_every_test_checks_something() -> None:
    assert list(idle_tests(ast.parse("def test_x():\n    for each in ():\n        print(each)\n"))) == [(1, "test_x")]
    assert not list(idle_tests(ast.parse("class C:\n    def test_x(self):\n        with a:\n            checked()\n")))
    faults = []
    for path in python_files(ROOT / "tests"):
        faults += [f"{short(path)}:{line}: {name}" for line, name in taken_apart(path.read_text(encoding="utf-8"))[1]]
    assert_none(faults)


# ---------------------------------------------------------------- findings


def ranges() -> dict[str, tuple[str, str]]:
    """Return room -> (first, last) code, as the table of docs/architecture.md says."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z]+)/` \|.*\| (SW[0-9]{4})-(SW[0-9]{4}) \|$", text, re.MULTILINE)
    return {room: (first, last) for room, first, last in rows}


def test_the_table_of_rooms_is_the_order_of_imports() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = re.findall(r"^\| `([a-z]+)/` \|", text, re.MULTILINE)
    assert rooms == list(ROOMS)


def test_finding_codes_are_unique_and_in_the_range_of_their_room() -> None:
    found = generate_docs.codes(ROOT)
    assert found, "no codes were found: has codes.py another form?"
    numbers = [words[0] for _room, _name, words in found]
    assert_none(sorted({number for number in numbers if numbers.count(number) > 1}))
    borders = ranges()
    faults = []
    for room, name, words in found:
        first, last = borders.get(room, ("", ""))
        if not first <= words[0] <= last:
            faults.append(f"{room}: {name} {words[0]} is not in {first or 'any range'}-{last}")
    assert_none(faults)


def test_a_code_stands_only_in_codes_py() -> None:
    def check(_path: Path, source: str) -> list[str]:
        if not re.search(r"SW[0-9]{4}", source):
            return []
        return [f"{line}: {text}" for line, text in constants(source) if re.fullmatch(r"SW[0-9]{4}", text)]

    assert_none(faults_in([path for path in python_files() if path.name != "codes.py"], check))


# ---------------------------------------------------------------- the skin


def names(folder: str) -> set[str]:
    return {path.stem for path in (PLUGINS / folder).glob("*.py") if not path.name.startswith("_")}


def test_every_action_has_its_module_and_the_other_way_round() -> None:
    assert_none(names("action") ^ names("modules"))


def test_every_module_stands_in_the_action_group() -> None:
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert runtime["requires_ansible"] == ">=2.18.0"
    assert_none(set(runtime["action_groups"]["all"]) ^ names("modules"))


def documented_options(documentation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the options of a module's documentation with those of its fragments."""
    options: dict[str, dict[str, Any]] = {}
    fragments = documentation.get("extends_documentation_fragment") or []
    for fragment in [fragments] if isinstance(fragments, str) else fragments:
        namespace, _, rest = fragment.partition("segwright.microseg.")
        name, _, part = rest.partition(".")
        if namespace or not name:
            continue
        tree = ast.parse((PLUGINS / "doc_fragments" / f"{name}.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == (part or "documentation").upper():
                options |= yaml.safe_load(ast.literal_eval(node.value)).get("options") or {}
    return options | (documentation.get("options") or {})


def argument_spec(action: str) -> dict[str, dict[str, Any]]:
    module = importlib.import_module(f"{COLLECTION}.plugins.action.{action}")
    for name in ("ARGUMENTS", "ARGUMENT_SPEC"):
        if hasattr(module, name):
            return dict(getattr(module, name))
    raise AssertionError(f"plugins/action/{action}.py has no ARGUMENTS")


def option_faults(where: str, spec: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """Return where documentation and argument specification differ: ansible-test cannot see the one of an action plugin."""
    faults = [
        f"{where}.{name}: in only one of documentation and specification" for name in sorted(set(spec) ^ set(options))
    ]
    for name in sorted(set(spec) & set(options)):
        said, done = options[name], spec[name]
        for key, absent in (
            ("type", "str"),
            ("default", None),
            ("required", False),
            ("choices", None),
            ("elements", None),
        ):
            first, second = said.get(key, absent), done.get(key, absent)
            if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
                first, second = list(first), list(second)
            if first != second:
                faults.append(f"{where}.{name}.{key}: documented {first!r}, specified {second!r}")
        faults += option_faults(f"{where}.{name}", done.get("options") or {}, said.get("suboptions") or {})
    return faults


def test_options_are_documented_as_they_are_specified() -> None:
    faults = []
    for name in sorted(names("action") & names("modules")):
        documentation = generate_docs.documentation(PLUGINS / "modules" / f"{name}.py")
        try:
            spec = argument_spec(name)
        except ImportError as error:
            faults.append(f"plugins/action/{name}.py cannot be imported: {error}")
        else:
            faults += option_faults(name, spec, documented_options(documentation))
    assert_none(faults)


def test_credentials_are_not_logged() -> None:
    secret = re.compile(r"passw|secret|token|private_key\Z|community\Z")
    faults = []
    for name in sorted(names("action")):
        try:
            options = argument_spec(name)
        except ImportError:
            continue  # reported by the test above
        faults += [
            f"{name}.{o}: say no_log" for o, spec in options.items() if secret.search(o) and "no_log" not in spec
        ]
    assert_none(faults)


# ---------------------------------------------------------------- roles and playbooks


def roles() -> list[Path]:
    return generate_docs.roles(ROOT)


def test_every_play_has_a_name() -> None:
    faults = []
    for path in sorted((ROOT / "playbooks").glob("*.yml")):
        plays = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(plays, list) or not all(isinstance(play, dict) and play.get("name") for play in plays):
            faults.append(short(path))
    assert_none(faults)


def test_every_role_has_specs_and_a_readme_that_names_every_variable() -> None:
    faults = []
    for role in roles():
        main = generate_docs.role_specs(role).get("main")
        if not main or not main.get("short_description"):
            faults.append(f"{short(role)}: no argument_specs for main")
            continue
        readme = role / "README.md"
        text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
        for name in main.get("options") or {}:
            if not name.startswith(f"{role.name}_"):
                faults.append(f"{short(role)}: {name} does not begin with {role.name}_")
            if f"`{name}`" not in text:
                faults.append(f"{short(role)}: README.md does not name {name}")
    assert_none(faults)


def test_role_defaults_are_specified() -> None:
    faults = []
    for role in roles():
        path = role / "defaults" / "main.yml"
        defaults = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}
        options = generate_docs.role_specs(role).get("main", {}).get("options") or {}
        faults += [f"{short(path)}: {name} is not in argument_specs" for name in sorted(set(defaults) - set(options))]
    assert_none(faults)
