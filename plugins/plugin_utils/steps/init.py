# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Begin a policy directory with the sample site of a sector pack. Nothing that stands is overwritten."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_text, write_atomic
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import IDENTIFIER
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.yaml_io import SIZE_LIMIT_BYTES, load_yaml
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import schema
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes

COLLECTION = Path(__file__).resolve().parents[3]
PACKS = COLLECTION / "extensions" / "packs"
SCHEMAS = Path(schema.__file__).resolve().parent / "schemas"
_COMMENT = re.compile(r"\A(# yaml-language-server: \$schema=)\S*?([A-Za-z.]+\.schema\.json)$", re.MULTILINE)


def packs() -> list[str]:
    """Return the names of the packs that the collection holds."""
    return sorted(path.parent.name for path in PACKS.glob("*/pack.yml"))


def run_init(values: dict[str, Any]) -> dict[str, Any]:
    """Copy the site of a pack into a new policy directory; the directory must hold no policy yet."""
    name = str(values["pack"])
    if not IDENTIFIER.match(name) or name not in packs():
        raise FindingError(codes.BAD_ARGUMENT.at(f"pack: {name[:40]!r} is not one of {', '.join(packs())}"))
    target = Path(str(values["policy_dir"])).expanduser()
    pack = load_yaml(PACKS / name / "pack.yml", f"{name}/pack.yml").value
    made = {relative: _text(name, relative, target) for relative in _files(PACKS / name / "site")}
    standing = sorted(relative for relative in made if os.path.lexists(target / relative))
    different = [relative for relative in standing if _present(target / relative) != made[relative]]
    if different or (standing and len(standing) != len(made)):
        text = f"{target} holds a policy already ({', '.join((different or standing)[:3])}); nothing was written"
        raise FindingError(codes.BAD_ARGUMENT.at(text, hint="give a directory that does not exist yet"))
    links = sorted(
        {
            str(path)
            for path in ((target / relative).parent for relative in made)
            if path.is_symlink() and path != target
        }
    )
    if links:
        raise FindingError(codes.BAD_ARGUMENT.at(f"{links[0]} is a link; nothing is written through it"))
    new = {} if standing else made
    if not values["check_mode"]:
        for relative, text in sorted(new.items()):
            write_atomic(target / relative, text)
    answer: dict[str, Any] = {
        "changed": bool(new),
        "summary": f"{pack['title']}: {len(new)} files into {target}",
        "files": sorted(new),
        "not_enforceable": pack["not_enforceable"],
        "adapt": pack["adapt"],
    }
    if values["diff_mode"]:
        answer["diff"] = [
            {"before_header": name, "after_header": name, "before": "", "after": text}
            for name, text in sorted(new.items())
        ]
    return answer


def _files(site: Path) -> list[str]:
    return sorted(path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file())


def _present(path: Path) -> str | None:
    """Return the text of a regular file, None for anything else."""
    if path.is_symlink() or not path.is_file():
        return None
    return read_text(path, SIZE_LIMIT_BYTES)


def _text(name: str, relative: str, target: Path) -> str:
    """Return a file's text; its comment for editors leads to the schemas of this collection, seen from the new place."""
    text = read_text(PACKS / name / "site" / relative, SIZE_LIMIT_BYTES)
    place = (target / relative).parent.absolute()
    prefix = os.path.relpath(SCHEMAS, place).replace(os.sep, "/")
    return _COMMENT.sub(lambda found: f"{found[1]}{prefix}/{found[2]}", text, count=1)
