# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SW23xx: rules."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import chain

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.codes import UNSAFE_NAME
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.names import ACL_NAME, name_finding
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.build import is_date
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import permissions
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import ANY, Rule, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.outline import outlines_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ranges import is_wide, ranges_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.ruling import Context, rule

SOON = timedelta(days=14)


@rule(UNSAFE_NAME, alone=True)
def names_of_rules(site: Site, _context: Context) -> Iterator[Finding]:
    """A rule's id is legal in remarks and labels of every platform."""
    for item in permissions(site):
        finding = name_finding(item.id, ACL_NAME, "rule", item.location)
        if finding:
            yield finding


@rule(codes.DUPLICATE_RULE)
def rule_ids_are_unique(site: Site, _context: Context) -> Iterator[Finding]:
    """A rule's id stands once in the whole site."""
    ids = [*chain.from_iterable(outline.ids for outline in outlines_of(site)), *(item.id for item in site.exceptions)]
    if len(set(ids)) == len(ids):
        return
    seen: dict[str, Rule] = {}
    for item in permissions(site):
        first = seen.setdefault(item.id, item)
        if first is not item:
            yield codes.DUPLICATE_RULE.at(f"rule {item.id} stands in {first.location} as well", item.location)


@rule(codes.UNKNOWN_TARGET, alone=True)
def targets_are_defined(site: Site, _context: Context) -> Iterator[Finding]:
    """A rule leads to a segment, a network set or any."""
    for item in permissions(site):
        if item.to != ANY and item.to not in site.segments and item.to not in site.networks:
            text = f"rule {item.id}: {item.to} is no segment and no network set"
            yield codes.UNKNOWN_TARGET.at(text, item.location)


@rule(codes.UNKNOWN_SERVICE, alone=True)
def services_are_defined(site: Site, _context: Context) -> Iterator[Finding]:
    """A rule names services of services.yml."""
    for item in permissions(site):
        for name in item.services:
            if name not in site.services and name != ANY:
                yield codes.UNKNOWN_SERVICE.at(f"rule {item.id}: service {name} is not defined", item.location)


@rule(codes.EMPTY_SERVICES, alone=True)
def rules_have_services(site: Site, _context: Context) -> Iterator[Finding]:
    """A rule names at least one service."""
    for item in site.rules():
        if not item.services:
            yield codes.EMPTY_SERVICES.at(f"rule {item.id} has no services", item.location)


@rule(codes.EXPIRED, codes.EXPIRES_SOON, codes.BAD_DATE, alone=True)
def rules_have_not_expired(site: Site, context: Context) -> Iterator[Finding]:
    """A rule with an expiry holds through that day and is in no list after it; where a workflow needs it, the proofs refuse that."""
    for item in site.rules():
        if not item.expires:
            continue
        if not is_date(item.expires):
            yield codes.BAD_DATE.at(f"rule {item.id}: {item.expires!a} is no day", item.location)
            continue
        last = date.fromisoformat(item.expires)
        if last < context.today:
            segment = site.segments.get(item.client) or site.networks.get(item.client)
            owner = item.owner or (segment.owner if segment else "")
            ticket = f", ticket {item.ticket}" if item.ticket else ""
            text = f"rule {item.id} of {owner}{ticket} expired on {item.expires}: no list has it any more"
            yield codes.EXPIRED.at(text, item.location)
        elif last - context.today <= SOON:
            yield codes.EXPIRES_SOON.at(f"rule {item.id} expires on {item.expires}", item.location)


@rule(codes.INCOMPLETE_EXCEPTION, alone=True)
def exceptions_are_complete(site: Site, _context: Context) -> Iterator[Finding]:
    """An exception has an expiry and a ticket."""
    for item in site.rules():
        if item.origin == "exception":
            absent = [key for key, value in (("expires", item.expires), ("ticket", item.ticket)) if not value]
            if absent:
                yield codes.INCOMPLETE_EXCEPTION.at(f"rule {item.id} lacks {' and '.join(absent)}", item.location)


@rule(codes.TOO_WIDE, codes.WIDE, alone=True)
def rules_are_narrow(site: Site, _context: Context) -> Iterator[Finding]:
    """A rule names what is needed: any service to any address, or any service by learning, is forbidden.

    Either of them alone is remarked.
    """
    for item in permissions(site):
        if ANY in item.services:
            yield codes.TOO_WIDE.at(f"rule {item.id} permits any service", item.location)
            continue
        wide = [name for name in item.services if name in site.services and is_wide(site.services[name])]
        everywhere = item.to == ANY or _is_everything(site, item.to)
        if wide and everywhere:
            yield codes.TOO_WIDE.at(f"rule {item.id} permits {wide[0]} to any address", item.location)
        elif wide and item.origin == "learned":
            text = f"rule {item.id}: nobody saw more than 60000 ports, as service {wide[0]} has; name the ports that were seen"
            yield codes.TOO_WIDE.at(text, item.location)
        elif wide:
            yield codes.WIDE.at(f"rule {item.id}: service {wide[0]} holds more than 60000 ports", item.location)
        elif everywhere:
            yield codes.WIDE.at(f"rule {item.id} leads to any address", item.location)


def _is_everything(site: Site, name: str) -> bool:
    network = site.networks.get(name)
    if network is None:
        return False
    return any(high - low + 1 >= 2 ** (31 if family == 4 else 125) for family, low, high in ranges_of(network.prefixes))


@rule(codes.REPEATED_PERMISSION, alone=True)
def permissions_stand_once(site: Site, _context: Context) -> Iterator[Finding]:
    """Two rules of a segment do not permit the same service to the same end."""
    for segment in site.segments.values():
        seen: dict[tuple[str, str], str] = {}
        for item in segment.allow:
            for service in item.services:
                first = seen.setdefault((item.to, service), item.id)
                if first != item.id:
                    text = f"rule {item.id}: {service} to {item.to} is permitted by {first} as well"
                    yield codes.REPEATED_PERMISSION.at(text, item.location)
