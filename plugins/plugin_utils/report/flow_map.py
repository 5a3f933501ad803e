# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The flow map: clients on the left, servers on the right, grouped by zone; one arc per pair of segments. Plain SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.report.text import counted, esc

BOX_WIDTH, BOX_HEIGHT, GAP, ZONE_GAP, TOP = 210, 40, 10, 34, 40
LEFT, RIGHT, WIDTH = 20, 850, 1080
COLOURS = {
    "life_support": "#b42318",
    "process_critical": "#b42318",
    "high": "#b45309",
    "medium": "#1f5fbf",
    "low": "#5b6b7c",
}
ARCS = ("#1f5fbf", "#1a7f4b", "#8a3ffc", "#b45309", "#0e7490", "#9f1853", "#5b6b7c")


def flow_map_svg(view: Mapping[str, Any]) -> str:
    """Return the map of a view (report.view). A segment that opens and serves stands on both sides."""
    arcs = _merged(view["rules"])
    segments = {segment["name"]: segment for segment in view["segments"]}
    zone_of = {name: segment["zone"] for name, segment in segments.items()}
    clients = _grouped({arc["client"] for arc in arcs}, zone_of, {})
    rank = {name: position for position, name in enumerate(name for _zone, group in clients for name in group)}
    weights = _weights(arcs, rank)
    servers = _grouped({arc["to"] for arc in arcs}, zone_of, weights)
    left, left_height, left_parts = _column(clients, LEFT, segments)
    right, right_height, right_parts = _column(servers, RIGHT, segments)
    height = max(left_height, right_height) + 16
    drawn = [_arc(arc, left[arc["client"]], right[arc["to"]]) for arc in arcs] + _labels(arcs, right)
    heads = (
        f'<text x="{LEFT}" y="20" font-size="13" fill="#5b6b7c">clients (who opens)</text>'
        f'<text x="{RIGHT + BOX_WIDTH}" y="20" font-size="13" fill="#5b6b7c" text-anchor="end">servers (who is opened)</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}" role="img" '
        f'aria-label="flow map" font-family="system-ui,sans-serif">{heads}{"".join(drawn)}{"".join(left_parts + right_parts)}</svg>'
    )


def _merged(rules: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for rule in rules:
        arc = merged.setdefault(
            (rule["client"], rule["to"]), {"client": rule["client"], "to": rule["to"], "services": []}
        )
        arc["services"] += [service for service in rule["services"] if service not in arc["services"]]
    return list(merged.values())


def _weights(arcs: Sequence[Mapping[str, Any]], rank: Mapping[str, int]) -> dict[str, float]:
    """Return for each server the mean position of its clients, which keeps arcs from crossing."""
    places: dict[str, list[int]] = {}
    for arc in arcs:
        places.setdefault(arc["to"], []).append(rank[arc["client"]])
    return {name: sum(found) / len(found) for name, found in places.items()}


def _grouped(names: set[str], zone_of: Mapping[str, str], weights: Mapping[str, float]) -> list[tuple[str, list[str]]]:
    zones: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda n: (weights.get(n, 0.0), n)):
        zones.setdefault(zone_of.get(name, "networks"), []).append(name)
    return sorted(zones.items(), key=lambda item: (sum(weights.get(n, 0.0) for n in item[1]) / len(item[1]), item[0]))


def _column(
    groups: Sequence[tuple[str, list[str]]], x: int, segments: Mapping[str, Any]
) -> tuple[dict[str, float], float, list[str]]:
    """Return the middle of each box, the column's height and its parts."""
    places: dict[str, float] = {}
    parts: list[str] = []
    y = float(TOP)
    for zone, group in groups:
        parts.append(f'<text x="{x}" y="{y + 12:g}" font-size="11.5" fill="#5b6b7c">{esc(zone)}</text>')
        y += 18
        for name in group:
            segment = segments.get(name)
            colour = COLOURS.get(segment["criticality"], "#5b6b7c") if segment else "#5b6b7c"
            note = f"{counted(segment['devices'], 'device')}, {segment['stage']}" if segment else "network set"
            parts.append(
                f'<rect x="{x}" y="{y:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="7" fill="#fff" '
                f'stroke="{colour}" stroke-width="1.6"/>'
                f'<text x="{x + 10}" y="{y + 17:g}" font-size="12.5" font-weight="600" fill="#1d2733">{esc(name)}</text>'
                f'<text x="{x + 10}" y="{y + 32:g}" font-size="11" fill="#5b6b7c">{esc(note)}</text>'
            )
            places[name] = y + BOX_HEIGHT / 2
            y += BOX_HEIGHT + GAP
        y += ZONE_GAP - GAP
    return places, y, parts


def _arc(arc: Mapping[str, Any], start: float, end: float) -> str:
    """Return a curve with its services as title."""
    colour = _colour(arc["to"])
    x1, x2 = LEFT + BOX_WIDTH, RIGHT - 7
    middle = (x1 + x2) / 2
    return (
        f'<path d="M{x1} {start:g}C{middle} {start:g} {middle} {end:g} {x2} {end:g}" fill="none" stroke="{colour}" '
        f'stroke-opacity="0.55" stroke-width="1.6">'
        f"<title>{esc(arc['client'])} to {esc(arc['to'])}: {esc(', '.join(arc['services']))}</title></path>"
        f'<path d="M{x2} {end - 4:g}l7 4l-7 4z" fill="{colour}"/>'
    )


def _colour(server: str) -> str:
    return ARCS[sum(server.encode()) % len(ARCS)]


def _labels(arcs: Sequence[Mapping[str, Any]], places: Mapping[str, float]) -> list[str]:
    """Return one text per server with everything that is opened on it."""
    services: dict[str, list[str]] = {}
    for arc in arcs:
        known = services.setdefault(arc["to"], [])
        known += [service for service in arc["services"] if service not in known]
    return [
        f'<text x="{RIGHT - 14}" y="{places[server] - 6:g}" font-size="11" fill="{_colour(server)}" text-anchor="end" '
        f'paint-order="stroke" stroke="#fff" stroke-width="4">{esc(", ".join(sorted(found)))}</text>'
        for server, found in services.items()
    ]
