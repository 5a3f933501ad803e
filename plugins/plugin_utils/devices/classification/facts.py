# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a device as classification sees them: sure and unsure values apart, names taken to words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.classification.model import SURE
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import is_local
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import Device

# Facts that are names or sentences, and the fact that has their words: infusion-pump-017 is infusion, pump.
WORDS = {
    "endpoint_profile": "profile_word",
    "endpoint_group": "group_word",
    "hostname": "hostname_word",
    "asset_type": "asset_word",
    "lldp_description": "neighbour_word",
    "dhcp_class": "dhcp_word",
    "oui_vendor": "vendor_word",
    "manufacturer": "manufacturer_word",
    "model": "model_word",
}
_TOKEN = re.compile(r"[^\W\d_]+")
# What a name says of its network and not of the device.
_DOMAIN_OF = ("hostname",)

Values = dict[str, list[tuple[Any, str]]]


@dataclass(frozen=True)
class Seen:
    """Values with the fact and source they are from, by fact: those that count in full, and those that count half.

    ``local`` says that the MAC is locally administered: its OUI is void.
    """

    sure: Mapping[str, list[tuple[Any, str]]] = field(default_factory=dict)
    unsure: Mapping[str, list[tuple[Any, str]]] = field(default_factory=dict)
    local: bool = False


@lru_cache(maxsize=65536)
def words_of(text: str) -> tuple[str, ...]:
    """Return a name's words in lower case, digits and signs left out, each once in order."""
    return tuple(dict.fromkeys(token.lower() for token in _TOKEN.findall(text)))


def seen_of(device: Device) -> Seen:
    """Return what is known of a register's device."""
    sure: Values = {}
    unsure: Values = {}
    local = is_local(device.id)
    for name, fact in device.facts.items():
        if local and name == "oui_vendor":
            continue
        for word in fact.words:
            _add(sure if word.confidence >= SURE else unsure, name, word.value, word.source)
    return Seen(sure, unsure, local)


def _add(into: Values, name: str, value: Any, source: str) -> None:
    own = into.setdefault(name, [])
    for each in value if isinstance(value, tuple) else (value,):
        own.append((each, source))
    as_words = WORDS.get(name)
    if as_words and isinstance(value, str):
        text = value.split(".", maxsplit=1)[0] if name in _DOMAIN_OF else value
        into.setdefault(as_words, []).extend((word, source) for word in words_of(text))
