# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running configuration says about network access: AAA, RADIUS, CoA, device tracking, TrustSec, and every port.

Both command styles are read: ``authentication ...`` (IOS, legacy mode of IOS-XE) and ``access-session ...`` with a subscriber policy
(IBNS 2.0), with interface templates. In the first a port is closed unless it says ``authentication open``; in the second it is open unless
it says ``access-session closed`` (Cisco IOS XE Identity-Based Networking Services command reference). Passwords, keys and community
strings never reach the result.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers.running import (
    Block,
    attachments,
    interfaces,
    vlan_numbers,
)

PHYSICAL = re.compile(
    r"\A(?:FastEthernet|GigabitEthernet|TwoGigabitEthernet|FiveGigabitEthernet|TenGigabitEthernet|TwentyFiveGigE|FortyGigabitEthernet|HundredGigE|Ethernet)"
    r"\d+(?:/\d+){0,2}\Z"
)
_DEAD_VLAN = re.compile(r"\Aauthentication event server dead action (authorize|reinitialize)(?: vlan (\d+))?\Z")
_WORD = re.compile(r"\A[A-Za-z0-9_.:-]{1,128}\Z")


@dataclass(frozen=True)
class Critical:
    """What a port does with a device that no RADIUS server answers for: nothing (``action`` empty), or ``authorize`` it, in a VLAN or
    by a template; ``reinitialize`` does so with the sessions that stand too.

    ``pause``: sessions that stand are left alone while no server answers.
    """

    action: str = ""
    vlan: int = 0
    voice: bool = False
    templates: tuple[str, ...] = ()
    access_list: str = ""
    pause: bool = False


@dataclass(frozen=True)
class Port:
    """One physical port. ``mode``: access, trunk, routed or dynamic. ``style``: legacy, ibns2, or empty where it authenticates nobody.

    ``cts`` is None where the port says nothing of its own about enforcement.
    """

    interface: str
    enabled: bool = True
    mode: str = "dynamic"
    vlan: int = 1
    voice_vlan: int = 0
    access_list: str = ""
    access_list6: str = ""
    style: str = ""
    control: str = ""
    open: bool = False
    host_mode: str = ""
    methods: tuple[str, ...] = ()
    reauthentication: bool = False
    control_direction: str = ""
    policy: str = ""
    templates: tuple[str, ...] = ()
    tracking: str = ""
    cts: bool | None = None
    cts_manual: bool = False
    critical: Critical = field(default_factory=Critical)


def network_access(found: Sequence[Block]) -> dict[str, Any]:
    """Return the facts as JSON values (docs/formats/switch-facts.md, section ``configuration``)."""
    return {
        "attachments": [asdict(each) for each in attachments(list(found))],
        "aaa": _aaa(found),
        "tracking": _tracking(found),
        "cts": _cts(found),
        "dhcp_snooping_vlans": list(_vlans(found, "ip dhcp snooping vlan")),
        "management": _management(found),
        "ports": [asdict(each) for each in ports(found)],
        "wireless_profiles": _profiles(found),
    }


def _profiles(found: Sequence[Block]) -> list[dict[str, Any]]:
    """Return the policy profiles of a wireless controller: whether what ISE assigns is taken, where traffic is switched, and cells."""
    return [
        {
            "name": block.head.split()[3],
            "enabled": block.has("no shutdown"),
            "aaa_override": block.has("aaa-override"),
            "nac": block.has("nac"),
            "central_switching": not block.has("no central switching"),
            "cts": block.has("cts role-based enforcement"),
        }
        for block in found
        if block.head.startswith("wireless profile policy ") and len(block.head.split()) == 4
    ]


def _heads(found: Iterable[Block], prefix: str) -> list[str]:
    return [block.head for block in found if block.head == prefix or block.head.startswith(prefix + " ")]


def _after(heads: Iterable[str], prefix: str) -> list[list[str]]:
    return [head[len(prefix) :].split() for head in heads]


def _aaa(found: Sequence[Block]) -> dict[str, Any]:
    dynamic = next((block for block in found if block.head == "aaa server radius dynamic-author"), None)
    clients = [line.split()[1] for line in dynamic.starts("client") if len(line.split()) > 1] if dynamic else []
    servers = {}
    for block in found:
        words = block.head.split()
        if block.head.startswith("radius server ") and len(words) == 3:
            addresses = [line.split()[2] for line in block.lines if re.match(r"address ipv[46] \S+", line)]
            servers[words[2]] = {
                "address": _address(addresses[0]) if addresses else "",
                "tested": bool(block.starts("automate-tester")),
            }
        elif block.head.startswith("radius-server host ") and len(words) > 2:
            servers[words[2]] = {"address": _address(words[2]), "tested": " test username " in block.head}
    return {
        "new_model": bool(_heads(found, "aaa new-model")),
        "authentication": _methods(found, "aaa authentication dot1x default"),
        "authorization": _methods(found, "aaa authorization network default"),
        "named_authentication": len(_heads(found, "aaa authentication dot1x")),
        "named_authorization": len(_heads(found, "aaa authorization network")),
        "accounting": _methods(found, "aaa accounting dot1x default")
        + _methods(found, "aaa accounting identity default"),
        "coa_clients": sorted({_address(each) for each in clients} - {""}),
        "radius_servers": servers,
        "dead_criteria": bool(_heads(found, "radius-server dead-criteria")),
        "deadtime": any(block.head.startswith("radius-server deadtime ") for block in found),
        "system_auth_control": bool(_heads(found, "dot1x system-auth-control")),
        "critical_eapol": bool(_heads(found, "dot1x critical eapol")),
    }


def _methods(found: Sequence[Block], prefix: str) -> list[str]:
    """Return the methods of an AAA list in order, ``group radius`` as ``radius``; those of the newer form stand below their line."""
    words: list[str] = []
    for block in found:
        if block.head == prefix or block.head.startswith(prefix + " "):
            words += [word for word in block.head[len(prefix) :].split() if word != "group"]
            words += [word for line in block.lines for word in line.split() if word not in ("group", "action-type")]
    return [word for word in words if _WORD.match(word)]


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def _tracking(found: Sequence[Block]) -> dict[str, Any]:
    policies = {
        block.head.split()[2]: {
            "tracking": any(line.startswith("tracking enable") for line in block.lines),
            "trusted": block.has("trusted-port"),
        }
        for block in found
        if block.head.startswith("device-tracking policy ") and len(block.head.split()) == 3
    }
    vlans: dict[str, str] = {}
    for block in found:
        if block.head.startswith("vlan configuration "):
            for number in _numbers(block.head.split(maxsplit=2)[2]):
                for line in block.lines:
                    if line == "device-tracking" or line.startswith("device-tracking attach-policy "):
                        vlans[str(number)] = line.partition("attach-policy ")[2].split(" ")[0] or "default"
    return {
        "legacy": bool([head for head in _heads(found, "ip device tracking") if "probe" not in head]),
        "probing": bool(_heads(found, "device-tracking tracking")),
        "policies": policies,
        "vlans": vlans,
    }


def _cts(found: Sequence[Block]) -> dict[str, Any]:
    defaults = _after(_heads(found, "cts role-based permissions default"), "cts role-based permissions default")
    own = _after(_heads(found, "cts sgt"), "cts sgt")
    return {
        "enforcement": any(block.head == "cts role-based enforcement" for block in found),
        "vlans": list(_vlans(found, "cts role-based enforcement vlan-list")),
        "default_lists": [word for words in defaults for word in words if word not in ("ipv4", "ipv6")],
        "local_cells": len(_heads(found, "cts role-based permissions from")),
        "authorization_list": next(
            (head.split()[3] for head in _heads(found, "cts authorization list") if len(head.split()) > 3), ""
        ),
        "own_tag": int(own[0][0]) if own and own[0] and own[0][0].isdigit() else None,
        "all_cells_monitored": bool(_heads(found, "cts role-based monitor all")),
    }


def _vlans(found: Iterable[Block], prefix: str) -> tuple[int, ...]:
    numbers: set[int] = set()
    for block in found:
        if block.head.startswith(prefix + " "):
            numbers |= set(_numbers(block.head[len(prefix) + 1 :]))
    return tuple(sorted(numbers))


def _numbers(text: str) -> tuple[int, ...]:
    if text.strip() == "all":
        return tuple(range(1, 4095))
    try:
        return vlan_numbers(text)
    except ValueError:
        return ()


def _management(found: Sequence[Block]) -> dict[str, Any]:
    lines = [block for block in found if block.head.startswith("line vty ")]
    classes = {line.split()[1] for block in lines for line in block.starts("access-class") if len(line.split()) > 1}
    return {
        "access_classes": sorted(classes),
        "archive": any(block.head == "archive" and block.starts("path") for block in found),
        "secure_copy": bool(_heads(found, "ip scp server enable")),
        "ntp_servers": sorted({head.split()[2] for head in _heads(found, "ntp server") if len(head.split()) > 2}),
    }


def ports(found: Sequence[Block]) -> list[Port]:
    """Return every physical port, with what its templates say."""
    templates = {block.head.split()[1]: block for block in found if block.head.startswith("template ")}
    service = {block.head.split()[1]: block for block in found if block.head.startswith("service-template ")}
    critical = subscriber_policies(found, service)
    made = []
    for name, block in interfaces(list(found)).items():
        if PHYSICAL.match(name):
            used = [line.split()[2] for line in block.starts("source template") if len(line.split()) > 2]
            lines = [*block.lines, *(line for each in used if each in templates for line in templates[each].lines)]
            made.append(_port(name, lines, used, critical))
    return made


def _port(name: str, lines: Sequence[str], templates: Sequence[str], policies: Mapping[str, Critical]) -> Port:
    def value(prefix: str, default: str = "") -> str:
        return next((line[len(prefix) :].strip() for line in lines if line.startswith(prefix + " ")), default)

    control, style = value("authentication port-control"), "legacy"
    if not control:
        control, style = value("access-session port-control"), "ibns2"
    policy = value("service-policy type control subscriber")
    mode = value("switchport mode", "dynamic")
    if "no switchport" in lines or value("ip address"):
        mode = "routed"
    # A port whose control is not auto lets everybody in (force-authorized) or nobody.
    style = style if control == "auto" else ""
    tracking = value("device-tracking attach-policy") or ("default" if "device-tracking" in lines else "")
    lists = [line.split() for line in lines if re.match(r"ip access-group \S+ in\Z", line)]
    lists6 = [line.split() for line in lines if re.match(r"ipv6 traffic-filter \S+ in\Z", line)]
    cts = True if "cts role-based enforcement" in lines else False if "no cts role-based enforcement" in lines else None
    return Port(
        name,
        "shutdown" not in lines,
        mode,
        _number(value("switchport access vlan"), 1),
        _number(value("switchport voice vlan"), 0),
        lists[0][2] if lists else "",
        lists6[0][2] if lists6 else "",
        style,
        control,
        _open(lines, style),
        value("authentication host-mode") or value("access-session host-mode"),
        tuple(word for word, line in (("dot1x", "dot1x pae authenticator"), ("mab", "mab")) if _says(lines, line)),
        "authentication periodic" in lines,
        value("authentication control-direction") or value("access-session control-direction"),
        policy,
        tuple(templates),
        tracking,
        cts,
        "cts manual" in lines,
        policies.get(policy, Critical()) if style == "ibns2" else _legacy_critical(lines),
    )


def _open(lines: Sequence[str], style: str) -> bool:
    return (
        "authentication open" in lines
        if style == "legacy"
        else style == "ibns2" and "access-session closed" not in lines
    )


def _says(lines: Sequence[str], words: str) -> bool:
    return any(line == words or line.startswith(words + " ") for line in lines)


def _number(text: str, default: int) -> int:
    return int(text) if text.isdigit() and 1 <= int(text) <= 4094 else default


def _legacy_critical(lines: Sequence[str]) -> Critical:
    voice = "authentication event server dead action authorize voice" in lines
    for line in lines:
        found = _DEAD_VLAN.match(line)
        if found:
            return Critical(found[1], int(found[2] or 0), voice)
    return Critical(voice=voice)


def subscriber_policies(found: Sequence[Block], templates: Mapping[str, Block]) -> dict[str, Critical]:
    """Return what each subscriber policy does when no server answers: the actions of its classes that match ``aaa-timeout``.

    ``authorize`` and ``activate service-template`` in a class for hosts that are not authorized make it critical; ``pause
    reauthentication`` in one for hosts that are leaves them alone.
    """
    down: dict[str, bool] = {}  # class name -> whether it is for authorized hosts
    for block in found:
        if block.head.startswith("class-map type control subscriber ") and _says(
            block.lines, "match result-type aaa-timeout"
        ):
            down[block.head.split()[-1]] = _says(block.lines, "match authorization-status authorized")
    made = {}
    for block in found:
        if block.head.startswith("policy-map type control subscriber "):
            made[block.head.split()[-1]] = _policy(block, down, templates)
    return made


def _policy(block: Block, down: Mapping[str, bool], templates: Mapping[str, Block]) -> Critical:
    action, pause, used = "", False, []
    inside: str | None = None
    for line in block.lines:
        head = re.match(r"\d+ class (\S+)", line)
        if line.startswith("event "):
            inside = None
        elif head:
            inside = head[1] if head[1] in down else None
        elif inside is not None:
            step = re.sub(r"\A\d+ ", "", line)
            if down[inside]:
                pause = pause or step == "pause reauthentication"
            elif step == "authorize":
                action = "authorize"
            elif step.startswith("activate service-template "):
                action = "authorize"
                used.append(step.split()[2])
    lines = [line for name in used if name in templates for line in templates[name].lines]
    vlans = [_number(line.split()[1], 0) for line in lines if line.startswith("vlan ") and len(line.split()) > 1]
    lists = [line.split()[1] for line in lines if line.startswith("access-group ") and len(line.split()) > 1]
    voice = any(line == "voice vlan" for line in lines)
    return Critical(action, vlans[0] if vlans else 0, voice, tuple(used), lists[0] if lists else "", pause)
