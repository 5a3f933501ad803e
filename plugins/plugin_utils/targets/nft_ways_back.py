# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Timers on a Linux firewall that would take a ruleset back: whose they are, whether they still count, and how one is called off.

Each has a directory of its own (nft_apply.py): ``armed`` exists as long as it counts, ``owner`` says who armed it and for which table,
``timer`` is the number of its process. Whoever renames ``armed`` first has it, so no timer strikes while another calls it off.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.linux_session import LinuxSession
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ways_back import WayBack, own_name, own_words

PREFIX = "segwright"
UNKNOWN_SECONDS = 60
END = '{ [ "$2" -lt 2 ] || kill -- "-$2" 2>/dev/null || kill "$2" 2>/dev/null || true; rm -rf "$1"; }'
CALL_OFF = f'mv "$1/armed" "$1/cancelled" && {END}'
# Only root's own directories count: anybody may make one in /tmp.
# A timer of another network namespace is about another ruleset. The process that counts has its directory among its arguments: one
# that does not has only got its number.
_STANDING = """
here=$(readlink /proc/self/ns/net 2>/dev/null || true)
for directory in /run/segwright.*/ /tmp/tmp.*/; do
  [ -O "${directory}" ] || continue
  [ -e "${directory}armed" ] && [ -e "${directory}owner" ] && [ -e "${directory}revert.nft" ] || continue
  net=$(cat "${directory}net" 2>/dev/null || true)
  [ -z "$net" ] || [ "$net" = "$here" ] || continue
  timer=$(cat "${directory}timer" 2>/dev/null || true)
  lives=yes
  if [ -n "$timer" ] && ! tr '\\0' ' ' < "/proc/$timer/cmdline" 2>/dev/null | grep -qF "${directory%/} "; then lives=no; timer=0; fi
  table=$(sed -n '1s/^table inet //p' "${directory}revert.nft")
  printf '%s\\t%s\\t%s\\t%s\\t%s\\n' "${directory%/}" "$lives" "${timer:-0}" "$table" "$(cat "${directory}owner")"
done
"""
_OWNER = re.compile(rf"\A({PREFIX}_\w+) (.*) seconds (\d+)\Z")


def owner_text(seconds: int) -> str:
    """Return what the file ``owner`` says of a timer of this process."""
    return f"{own_name(PREFIX)} {own_words()} seconds {seconds}"


def standing(session: LinuxSession, table: str) -> dict[str, tuple[WayBack, str]]:
    """Return the timers that stand armed for a table, by directory: each with the number of its process.

    The name of a way back is the owner's mark, or the directory where ``owner`` cannot be read. ``over``: its process is gone, so it
    never strikes.
    """
    found: dict[str, tuple[WayBack, str]] = {}
    for line in session.must(session.shell(_STANDING, root=True), "looking for timers").splitlines():
        directory, lives, timer, about, owner = (line.split("\t") + [""] * 5)[:5]
        if about != table:
            continue
        told = _OWNER.match(owner)
        name, text, seconds = (told[1], told[2], int(told[3])) if told else (directory, "", UNKNOWN_SECONDS)
        found[directory] = WayBack(name, text, seconds, over=lives == "no"), timer
    return found


def call_off(session: LinuxSession, directories: Sequence[tuple[str, str]]) -> None:
    """Call timers off, given as directory and number of the process; one that has struck meanwhile stays as it is."""
    for directory, timer in directories:
        session.shell(CALL_OFF, directory, timer, root=True)
