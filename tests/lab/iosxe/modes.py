# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modes of the command line: prompts and the grammar of each. Command modules add their commands here."""

from __future__ import annotations

from tests.lab.iosxe.grammar import Grammar

USER, EXEC, CONFIG = "user", "exec", "config"
INTERFACE, LINE, ARCHIVE, BLOCK = "config-if", "config-line", "config-archive", "block"
EXT_ACL, STD_ACL, IPV6_ACL, RB_ACL, IPV6_RB_ACL = (
    "config-ext-nacl",
    "config-std-nacl",
    "config-ipv6-acl",
    "config-rb-acl",
    "config-ipv6rb-acl",
)

GRAMMARS: dict[str, Grammar] = {mode: Grammar() for mode in (USER, EXEC, CONFIG, INTERFACE, LINE, ARCHIVE)}

# Prompt of kept blocks, by the first words of their header; a header not listed has no sub-mode.
BLOCK_PROMPTS = {
    "vlan": "config-vlan",
    "object-group network": "config-network-group",
    "object-group service": "config-service-group",
    "radius server": "config-radius-server",
    "tacacs server": "config-server-tacacs",
    "aaa group server": "config-sg-radius",
    "aaa server radius dynamic-author": "config-locsvr-da-radius",
    "class-map": "config-cmap",
    "policy-map": "config-event-control-policymap",
    "template": "config-template",
    "device-tracking policy": "config-device-tracking",
    "event manager applet": "config-applet",
    "vrf definition": "config-vrf",
    "ip sla": "config-ip-sla",
    "crypto pki": "ca-trustpoint",
}


def block_prompt(header: str) -> str | None:
    """Return the prompt of the sub-mode that a kept line opens, None if it opens none."""
    for prefix, prompt in BLOCK_PROMPTS.items():
        if header.startswith(prefix + " ") or header == prefix:
            if prefix == "vlan" and not header.split()[1][:1].isdigit():
                return None
            return prompt
    return None
