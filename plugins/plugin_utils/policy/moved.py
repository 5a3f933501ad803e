# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What documents say of a segment by its name, for a device that an isolation puts into a segment of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Guardrail, Site


def ways_as_before(paths: Mapping[str, Any], old: str, new: str) -> Mapping[str, Any]:
    """Return the ways where a device is called otherwise and stands where it stood: routes of its old segment are its own as well."""
    routes = [
        made
        for route in paths.get("routes", ())
        for made in (
            route,
            *(
                {**route, "client": client, "server": server}
                for client in ((route["client"], new) if route["client"] == old else (route["client"],))
                for server in ((route["server"], new) if route["server"] == old else (route["server"],))
                if (client, server) != (route["client"], route["server"])
            ),
        )
    ]
    return {**paths, "routes": routes} if len(routes) > len(paths.get("routes", ())) else paths


def guarded_as_before(site: Site, old: str, new: str) -> tuple[Guardrail, ...]:
    """Return the guardrails with each must-never of a device's old segment for the device itself as well: it stays what it is.

    A must-always is not carried over: cutting is what an isolation is for, and the proof of its workflows says what may be cut.
    """
    made: list[Guardrail] = []
    for item in site.guardrails:
        made.append(item)
        if item.must != "never" or old not in (item.client, item.server):
            continue
        clients = (old, new) if item.client == old else (item.client,)
        servers = (old, new) if item.server == old else (item.server,)
        made += [
            replace(item, client=client, server=server)
            for client in clients
            for server in servers
            if (client, server) != (item.client, item.server)
        ]
    return tuple(made)
