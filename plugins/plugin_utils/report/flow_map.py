# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The flow map: zones as columns, segments as boxes, rules as arcs. Plain SVG."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.report.text import esc

BOX_WIDTH, BOX_HEIGHT, GAP, COLUMN, TOP = 168, 46, 22, 268, 56
COLOURS = {"life_support": "#b42318", "high": "#b45309", "medium": "#1f5fbf", "low": "#5b6b7c"}


def flow_map_svg(view: Mapping[str, Any]) -> str:
    """Return the map of a view (report.view): each arc is labelled with its services."""
    zones: dict[str, list[Mapping[str, Any]]] = {}
    for segment in view["segments"]:
        zones.setdefault(segment["zone"], []).append(segment)
    places: dict[str, tuple[float, float]] = {}
    parts: list[str] = []
    tallest = max((len(group) for group in zones.values()), default=1)
    height = TOP + tallest * (BOX_HEIGHT + GAP) + 24
    for column, (zone, group) in enumerate(sorted(zones.items(), key=lambda item: _zone_rank(item[0], view))):
        x = 16 + column * COLUMN
        offset = TOP + (tallest - len(group)) * (BOX_HEIGHT + GAP) / 2
        band = f'<rect x="{x - 10}" y="12" width="{BOX_WIDTH + 20}" height="{height - 24}" rx="10" fill="#f0f3f6" stroke="#d8dfe6"/>'
        parts.append(band + f'<text x="{x + BOX_WIDTH / 2}" y="34" text-anchor="middle" font-size="13" fill="#5b6b7c">{esc(zone)}</text>')
        for row, segment in enumerate(group):
            y = offset + row * (BOX_HEIGHT + GAP)
            places[segment["name"]] = (x, y)
    arcs = [_arc(rule, places) for rule in _merged(view["rules"]) if rule["client"] in places and rule["to"] in places]
    for segment in view["segments"]:
        x, y = places[segment["name"]]
        colour = COLOURS.get(segment["criticality"], "#5b6b7c")
        parts.append(
            f'<rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="7" fill="#fff" stroke="{colour}" stroke-width="1.6"/>'
            f'<text x="{x + 10}" y="{y + 19}" font-size="12.5" font-weight="600" fill="#1d2733">{esc(segment["name"])}</text>'
            f'<text x="{x + 10}" y="{y + 35}" font-size="11" fill="#5b6b7c">{esc(segment["devices"])} devices, {esc(segment["stage"])}</text>'
        )
    width = 32 + len(zones) * COLUMN - (COLUMN - BOX_WIDTH - 16)
    marker = (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#1f5fbf"/></marker></defs>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="flow map" font-family="system-ui,sans-serif">{marker}{"".join(parts)}{"".join(arcs)}</svg>'
    )


def _zone_rank(zone: str, view: Mapping[str, Any]) -> tuple[int, str]:
    """Return zones with mostly clients on the left, mostly servers on the right."""
    inside = {segment["name"] for segment in view["segments"] if segment["zone"] == zone}
    balance = sum((rule["to"] in inside) - (rule["client"] in inside) for rule in view["rules"])
    return balance, zone


def _merged(rules: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for rule in rules:
        entry = merged.setdefault((rule["client"], rule["to"]), {"client": rule["client"], "to": rule["to"], "services": []})
        entry["services"] += [service for service in rule["services"] if service not in entry["services"]]
    return list(merged.values())


def _arc(rule: Mapping[str, Any], places: Mapping[str, tuple[float, float]]) -> str:
    (x1, y1), (x2, y2) = places[rule["client"]], places[rule["to"]]
    title = f"{rule['client']} to {rule['to']}: {', '.join(rule['services'])}"
    start_y, end_y = y1 + BOX_HEIGHT / 2, y2 + BOX_HEIGHT / 2
    if x1 == x2:
        side = x1 + BOX_WIDTH
        bend = 26 + abs(end_y - start_y) * 0.12
        path = f"M{side} {start_y}C{side + bend} {start_y} {side + bend} {end_y} {side} {end_y}"
    else:
        start_x = x1 + BOX_WIDTH if x2 > x1 else x1
        end_x = x2 if x2 > x1 else x2 + BOX_WIDTH
        middle = (start_x + end_x) / 2
        path = f"M{start_x} {start_y}C{middle} {start_y} {middle} {end_y} {end_x} {end_y}"
    return f'<path d="{path}" fill="none" stroke="#1f5fbf" stroke-opacity="0.45" stroke-width="1.5" marker-end="url(#arrow)"><title>{esc(title)}</title></path>'
