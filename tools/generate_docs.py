"""Write the parts of the documentation that follow from the code: tables in README and role READMEs, the action group, codes.

    generate_docs.py            write them
    generate_docs.py --check    say what is out of date, exit 1

In a Markdown file the part between `<!-- begin NAME -->` and `<!-- end NAME -->` is ours. Five files are ours as a whole:
`meta/runtime.yml`, `meta/ee-requirements.txt`, `docs/findings.md`, `docs/platform-limits.md` and `docs/policy/reference.md`.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
NAMESPACE = "segwright.microseg"
ROOMS = (
    "base", "packets", "dialects", "devices", "flows", "policy", "enforce", "proof", "learn", "risk", "change", "targets",
    "report", "steps",
)  # fmt: skip
# Ansible's markup in short texts: O(name), V(value), M(fqcn), C(code), RV(return), E(env), I(italic), B(bold)
MARKUP = re.compile(r"\b(?:O|V|M|C|RV|E|P|I|B)\(([^()]*)\)")


def plain(text: Any) -> str:
    """Return Ansible's text as one line fit for a cell of a Markdown table."""
    words = " ".join(str(item) for item in text) if isinstance(text, list) else str(text)
    return MARKUP.sub(r"`\1`", " ".join(words.split())).replace("|", "\\|")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) if len(lines) > 2 else "None yet."


def documentation(path: Path) -> dict[str, Any]:
    """Return the DOCUMENTATION of a plugin or module file, or of a sidecar YAML; an empty mapping where there is none."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".yml", ".yaml"):
        return dict((yaml.safe_load(text) or {}).get("DOCUMENTATION") or {})
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "DOCUMENTATION" for t in node.targets
        ):
            value = ast.literal_eval(node.value)
            return dict(yaml.safe_load(value) or {})
    return {}


def public(folder: Path, *suffixes: str) -> list[Path]:
    files = (path for suffix in suffixes for path in folder.glob(f"*{suffix}"))
    return sorted((path for path in files if not path.name.startswith("_")), key=lambda path: path.stem)


def modules(root: Path) -> list[Path]:
    return public(root / "plugins" / "modules", ".py")


def module_table(root: Path) -> str:
    return table(
        ("module", "what it does"),
        ((f"`{path.stem}`", plain(documentation(path).get("short_description", ""))) for path in modules(root)),
    )


def plugin_table(root: Path) -> str:
    rows = []
    for kind in ("lookup", "filter", "test", "inventory", "callback"):
        for path in public(root / "plugins" / kind, ".py", ".yml"):
            documented = documentation(path)
            if documented:  # a Python file of filters has its documentation in the YAML beside it
                rows.append((f"`{path.stem}`", kind, plain(documented.get("short_description", ""))))
    return table(("plugin", "kind", "what it does"), rows)


def playbook_table(root: Path) -> str:
    rows = []
    for path in public(root / "playbooks", ".yml"):
        plays = yaml.safe_load(path.read_text(encoding="utf-8")) or []
        names = [plain(play.get("name", "")) for play in plays if isinstance(play, dict)]
        rows.append((f"[{path.stem}](playbooks/{path.name})", "; ".join(filter(None, names))))
    return table(("playbook", "plays"), rows)


def role_specs(role: Path) -> dict[str, Any]:
    path = role / "meta" / "argument_specs.yml"
    if not path.is_file():
        return {}
    return dict((yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("argument_specs") or {})


def roles(root: Path) -> list[Path]:
    return sorted(path for path in (root / "roles").glob("*") if (path / "tasks").is_dir())


def role_table(root: Path) -> str:
    rows = []
    for role in roles(root):
        short = plain(role_specs(role).get("main", {}).get("short_description", ""))
        rows.append((f"[{role.name}](roles/{role.name}/README.md)", short))
    return table(("role", "what it does"), rows)


def shown(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value not in ("", None) else ""


def variable_table(role: Path) -> str:
    rows = []
    for name, option in sorted((role_specs(role).get("main", {}).get("options") or {}).items()):
        default = "required" if option.get("required") else shown(option.get("default"))
        rows.append((f"`{name}`", str(option.get("type", "str")), default, plain(option.get("description", ""))))
    return table(("variable", "type", "default", "meaning"), rows)


def runtime(root: Path) -> str:
    """Return meta/runtime.yml: every module stands in the action group `all`, so that module_defaults can reach it."""
    names = [path.stem for path in modules(root)]
    group = "".join(f"\n    - {name}" for name in names) if names else " []"
    return f'---\nrequires_ansible: ">=2.18.0"\naction_groups:\n  # Written by tools/generate_docs.py: every module.\n  all:{group}\n'


def ee_requirements(root: Path) -> str:
    """Return requirements.txt without the part for the tests, for execution environments."""
    text = (root / "requirements.txt").read_text(encoding="utf-8").split("# For the tests only")[0]
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return "# Written by tools/generate_docs.py from requirements.txt.\n" + "\n".join(lines) + "\n"


def codes(root: Path) -> list[tuple[str, str, list[str]]]:
    """Return (room, constant, [number, severity, title, remedy]) of every finding code, by number."""
    found = []
    for room in ROOMS:
        for path in sorted((root / "plugins" / "plugin_utils" / room).rglob("codes.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                call = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Code":
                    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                    name = target.id if isinstance(target, ast.Name) else "?"
                    words = [ast.literal_eval(argument) for argument in call.args]
                    words += [ast.literal_eval(keyword.value) for keyword in call.keywords]
                    found.append((room, name, [str(word) for word in words]))
    return sorted(found, key=lambda item: item[2][0])


def findings(root: Path) -> str:
    text = (
        "# Findings\n\nEvery error, warning and remark has a code that keeps its meaning. This page is written by"
        " `tools/generate_docs.py`\nfrom the `codes.py` of each room; [architecture.md](architecture.md) says who owns which numbers.\n"
    )
    found = codes(root)
    for room in ROOMS:
        rows = [
            (words[0], words[1], plain(words[2]), plain(words[3])) for owner, _name, words in found if owner == room
        ]
        if rows:
            text += f"\n## {room}\n\n{table(('code', 'severity', 'meaning', 'what to do'), rows)}\n"
    return text


def constants(path: Path, *wanted: str) -> dict[str, Any]:
    """Return the literal values of constants of a Python file, without importing it."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in wanted:
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


def policy_reference(root: Path) -> str:
    """Return docs/policy/reference.md, which the policy room makes from its schemas."""
    sys.path.insert(0, str(root / "collections"))
    module = importlib.import_module(f"ansible_collections.{NAMESPACE}.plugins.plugin_utils.policy.reference")
    return str(module.reference())


def platform_limits(root: Path) -> str:
    """Return docs/platform-limits.md: every number of the data files, with its source."""
    room = root / "plugins" / "plugin_utils" / "dialects"
    words = constants(room / "platform_limits.py", "CONFIDENCE", "COMPARED", "COUNTED", "TOLD")
    classes = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in public(room / "limits", ".yml")}
    text = (
        "# Platform limits\n\nWhat `acl_check` holds a list against when it is given a `budget`. This page is written by"
        " `tools/generate_docs.py` from the files\nof `plugins/plugin_utils/dialects/limits/`, one platform class a file."
        " The figures are for planning: what a device has free decides.\n\n## How a list is counted\n\n"
        "- One entry takes source addresses x destination addresses x source ports x destination ports x messages hardware"
        " entries, each counted in\n  aligned power-of-two blocks: ports 5000-5010 are 3, 1024-65535 are 6, 1-65534 are 30."
        " A wildcard mask with holes is one.\n- A range, `gt`, `lt` or `neq` takes an operator register as long as there is one"
        " (`compact_entries`), else it falls into blocks\n  (`hardware_entries`). The same operator with the same operands counts"
        " once a side. `eq` takes none.\n- An IPv6 entry counts as often as the class says, usually twice.\n- While a list is"
        " replaced, old and new stand side by side: the column is `with_old` in the result.\n- A DACL is programmed for each"
        " session: give `copies`.\n\n## How sure a number is\n\n"
    )
    text += table(("word", "meaning"), words["CONFIDENCE"].items()) + "\n\n## What the numbers count\n\n"
    kinds = {"compared": words["COMPARED"], "rule of counting": words["COUNTED"], "for the reader": words["TOLD"]}
    text += table(
        ("figure", "use", "meaning"), ((f"`{k}`", use, m) for use, part in kinds.items() for k, m in part.items())
    )
    for name, value in classes.items():
        rows = [
            (f"`{kind}`", f"{item['value']:,}", item["confidence"], plain(item["source"]))
            for kind, item in value["limits"].items()
        ]
        text += f"\n\n## {name}\n\n{value['title']}. For {', '.join(f'`{p}`' for p in value['platforms'])}."
        text += f" {value['note']}" if value.get("note") else ""
        text += "\n\n" + table(("figure", "limit", "confidence", "source"), rows)
    return text + "\n"


def with_part(text: str, name: str, part: str) -> str:
    """Return text with the part between the two markers of that name replaced; unchanged where there are none."""
    pattern = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
    return pattern.sub(lambda found: f"{found[1]}{part}\n{found[2]}", text)


def generated(root: Path) -> dict[Path, str]:
    """Return every file that is ours in part or whole, with the text it should have."""
    files = {
        root / "meta" / "runtime.yml": runtime(root),
        root / "meta" / "ee-requirements.txt": ee_requirements(root),
        root / "docs" / "findings.md": findings(root),
        root / "docs" / "platform-limits.md": platform_limits(root),
        root / "docs" / "policy" / "reference.md": policy_reference(root),
    }
    readme = root / "README.md"
    if readme.is_file():
        text = readme.read_text(encoding="utf-8")
        parts = {"modules": module_table, "plugins": plugin_table, "playbooks": playbook_table, "roles": role_table}
        for name, make in parts.items():
            text = with_part(text, name, make(root))
        files[readme] = text
    for role in roles(root):
        path = role / "README.md"
        if path.is_file():
            files[path] = with_part(path.read_text(encoding="utf-8"), "variables", variable_table(role))
    return files


def main(arguments: list[str]) -> int:
    stale = []
    for path, text in generated(ROOT).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(path.relative_to(ROOT))
            if "--check" not in arguments:
                path.write_text(text, encoding="utf-8")
    if stale and "--check" in arguments:
        print(f"out of date, `make docs` writes them anew: {', '.join(map(str, stale))}")
        return 1
    print(f"{'written' if stale else 'all up to date'}{': ' if stale else ''}{', '.join(map(str, stale))}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
