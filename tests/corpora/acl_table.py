"""How many access list lines of the public corpora are understood, by platform and command.

``PYTHONPATH=.:collections python -m tests.corpora.acl_table`` prints the table that ``docs/acl-dialects.md`` shows (``--write`` puts
it there); a test keeps both true. Each platform module of this folder has ``FAMILIES``, and ``families`` names the modules. The
lines are counted by ``count.py``, which shares no code with the parsers.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Opaque, ParsedAcl
from tests.conftest import corpora_directory
from tests.corpora.count import entry_lines
from tests.corpora.verdicts import check

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "acl-dialects.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
Form = Callable[[ParsedAcl, Opaque, str], bool]


@dataclass(frozen=True)
class Source:
    """Files that hold access lists: what the table calls them, the syntax to read, globs below the corpora."""

    command: str
    dialect: str
    globs: tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """One platform of the table; ``forms``: what is excluded on purpose, by the first that fits."""

    platform: str
    sources: tuple[Source, ...]
    forms: dict[str, Form]


@dataclass
class Row:
    """Figures of one command: entry lines (equal lists once), how they were read, and verdicts on them (packets, right or wrong)."""

    platform: str
    command: str
    files: int = 0
    lists: int = 0
    entries: int = 0
    understood: int = 0
    conditional: int = 0
    excluded: Counter[str] = field(default_factory=Counter)
    opaque: list[str] = field(default_factory=list)
    uncounted: list[str] = field(default_factory=list)
    verdicts: int = 0
    wrong: int = 0


def files_of(source: Source, corpora: Path) -> list[Path]:
    """Return the files of a source that hold at least one entry line."""
    found = {path for glob in source.globs for path in corpora.glob(glob) if path.is_file()}
    return [path for path in sorted(found) if entry_lines(read(path), source.dialect)]


def read(path: Path) -> str:
    """Return the text of a corpus file."""
    return path.read_text(encoding="utf-8", errors="replace")


def measure(family: Family, corpora: Path) -> list[Row]:
    """Return a row for each source of a platform that has files; equal lists of a platform count once."""
    rows = []
    seen: set[tuple[str, ...]] = set()
    outcome = check(family.platform, corpora)
    for source in family.sources:
        row = Row(family.platform, source.command)
        for path in files_of(source, corpora):
            row.files += 1
            file = str(path.relative_to(corpora))
            row.verdicts += outcome.checked[file]
            row.wrong += outcome.wrong[file]
            _measure_file(family, source, path, row, seen)
        if row.files:
            rows.append(row)
    return rows


def _measure_file(family: Family, source: Source, path: Path, row: Row, seen: set[tuple[str, ...]]) -> None:
    text = read(path)
    counted = entry_lines(text, source.dialect)
    lines = dict(enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1))
    claimed: set[int] = set()
    for item in registry.parse(source.dialect, text):
        # an option of the whole list is an entry that no line says
        entries = {ace.line: ace for ace in item.aces if not ace.raw.startswith("fragments ")}
        unread = {line.line: line for line in item.opaque if line.line in counted and line.line not in entries}
        row.uncounted += [f"{path.name}:{line}" for line in entries if line not in counted]
        claimed |= entries.keys() | unread.keys()
        content = (item.kind, *(ace.raw for ace in entries.values()), *(line.text for line in unread.values()))
        if content in seen:
            continue
        seen.add(content)
        row.lists += 1
        row.entries += len(entries) + len(unread)
        row.understood += len(entries)
        row.conditional += sum(bool(ace.conditions) for ace in entries.values())
        for number, line in unread.items():
            form = next((name for name, fits in family.forms.items() if fits(item, line, lines[number])), "")
            if form:
                row.excluded[form] += 1
            else:
                row.opaque.append(f"{path.name}:{number}: {line.text}: {line.reason}")
    row.uncounted += [f"{path.name}:{line}: {lines[line].strip()}" for line in sorted(counted - claimed)]


def table(rows: Iterable[Row]) -> str:
    """Return the table and the list of excluded forms as Markdown."""
    rows = list(rows)
    head = (
        "| platform | command or source | files | lists | entry lines | understood | of these with a condition | excluded | "
        "opaque | understood of the rest | verdicts | wrong |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n"
    )
    result = [head]
    for platform in dict.fromkeys(row.platform for row in rows):
        own = [row for row in rows if row.platform == platform]
        result += [_line(row.command, [row]) for row in own]
        result.append(_line("**all**", own))
    forms = Counter[tuple[str, str]]()
    for row in rows:
        forms.update({(row.platform, form): count for form, count in row.excluded.items()})
    result.append("\nExcluded forms, each opaque with its reason:\n\n| platform | form | lines |\n|---|---|---|\n")
    result += [f"| {platform} | {form} | {count} |\n" for (platform, form), count in sorted(forms.items())]
    return "".join(result)


def _line(command: str, rows: list[Row]) -> str:
    entries, understood = sum(row.entries for row in rows), sum(row.understood for row in rows)
    excluded = sum(row.excluded.total() for row in rows)
    rest = entries - excluded
    share = f"{100 * understood / rest:.1f} %" if rest else "-"
    figures = [
        rows[0].platform, command, sum(row.files for row in rows), sum(row.lists for row in rows), entries, understood,
        sum(row.conditional for row in rows), excluded, sum(len(row.opaque) for row in rows), share,
        sum(row.verdicts for row in rows), sum(row.wrong for row in rows),
    ]  # fmt: skip
    return "| " + " | ".join(map(str, figures)) + " |\n"


def families() -> list[Family]:
    """Return the platforms of the table."""
    from tests.corpora import cisco_ios, cisco_nxos_asa

    return [*cisco_ios.FAMILIES, *cisco_nxos_asa.FAMILIES]


def main() -> None:
    """Print the table, or write it into the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--rest", action="store_true", help="also print lines that are opaque and not excluded")
    options = parser.parse_args()
    rows = [row for family in families() for row in measure(family, corpora_directory())]
    text = table(rows)
    if options.write:
        before, _begin, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        DOCUMENT.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")
    else:
        print(text)
    if options.rest:
        for row in rows:
            print(*row.opaque, *(f"not counted alike: {line}" for line in row.uncounted), sep="\n")


if __name__ == "__main__":
    main()
