# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action and the lookup of the register return: devices, their facts, what each is taken for and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.decide import Classifier
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.model import RuleBase
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import DERIVED_FACTS
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import Register
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.steps import find
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.segments import with_types
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.classified import rule_base_of, site_document

TYPE = "device_type"


def run_register_info(values: dict[str, Any]) -> dict[str, Any]:
    """Return the register's devices, whole or those that hold an address or carry a MAC or fact, with what they are and why.

    Hosts are addresses of which no source knows the MAC; conflicts are what the register's sources disagree about.
    """
    register = storage.read(values["data_dir"])
    document = storage.as_document(register, "-")
    document_of_site, faults = site_document(values.get("policy_dir") or "policies")
    base, more = rule_base_of(document_of_site)
    devices = document["devices"]
    wanted = values.get("device") or ""
    if wanted:
        found = find(register, wanted, values.get("at") or "")
        devices = [each for each in devices if each["id"] in found]
    asked = {str(name): str(text) for name, text in sorted((values.get("facts") or {}).items())}
    devices = [each for each in devices if all(_says(each, n, t) for n, t in asked.items() if n not in DERIVED_FACTS)]
    devices = _explained(register, devices, base)
    devices = [each for each in devices if all(_says(each, n, t) for n, t in asked.items())]
    counts = {
        "devices": len(register.devices),
        "addresses": len({each.address for each in register.intervals()}),
        "conflicts": len(register.conflicts),
        "hosts": len(register.hosts),
        "selected": len(devices),
    }
    return {
        "changed": False,
        "devices": devices,
        "hosts": document["hosts"],
        "conflicts": document["conflicts"],
        "findings": [each.as_dict() for each in (*faults, *more)],
        "counts": counts,
    }


def device_value(
    data_dir: str | Path, wanted: str, at: str = "", fact: str = "", policy_dir: str | Path = "policies"
) -> Any:
    """Return one device by MAC or by the address it holds at a moment, or one of its facts; None where there is none.

    ``at`` is RFC 3339 text, now where empty. Raises ValueError for text that is neither MAC nor address.
    """
    register = storage.read(data_dir)
    found = find(register, wanted, at)
    if not found:
        return None
    one = Register({found[0]: register.devices[found[0]]})
    plain = storage.as_document(one, "-")["devices"]
    if fact and fact not in DERIVED_FACTS:
        return plain[0]["facts"].get(fact, {}).get("value")
    base, _faults = rule_base_of(site_document(policy_dir)[0])
    device = _explained(one, plain, base)[0]
    return device["facts"].get(fact, {}).get("value") if fact else device


def _explained(register: Register, devices: list[dict[str, Any]], base: RuleBase) -> list[dict[str, Any]]:
    classifier = Classifier(base)
    classified = {each["id"]: classifier.of(register.devices[each["id"]]) for each in devices}
    typed = with_types({"devices": devices}, classified, base.types)["devices"]
    return [{**each, "classification": classified[each["id"]].as_dict()} for each in typed]


def _says(device: Mapping[str, Any], name: str, text: str) -> bool:
    return str(device["facts"].get(name, {}).get("value")) == text
