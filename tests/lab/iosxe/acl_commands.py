# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration of access lists: ip access-list, ipv6 access-list, and the lines inside them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.lab.iosxe import modes
from tests.lab.iosxe.access_list import LAST, TITLES, AccessList
from tests.lab.iosxe.ace_text import EXTENDED, IPV6, ROLE_BASED, ROLE_BASED6, STANDARD
from tests.lab.iosxe.acl_syntax import parse_ace
from tests.lab.iosxe.grammar import AMBIGUOUS, INCOMPLETE, INVALID, CliError, SyntaxFault, pick, tokens

if TYPE_CHECKING:
    from tests.lab.iosxe.cli import Cli

MODE_KINDS = {
    modes.EXT_ACL: EXTENDED,
    modes.STD_ACL: STANDARD,
    modes.IPV6_ACL: IPV6,
    modes.RB_ACL: ROLE_BASED,
    modes.IPV6_RB_ACL: ROLE_BASED6,
}
KIND_MODES = {kind: mode for mode, kind in MODE_KINDS.items()}
NUMBERS = {EXTENDED: ((100, 199), (2000, 2699)), STANDARD: ((1, 99), (1300, 1999))}
CONFIG = modes.GRAMMARS[modes.CONFIG]


def _checked(cli: Cli, kind: str, name: str) -> None:
    allowed = NUMBERS.get(kind)
    if name.isdigit():
        if allowed is None or not any(low <= int(name) <= high for low, high in allowed):
            raise CliError("% Invalid access list name.")
    elif not name[0].isalpha():
        raise CliError("% Invalid access list name.")
    other = cli.config.list_of(kind).get(name)
    if other is None and kind in (EXTENDED, STANDARD, IPV6):  # one space of names for both families
        other = cli.config.list_of(EXTENDED if kind == IPV6 else IPV6).get(name)
    if other is not None and other.kind != kind:
        raise CliError(f"% A named {TITLES[other.kind]} with this name already exists")


def _open(cli: Cli, kind: str, name: str) -> bool:
    _checked(cli, kind, name)
    space = cli.config.list_of(kind)
    new = name not in space
    if new:
        space[name] = AccessList(kind, name, limit=cli.device.spec.max_list_entries)
    cli.mode, cli.target = KIND_MODES[kind], name
    return new


def _delete(cli: Cli, kind: str, name: str) -> bool:
    _checked(cli, kind, name)
    return cli.config.list_of(kind).pop(name, None) is not None


@CONFIG.command("ip access-list extended <name>")
def open_extended(cli: Cli, name: str) -> bool:
    return _open(cli, EXTENDED, name)


@CONFIG.command("ip access-list standard <name>")
def open_standard(cli: Cli, name: str) -> bool:
    return _open(cli, STANDARD, name)


@CONFIG.command("ip access-list role-based <name>")
def open_role_based(cli: Cli, name: str) -> bool:
    return _open(cli, ROLE_BASED, name)


@CONFIG.command("ipv6 access-list <name>")
def open_ipv6(cli: Cli, name: str) -> bool:
    return _open(cli, IPV6, name)


@CONFIG.command("ipv6 access-list role-based <name>")
def open_ipv6_role_based(cli: Cli, name: str) -> bool:
    return _open(cli, ROLE_BASED6, name)


@CONFIG.command("no ip access-list extended <name>")
def delete_extended(cli: Cli, name: str) -> bool:
    return _delete(cli, EXTENDED, name)


@CONFIG.command("no ip access-list standard <name>")
def delete_standard(cli: Cli, name: str) -> bool:
    return _delete(cli, STANDARD, name)


@CONFIG.command("no ip access-list role-based <name>")
def delete_role_based(cli: Cli, name: str) -> bool:
    return _delete(cli, ROLE_BASED, name)


@CONFIG.command("no ipv6 access-list <name>")
def delete_ipv6(cli: Cli, name: str) -> bool:
    return _delete(cli, IPV6, name)


@CONFIG.command("no ipv6 access-list role-based <name>")
def delete_ipv6_role_based(cli: Cli, name: str) -> bool:
    return _delete(cli, ROLE_BASED6, name)


@CONFIG.command("ip access-list resequence <name> <int:1-2147483647> <int:1-2147483647>")
def resequence(cli: Cli, name: str, start: int, step: int) -> bool:
    found = cli.config.lists.get(name)
    if found is None:
        raise CliError(f"% Access list {name} does not exist")
    return found.resequence(start, step)


def entry_line(cli: Cli, text: str) -> bool:
    """Carry out one line inside a list. Raises SyntaxFault when it is no such line (the caller then tries globally)."""
    kind = MODE_KINDS[cli.mode]
    words = tokens(text)
    at, negated, sequence = 0, False, None
    if words[0][0].lower() == "no":
        at, negated = 1, True
        if len(words) == 1:
            raise SyntaxFault(INCOMPLETE, len(text))
    if kind in (IPV6, ROLE_BASED6) and at < len(words) and words[at][0].lower() == "sequence":
        at += 1
        if at == len(words):
            raise SyntaxFault(INCOMPLETE, len(text))
        if not words[at][0].isdigit():
            raise SyntaxFault(INVALID, words[at][1])
    if words[at][0].isdigit():
        sequence = int(words[at][0])
        if not 1 <= sequence <= LAST:
            raise SyntaxFault(INVALID, words[at][1])
        at += 1
    space = cli.config.list_of(kind)
    if cli.target not in space:  # another session deleted it
        space[cli.target] = AccessList(kind, cli.target, limit=cli.device.spec.max_list_entries)
    found = space[cli.target]
    if at == len(words):
        if negated and sequence is not None:
            return found.remove(sequence)
        raise SyntaxFault(INCOMPLETE, len(text))
    try:
        verb = pick(words[at][0], ("deny", "permit", "remark"))
    except ValueError:
        raise SyntaxFault(AMBIGUOUS, words[at][1]) from None
    if verb is None:
        raise SyntaxFault(INVALID, words[at][1])
    if verb == "remark":
        return _remark(found, text, words[at + 1 :], sequence, negated)
    rest = text[words[at][1] :].rstrip()
    if kind in (IPV6, ROLE_BASED6):
        tail = re.search(r"\s+sequence\s+(\d{1,10})$", rest)
        if tail is not None and sequence is None:
            sequence, rest = int(tail.group(1)), rest[: tail.start()]
            if not 1 <= sequence <= LAST:
                raise SyntaxFault(INVALID, len(text) - 1)
    ace = parse_ace(rest, kind, offset=words[at][1], groups=cli.config.groups())
    if not negated:
        return found.add(sequence, ace)
    if sequence is None:
        return found.remove_ace(ace)
    if any(entry.sequence == sequence and entry.ace == ace for entry in found.entries):
        return found.remove(sequence)
    return False


def _remark(found: AccessList, text: str, words: list[tuple[str, int]], sequence: int | None, negated: bool) -> bool:
    remark = text[words[0][1] :].rstrip() if words else None
    if negated:
        return found.remove_remark(sequence, remark)
    if remark is None:
        raise SyntaxFault(INCOMPLETE, len(text))
    return found.add_remark(sequence, remark)
