# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People who answer what propose asks, and nothing else, as the truth is: decisions about rare and doubtful traffic, accounts of network
sets and of segments, corrected profiles."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation
from tests.truth.blueprints import SERVICES, UNNAMED
from tests.truth.judge import NUMBERS
from tests.truth.records import DAY_US
from tests.truth.sites import SiteTruth

NAMES = {number: name for name, number in NUMBERS.items()}


def answer(site: SiteTruth, folder: Path, told: Mapping[str, Any], days: int) -> dict[str, int]:
    """Add to decisions.yml and correct the profiles of devices that were named; return how many of each."""
    today = site.day(days).isoformat()
    uses: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
    for talk in site.talks:
        uses.setdefault((talk.client, talk.server.removeprefix("net:")), []).append(SERVICES[talk.service])
    asked = {(item["client"], item["to"], int(item["protocol"]), int(item["port"])) for item in told["expected"]}
    for item in told["review"]:
        if item["protocol"] in NUMBERS:
            asked.add((item["client"], item["server"], NUMBERS[item["protocol"]], int(item["port"])))
    # Who is asked of a network set tells all that opens it.
    sets = sorted({item["server"] for item in told["review"] if item["kind"] == "network-set"})
    for (client, to), services in uses.items():
        if to in sets:
            asked |= {(client, to, of, low) for of, low, _high in services}
    # Who is asked what a segment opens knows the uses of his type of devices.
    quiet = sorted({item["client"] for item in told["review"] if item["kind"] == "segment-account"})
    ends = {each.name for each in site.types} | {name.removeprefix("net:") for name, _value in site.outside}
    decisions = []
    for client, to, protocol, port in sorted(asked):
        # A question about a device or an address is about that, not about a rule.
        if client not in ends or to not in ends:
            continue
        true = any(of == protocol and low <= port <= high for of, low, high in uses.get((client, to), ()))
        decisions.append(
            {
                "client": client,
                "to": to,
                "service": f"{NAMES[protocol]}/{port}",
                "decision": "approve" if true else "refuse",
                "by": "A. Huber",
                "reason": "It is a use of the site" if true else "It is none",
                "date": today,
            }
        )
    path = folder / "policies" / "decisions.yml"
    standing = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    before, told_before = standing.get("decisions", []), standing.get("accounts", [])
    quiet = [name for name in quiet if any(each.name == name for each in site.types)]
    if decisions or sets or quiet:
        accounts = [
            {"network": name, "by": "A. Huber", "reason": "Asked all owners: that is all", "date": today}
            for name in sets
        ]
        document = {
            "decisions": [*before, *decisions],
            "accounts": [*told_before, *accounts],
            "segment_accounts": [
                *standing.get("segment_accounts", []),
                *(_account(site, name, today, site.day(days + 365).isoformat()) for name in quiet),
            ],
        }
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    wrong = {each.mac: each for each in site.devices if each.profile != each.kind}
    named = [wrong[item["device"]] for item in told["misplaced"] if item["device"] in wrong]
    moment = int(datetime(*site.day(days).timetuple()[:3], tzinfo=UTC).timestamp()) * 1_000_000 + DAY_US // 2
    corrected = [
        Observation(each.mac, {"endpoint_profile": each.kind}, (), "ise:endpoint", moment, 0.9) for each in named
    ]
    storage.update(folder / "data", corrected)
    return {
        "approved": sum(each["decision"] == "approve" for each in decisions),
        "refused": sum(each["decision"] == "refuse" for each in decisions),
        "network sets": len(sets),
        "accounts of segments": len(quiet),
        "profiles corrected": len(corrected),
        "accused wrongly": len(told["misplaced"]) - len(named),
    }


def _account(site: SiteTruth, segment: str, today: str, until: str) -> dict[str, Any]:
    """Return what the owner of a segment knows: the uses of its type of devices, and that they are all."""
    uses = sorted({(talk.server.removeprefix("net:"), talk.service) for talk in site.talks if talk.client == segment})
    named = {of: of if of not in UNNAMED else f"{NAMES[SERVICES[of][0]]}/{SERVICES[of][1]}" for _to, of in uses}
    return {
        "segment": segment,
        "opens": [{"to": to, "service": named[of]} for to, of in uses],
        "by": "A. Huber",
        "reason": "The maker's list of interfaces: that is all",
        "date": today,
        "until": until,
    }
