# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Global configuration: interfaces and lines are entered here; the archive; lines that are only kept."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.lab.iosxe import modes
from tests.lab.iosxe.config_model import VTY_LINES, Interface, allowed_block
from tests.lab.iosxe.grammar import CliError, SyntaxFault
from tests.lab.iosxe.interface_commands import set_value
from tests.lab.iosxe.interfaces import full_name, is_logical

if TYPE_CHECKING:
    from tests.lab.iosxe.cli import Cli

CONFIG, ARCHIVE = modes.GRAMMARS[modes.CONFIG], modes.GRAMMARS[modes.ARCHIVE]


# -- global ----------------------------------------------------------------------------------------------------------


@CONFIG.command("hostname <word>")
def hostname(cli: Cli, name: str) -> bool:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,62}", name):
        raise CliError("% Hostname contains one or more illegal characters.")
    changed, cli.config.hostname = cli.config.hostname != name, name
    return changed


@CONFIG.command("interface <if>")
def interface(cli: Cli, name: str) -> bool:
    new = name not in cli.config.interfaces
    if new:
        if not is_logical(name):
            raise SyntaxFault("invalid", len("interface "))
        cli.config.interfaces[name] = Interface(name)
    cli.mode, cli.target = modes.INTERFACE, (name,)
    return new


@CONFIG.command("interface range <rest>")
def interface_range(cli: Cli, text: str) -> bool:
    names = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\S+?)\s*-\s*(\d+)\s*", part) or re.fullmatch(r"\s*(\S+)\s*()", part)
        first = full_name(found.group(1)) if found else None
        if found is None or first is None:
            raise SyntaxFault("invalid", len("interface range "))
        stem, number = re.fullmatch(r"(.*?)(\d+)", first).groups()  # type: ignore[union-attr]
        names += [f"{stem}{n}" for n in range(int(number), int(found.group(2) or number) + 1)]
    if not names or any(name not in cli.config.interfaces for name in names):
        raise SyntaxFault("invalid", len("interface range "))
    cli.mode, cli.target = modes.INTERFACE, tuple(names)
    return False


@CONFIG.command("no interface <if>")
def no_interface(cli: Cli, name: str) -> bool:
    if not is_logical(name):
        raise CliError("% Removal of physical interfaces is not permitted")
    return cli.config.interfaces.pop(name, None) is not None


@CONFIG.command("default interface <if>")
def default_interface(cli: Cli, name: str) -> bool:
    if name not in cli.config.interfaces:
        raise SyntaxFault("invalid", len("default interface "))
    settings = cli.config.interfaces[name].settings
    changed = bool(settings)
    settings.clear()
    return changed


@CONFIG.command("line vty <int:0-15>")
def line_vty_one(cli: Cli, first: int) -> bool:
    return line_vty(cli, first, first)


@CONFIG.command("line vty <int:0-15> <int:0-15>")
def line_vty(cli: Cli, first: int, last: int) -> bool:
    if last < first or last >= VTY_LINES:
        raise SyntaxFault("invalid", len("line vty "))
    cli.mode, cli.target = modes.LINE, cli.config.vty[first : last + 1]
    return False


@CONFIG.command("line con <int:0-0>", "line console <int:0-0>")
def line_console(cli: Cli, _number: int) -> bool:
    cli.mode, cli.target = modes.LINE, [cli.config.console]
    return False


@CONFIG.command("archive")
def archive(cli: Cli) -> bool:
    new = cli.config.archive is None
    if new:
        cli.config.archive = {}
    cli.mode = modes.ARCHIVE
    return new


@CONFIG.command("no archive")
def no_archive(cli: Cli) -> bool:
    had, cli.config.archive = cli.config.archive is not None, None
    return had


def _archive(cli: Cli) -> dict[str, str]:
    if cli.config.archive is None:  # another session removed it
        cli.config.archive = {}
    return cli.config.archive


@ARCHIVE.command("path <word>")
def archive_path(cli: Cli, path: str) -> bool:
    return set_value(_archive(cli), "path", f"path {path}")


@ARCHIVE.command("maximum <int:1-14>")
def archive_maximum(cli: Cli, number: int) -> bool:
    return set_value(_archive(cli), "maximum", f"maximum {number}")


@ARCHIVE.command("write-memory")
def archive_write_memory(cli: Cli) -> bool:
    return set_value(_archive(cli), "write-memory", "write-memory")


@ARCHIVE.command("time-period <int:1-525600>")
def archive_period(cli: Cli, number: int) -> bool:
    return set_value(_archive(cli), "time-period", f"time-period {number}")


@ARCHIVE.command("no path", "no path <word>")
def no_archive_path(cli: Cli, _path: str = "") -> bool:
    return _archive(cli).pop("path", None) is not None


@ARCHIVE.command("no write-memory")
def no_write_memory(cli: Cli) -> bool:
    return _archive(cli).pop("write-memory", None) is not None


# -- lines that are only kept ----------------------------------------------------------------------------------------


def keep_global(cli: Cli, text: str) -> bool | None:
    """Keep a global line that the emulator does not understand; None when it keeps no such lines."""
    words = text.split()
    negated = words[0].lower() == "no"
    line = " ".join(words[1:] if negated else words)
    if not line or not allowed_block(line):
        return None
    if line.startswith("event manager") and not cli.device.spec.event_manager:
        return None
    blocks = cli.config.blocks
    cli.mode, cli.target = modes.CONFIG, None
    if negated:
        gone = [header for header in blocks if header == line or header.startswith(line + " ")]
        for header in gone:
            del blocks[header]
        return bool(gone)
    new = line not in blocks
    blocks.setdefault(line, [])
    if modes.block_prompt(line) is not None:
        cli.mode, cli.target = modes.BLOCK, line
    return new


def keep_in_block(cli: Cli, text: str) -> bool:
    """Keep a line of a block; a line that is a global command is not one (the caller then tries globally)."""
    stripped = text.strip()
    if not text.startswith(" "):
        try:
            CONFIG.match(stripped)
        except SyntaxFault:
            pass
        else:
            raise SyntaxFault("invalid", 0)
        if modes.block_prompt(stripped) is not None or stripped.startswith("no vlan "):
            raise SyntaxFault("invalid", 0)
    block = cli.config.blocks.setdefault(cli.target, [])
    if stripped.startswith("no "):
        wanted = stripped[3:]
        kept = [line for line in block if not (line.strip() == wanted or line.strip().startswith(wanted + " "))]
        changed = len(kept) != len(block)
        block[:] = kept
        return changed
    line = text.rstrip()
    if cli.target.startswith("vlan ") and stripped.startswith("name "):
        changed = line not in block
        block[:] = [each for each in block if not each.startswith("name ")] + [line]
        return changed
    if line in block:
        return False
    block.append(line)
    return True
