# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which lists fit into the hardware. A line, or a session's commit, that does not fit is refused and leaves things as they were.

By default an update is atomic: the new entries must fit beside the old ones (Nexus 9000 security configuration guide, atomic
ACL updates). A list attached twice in a region is programmed once, unless it keeps statistics.
"""

from __future__ import annotations

from tests.lab.iosxe.grammar import CliError
from tests.lab.nxos.config import ATTACH, REGIONS, Config

ROWS = {"ing-ifacl": "Ingress PACL", "ing-racl": "Ingress RACL", "egr-racl": "Egress RACL"}
Program = tuple[str, str, tuple[tuple[str, ...], frozenset[str]], str]  # region, list, what it says, interface or ""


def programs(config: Config) -> dict[Program, int]:
    """Return what must be in the hardware, with its entries."""
    found: dict[Program, int] = {}
    for interface in config.interfaces.values():
        for command in ATTACH:
            for direction in ("in", "out"):
                name = interface.access_list(command, direction)
                region = REGIONS.get((command, direction))
                if (
                    name is None
                    or region is None
                    or (command.endswith("access-group") and _idle(interface.routed, command))
                ):
                    continue
                listing = config.lists.get(name)
                if listing is None or not listing.entries:
                    continue
                own = interface.name if "statistics per-entry" in listing.options else ""
                found[region, name, listing.signature(), own] = listing.cost(direction)
    return found


def _idle(routed: bool, command: str) -> bool:
    return routed == ("port" in command)


def used(config: Config) -> dict[str, int]:
    """Return the entries in use by region."""
    sums = dict.fromkeys(ROWS, 0)
    for (region, *_rest), cost in programs(config).items():
        sums[region] += cost
    return sums


def check(regions: dict[str, int], before: Config, after: Config) -> None:
    """Raise CliError where the change from one configuration to the other does not fit."""
    old, new = programs(before), programs(after)
    for region, size in regions.items():
        coming = {key: cost for key, cost in new.items() if key[0] == region}
        if not size and coming:
            raise CliError(
                "ERROR: Module 1 returned status: TCAM region is not configured. Please configure TCAM region and retry the command"
            )
        kept = {key: cost for key, cost in old.items() if key[0] == region} if after.atomic else {}
        fresh = set(coming) - set(old)
        if fresh and sum({**kept, **coming}.values()) > size:
            raise CliError("ERROR: Module 1 returned status: Sufficient free entries are not available in TCAM bank")


def changes_hardware(before: Config, after: Config) -> bool:
    """Return whether something that is in the hardware changes."""
    return programs(before).keys() != programs(after).keys()
