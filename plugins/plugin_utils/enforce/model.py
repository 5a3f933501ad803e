# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each enforcement point must hold, and what that means for a target's objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace


@dataclass(frozen=True)
class Origin:
    """Why a line stands in a list. ``role``: rule, reply, bootstrap, management, icmp, default."""

    role: str
    rule: str = ""
    location: Location = Location()


@dataclass(frozen=True)
class PointList:
    """One list at one enforcement point.

    ``name`` is the name of the list on its platform. ``segment`` is the filtered segment (DACL, port ACL), or the
    source of a cell, ``peer`` the destination of a cell. ``aces`` always end in an explicit decision. Each ACE's
    ``label`` is a key of ``origins``. ``interfaces`` are where a port or router ACL is attached, ``direction`` (``in``, ``out``) for which
    packets. ``family``: 4 or 6, 0 for a firewall's list, which holds both. ``stateful`` points judge the first packet of a connection;
    their replies need no line. ``cell``: the name of the matrix cell that carries it, empty for other lists.
    """

    point: str
    kind: str
    platform: str
    host: str
    name: str
    stage: str
    aces: tuple[Ace, ...]
    default_permit: bool
    stateful: bool
    segment: str = ""
    peer: str = ""
    interfaces: tuple[str, ...] = ()
    origins: Mapping[str, Origin] = field(default_factory=dict, hash=False)
    family: int = 4
    direction: str = "in"
    cell: str = ""

    def __getattr__(self, name: str) -> Any:
        """Make the lines of a list that ``enforce.cache`` left out; called only for what is absent."""
        make = self.__dict__.get("_make")
        if name not in ("aces", "origins") or make is None:
            raise AttributeError(name)
        made = make()
        self.__dict__.update(aces=made.aces, origins=made.origins)
        return self.__dict__[name]


@dataclass(frozen=True)
class DesiredObject:
    """An object that a target must hold, as plain JSON values.

    Kinds and bodies by platform:

    ise
        ``sgt`` {value, description}; ``sgacl`` {ip_version, content, description};
        ``downloadable_acl`` {dacl_type, content, description};
        ``authorization_profile`` {dacl_name, description}, and ``ipv6_dacl_name`` where the segment has an IPv6 list;
        ``egress_matrix_cell`` {source, destination, status, sgacls, default_rule, description} named SOURCE-DESTINATION;
        ``endpoint_group`` {parent, description}; ``endpoint`` {group, description} named by MAC: a static assignment;
        ``authorization_rule`` {policy_set, state, condition, profiles, security_group, description}, and ``before`` where it has a
        place, named RULE@POLICY_SET; ``ip_sgt_mapping`` {host, sgt, deploy_type, deploy_to, description}; ``anc_policy`` {actions,
        description}
    ios
        ``access_list`` {content} (the block ``ip access-list extended NAME`` with numbered entries);
        ``attachment`` {interface, direction, access_list} named INTERFACE-DIRECTION;
        ``ipv6_access_list`` and ``ipv6_attachment`` (``ipv6 traffic-filter``), the same for IPv6
    nxos
        ``nxos_access_list`` {content}; ``nxos_attachment`` {interface, direction, access_list, command} named
        INTERFACE-DIRECTION-FAMILY, where command is ``ip port access-group``, ``ip access-group`` or ``ipv6 traffic-filter``
    asa
        ``asa_access_list`` {content}; ``asa_attachment`` {access_list} named global
    nftables
        ``ruleset`` {table, content}

    ``meaning`` of an object with content is compared by the packet engine, never by text.
    """

    kind: str
    name: str
    body: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True)
class DesiredTarget:
    """Everything one device or service must hold."""

    host: str
    platform: str
    objects: tuple[DesiredObject, ...]


@dataclass(frozen=True)
class Compiled:
    """The compiled policy: lists, desired objects, what the compiler has to say, and measured switches held against the lists
    (``enforce.measured.Capacity``)."""

    lists: tuple[PointList, ...]
    targets: tuple[DesiredTarget, ...]
    findings: tuple[Finding, ...] = ()
    capacity: tuple[Any, ...] = ()
