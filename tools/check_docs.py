"""Check what a reader would stumble over: links that lead nowhere, names of what does not exist, guides nobody finds.

Looks at every Markdown file of the checkout. Addresses on the web are not followed: the check must pass offline.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
NAME = re.compile(r"\bsegwright\.microseg\.([a-z][a-z0-9_]*)\b")
TARGET = re.compile(r"(?:^|`)\s*make ([a-z][a-z-]*)", re.MULTILINE)
CODE_NUMBER = re.compile(r"\bSW[0-8][0-9]{3}\b")  # SW9xxx are the numbers of a site's own rules


def markdown_files(root: Path) -> list[Path]:
    """Return the Markdown files that are, or would be, under version control."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
    names = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    return sorted(path for path in (root / name for name in names if name) if path.is_file())


def anchors(text: str) -> set[str]:
    """Return the anchors that a forge makes of the headings of a page."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        number, unique = 0, slug
        while unique in found:
            number += 1
            unique = f"{slug}-{number}"
        found.add(unique)
    return found


def content_names(root: Path) -> set[str]:
    """Return every name that `segwright.microseg.NAME` may stand for."""
    names = {path.stem for path in (root / "plugins").glob("*/*.py")}
    names |= {path.stem for path in (root / "plugins").glob("*/*.yml")}
    names |= {path.stem for path in (root / "playbooks").glob("*.yml")}
    # "plugins" is how Python names our code.
    return names | {path.name for path in (root / "roles").glob("*") if path.is_dir()} | {"all", "plugins"}


def line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])


def link_faults(path: Path, root: Path) -> list[str]:
    text = CODE.sub(blank, FENCE.sub(blank, path.read_text(encoding="utf-8")))
    faults = []
    for found in LINK.finditer(text):
        place = f"{path.relative_to(root)}:{line_of(text, found.start())}"
        address, _, anchor = found[1].partition("#")
        if re.match(r"[a-z][a-z0-9+.-]*:", address):
            continue
        target = (path.parent / address).resolve() if address else path
        if not target.is_relative_to(root):
            faults.append(f"{place}: the link {found[1]} leads out of the checkout")
        elif not target.exists():
            faults.append(f"{place}: the link {found[1]} leads nowhere")
        elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8")):
            faults.append(f"{place}: no heading for #{anchor} in {target.relative_to(root)}")
    return faults


def name_faults(path: Path, root: Path, names: set[str], targets: set[str], codes: set[str]) -> list[str]:
    text = path.read_text(encoding="utf-8")
    faults = []
    for pattern, known, what in (
        (NAME, names, "nothing is named segwright.microseg."),
        (TARGET, targets, "no Makefile target "),
        (CODE_NUMBER, codes, "no finding has the code "),
    ):
        for found in pattern.finditer(text):
            word = found[1] if pattern.groups else found[0]
            if word not in known:
                faults.append(f"{path.relative_to(root)}:{line_of(text, found.start())}: {what}{word}")
    return faults


def index_faults(root: Path, files: list[Path]) -> list[str]:
    """Return the pages below ``docs/`` that its index does not lead to."""
    index = root / "docs" / "README.md"
    linked = {
        (index.parent / found[1].partition("#")[0]).resolve() for found in LINK.finditer(index.read_text("utf-8"))
    }
    pages = [path for path in files if path.is_relative_to(index.parent) and path != index]
    return [f"docs/README.md: no link to {path.relative_to(root)}" for path in pages if path not in linked]


def main() -> int:
    names = content_names(ROOT)
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    codes: set[str] = set()
    for path in (ROOT / "plugins").rglob("codes.py"):
        codes |= set(CODE_NUMBER.findall(path.read_text(encoding="utf-8")))
    # Pages that speak of ranges or of what is to come name codes that nobody raises.
    free = {ROOT / "docs" / "architecture.md"}
    files = markdown_files(ROOT)
    faults = index_faults(ROOT, files)
    for path in files:
        faults += link_faults(path, ROOT)
        if "CHANGELOG" not in path.name:
            faults += name_faults(path, ROOT, names, targets, codes | _all_codes(path, free))
    for fault in faults:
        print(fault)
    print(f"{len(files)} pages, {len(faults)} faults")
    return 1 if faults else 0


def _all_codes(path: Path, free: set[Path]) -> set[str]:
    return set(CODE_NUMBER.findall(path.read_text(encoding="utf-8"))) if path in free else set()


if __name__ == "__main__":
    sys.exit(main())
