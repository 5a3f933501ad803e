# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import: what a maker or a device says, as rules for review. Writes policy files and its reports, and no target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_text, write_atomic, write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import (
    Finding,
    FindingError,
    Location,
    errors_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.json_io import SIZE_LIMIT_BYTES
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.checks import difference_dicts
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.registry import PLATFORMS, parse_one
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.resolve import member_addresses
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.importing import codes as list_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.importing.acl import Scope, candidates
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.loader import load_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.binding import Resolution, bind
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.pairing import permissions_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.reader import read_mud
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.mud.renewal import no_longer_declared
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.imported import compiled_list, list_difference
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.imports import import_markdown
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.results import result
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps import codes as step_codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import commit_name, paths_of, today_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.import_every_segment import (
    differences,
    every_segment,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.imported_files import Written, write_import
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.paths import Paths

MUD = "mud"
FORMATS = (MUD, *PLATFORMS)
STATEFUL = ("asa", "nftables")
FOR_EVERY_SEGMENT = (*STATEFUL, "ios", "ios_ipv6", "nxos")
NOT_IMPORTED = ("not imported", "condition", "not understood", "blanket answer", "other devices")


def run_import(values: dict[str, Any]) -> dict[str, Any]:
    """Import a text, write what is proposed and return the result; in check mode only say what would be written."""
    paths = paths_of(values)
    site = loaded_site(paths)
    if not values.get("segment") and values["format"] in FOR_EVERY_SEGMENT and not values.get("peer"):
        return import_list_everywhere(values, paths, site)
    return import_mud(values, paths, site) if values["format"] == MUD else import_list(values, paths, site)


def loaded_site(paths: Paths) -> Site:
    """Return the site of the policy directory; FindingError where its documents cannot be read."""
    loaded = load_site(paths.policy)
    if loaded.site is None:
        raise FindingError(*errors_of(loaded.findings))
    return loaded.site


def known_segment(site: Site, name: str) -> str:
    """Return the name of a segment of the site; FindingError SW2824 for another name, SW4601 for none."""
    if not name:
        text = f"segment: it is needed unless the format is one of {', '.join(FOR_EVERY_SEGMENT)}"
        raise FindingError(step_codes.BAD_ARGUMENT.at(text))
    if name not in site.segments:
        raise FindingError(codes.NO_SEGMENT.at(f"segment {ascii(name)[:60]} is not defined"))
    return name


def source_text(values: Mapping[str, Any]) -> tuple[str, str]:
    """Return the text to import and its name for findings: ``content``, or the file ``src``."""
    if values.get("content"):
        return str(values["content"]), "content"
    if not values.get("src"):
        raise FindingError(step_codes.BAD_ARGUMENT.at("one of src and content is needed"))
    source = Path(str(values["src"])).expanduser()
    return read_text(source, SIZE_LIMIT_BYTES), source.name


def import_mud(values: dict[str, Any], paths: Paths, site: Site) -> dict[str, Any]:
    """Import a MUD file into the segment's file, and into those of segments that open to it."""
    segment = known_segment(site, str(values.get("segment") or ""))
    text, name = source_text(values)
    mud = read_mud(text, name)
    permissions, findings = permissions_of(mud)
    made = bind(site, segment, mud, permissions, values.get("bindings") or {}, resolutions(values))
    found = [*mud.findings, *findings, *made.findings]
    if values.get("strict") and errors_of(found):
        raise FindingError(*errors_of(found))
    gone, more = no_longer_declared(site, segment, mud, made, found)
    found += more
    written = write_import(
        paths.policy, site, made.rules, made.services, made.networks, today_of(values), values["check_mode"], gone
    )
    content = {
        "format": MUD,
        "source": name,
        "segment": segment,
        "mud": {
            "url": mud.url,
            "manufacturer": mud.authority,
            "model": mud.model_name,
            "systeminfo": mud.systeminfo,
            "last_update": mud.last_update,
        },
        "counts": {
            "entries": len(mud.entries),
            "conversations": len(permissions),
            "rules": sum(len(rules) for rules in made.rules.values()),
            "new rules": len(written.added),
            "rules removed": len(written.removed),
            "peers not named": len(made.unbound),
        },
        "bound": made.bound,
        "unbound": made.unbound,
    }
    return imported(values, paths, found, written, content)


def import_list(values: dict[str, Any], paths: Paths, site: Site) -> dict[str, Any]:
    """Import an access list for packets from the segment's devices, and compare it with what the compiler makes of the import."""
    platform, segment = str(values["format"]), known_segment(site, str(values.get("segment") or ""))
    peer = known_segment(site, values["peer"]) if values.get("peer") else ""
    if (platform == "sgacl") != bool(peer):
        raise FindingError(list_codes.NEEDS_PEER.at("peer belongs to an SGACL and to nothing else"))
    text, name = source_text(values)
    source = parse_one(platform, text, str(values.get("name") or ""))
    family = 6 if platform == "ios_ipv6" or any(ace.family == 6 for ace in source.aces) else 4
    scope = Scope(segment, peer, family, name, platform in STATEFUL)
    made = candidates(site, source, scope, compiled_list(site, scope, rules=False))
    found: list[Finding] = list(made.findings)
    written = write_import(
        paths.policy, site, made.rules, made.services, made.networks, today_of(values), values["check_mode"]
    )
    outcomes = Counter(entry["outcome"] for entry in made.entries)
    content: dict[str, Any] = {
        "format": platform,
        "source": f"{source.name or 'list'} of {name}",
        "segment": segment,
        "peer": peer,
        "counts": {"entries": len(made.entries), **dict(sorted(outcomes.items())), "new rules": len(written.added)},
        "entries": made.entries,
        "not_imported": [entry for entry in made.entries if entry["outcome"] in NOT_IMPORTED],
    }
    if not source.opaque and written.site is not None:
        difference = list_difference(written.site, source, scope)
        content["difference"] = {
            "equal": difference.equal,
            "only_in_list": difference_dicts(difference.only_in_list),
            "only_in_policy": difference_dicts(difference.only_in_policy),
            "not_modelled": difference_dicts(difference.not_modelled),
        }
        if not difference.equal:
            parts = content["difference"]
            words = ", ".join(
                f"{len(parts[key])} parts {key.replace('_', ' ')}" for key in list(parts)[1:] if parts[key]
            )
            found.append(list_codes.LIST_DIFFERS.at(words, Location(name)))
    return imported(values, paths, found, written, content)


def import_list_everywhere(values: dict[str, Any], paths: Paths, site: Site) -> dict[str, Any]:
    """Import a list of a firewall or router for every segment with addresses, and compare the import, compiled, with it."""
    platform = str(values["format"])
    text, name = source_text(values)
    source = parse_one(platform, text, str(values.get("name") or ""))
    family = 6 if platform == "ios_ipv6" or any(ace.family == 6 for ace in source.aces) else 4
    scopes = {
        segment: Scope(segment, "", family, name, platform in STATEFUL)
        for segment in site.segments
        if member_addresses(site, segment, family)
    }
    if not scopes:
        raise FindingError(codes.NO_SEGMENT.at(f"no segment has an IPv{family} address in members.lock.json"))
    made, found = every_segment(paths.policy, site, source, scopes)
    written = write_import(
        paths.policy, site, made.rules, made.services, made.networks, today_of(values), values["check_mode"]
    )
    outcomes = Counter(entry["outcome"] for entry in made.entries)
    content: dict[str, Any] = {
        "format": platform,
        "source": f"{source.name or 'list'} of {name}",
        "segment": "",
        "peer": "",
        "counts": {
            "entries": len(made.entries), **dict(sorted(outcomes.items())), "segments": len(scopes), "new rules": len(written.added),
        },
        "entries": made.entries,
        "not_imported": [entry for entry in made.entries if entry["outcome"] in NOT_IMPORTED],
    }  # fmt: skip
    if not source.opaque and written.site is not None:
        content["difference"], more = differences(written.site, source, scopes)
        found += more
    return imported(values, paths, found, written, content)


def resolutions(values: Mapping[str, Any]) -> dict[str, Resolution]:
    """Return the addresses that the arguments give for host names."""
    found = {}
    day = str(values.get("resolved_on") or today_of(values).isoformat())
    for host, addresses in (values.get("resolved") or {}).items():
        listed = [addresses] if isinstance(addresses, str) else list(addresses)
        found[str(host)] = Resolution(tuple(str(address) for address in listed), day)
    return found


def imported(
    values: Mapping[str, Any], paths: Paths, found: list[Any], written: Written, content: dict[str, Any]
) -> dict[str, Any]:
    """Write import.json and import.md and return the action's result."""
    content |= {
        "rules": sorted(written.added),
        "permitted_already": sorted(written.covered),
        "removed": sorted(written.removed),
        "files": sorted(written.files),
        "gate": [finding.as_dict() for finding in written.gate],
    }
    made = result("import", found, commit_name(paths.policy), **content)
    made["summary"] = _summary(made)
    if not values["check_mode"]:
        write_json(paths.output / "import.json", made)
        write_atomic(paths.output / "import.md", import_markdown(made))
    answer: dict[str, Any] = {
        "changed": bool(written.files),
        "summary": made["summary"],
        "counts": made["counts"],
        "files": made["files"],
        "rules": made["rules"],
        "removed": made["removed"],
        "gate": made["gate"],
        "findings": [*made["errors"], *made["warnings"]],
        "report": str(paths.output / "import.md"),
    }
    answer |= {key: made[key] for key in ("bound", "unbound", "entries", "difference", "not_imported") if key in made}
    if values["diff_mode"]:
        answer["diff"] = written.diff()
    return answer


def _summary(made: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{value} {key}" for key, value in made["counts"].items())
    gate = f"; the gate would refuse with {len(made['gate'])} new errors" if made["gate"] else ""
    return f"{made['source']}: {counts}; {len(made['files'])} files{gate}"
