# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile a large site and prove every rendered list; then change one segment. Times are CPU seconds.

The site: segments of sixteen devices with a reserved /28 each, sixteen segments to a subnet behind one firewall, every segment with a
DACL, ninety of them in a matrix (its 8,100 cells are what one ASIC holds). Rules lead to a hundred server segments, to other segments and to
network sets. The peer, Aerleon, renders 10,000 of the same rules as one Cisco list where the Python of SEGWRIGHT_AERLEON has it; it proves
nothing about them.
"""

from __future__ import annotations

import ipaddress
import os
import random
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.index import SiteIndex
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    Assignment,
    EnforcementPoint,
    Member,
    NetworkSet,
    Rule,
    Segment,
    Service,
    ServiceMatch,
    Site,
    Zone,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.equivalence import prove_rendering
from tests.bench import at_most

SEED = 5
DEVICES = 16
SERVERS = 100
MATRIX = 90


def bench_site(segments: int, rules: int) -> Site:
    """Return a site of so many segments and rules; the same every time."""
    choose = random.Random(SEED)
    names = [f"segment_{n:04d}" for n in range(segments)]
    servers = names[: max(2, min(SERVERS, segments // 10))]
    blocks = list(ipaddress.ip_network("10.0.0.0/9").subnets(new_prefix=28))[:segments]
    subnets = sorted({block.supernet(new_prefix=24) for block in blocks})
    services = {f"tcp_{n}": Service(f"tcp_{n}", (ServiceMatch(6, ((1000 + 7 * n, 1000 + 7 * n),)),)) for n in range(30)}
    services |= {f"udp_{n}": Service(f"udp_{n}", (ServiceMatch(17, ((3000 + 9 * n, 3000 + 9 * n + n % 3),)),)) for n in range(10)}
    sets = {
        f"set_{n:02d}": NetworkSet(f"set_{n:02d}", tuple(f"172.16.{n}.{16 * k}/28" for k in range(1 + n % 3))) for n in range(50)
    }
    members = {
        name: tuple(Member(f"02:00:00:{n >> 8:02x}:{n & 255:02x}:{i:02x}", (str(block[i]),)) for i in range(DEVICES))
        for n, (name, block) in enumerate(zip(names, blocks, strict=True))
    }
    kinds = sorted(services)
    made, assignments = {}, {}
    for number, name in enumerate(names):
        allow = []
        for k in range(rules // segments):
            draw = choose.random()
            to = choose.choice(servers if draw < 0.6 else names if draw < 0.85 else sorted(sets))
            allow.append(Rule(f"{name}-{k}", name, to, (choose.choice(kinds),), "x", "manual"))
        made[name] = Segment(name, f"zone_{number // 16:03d}", 2 + number, "owner", "high", allow=tuple(allow))
        points = ("fw1", "ise-dacl") + (("ise-matrix",) if number < MATRIX else ())
        assignments[name] = Assignment(name, "enforce", points)
    return Site(
        "bench", "UTC", {f"zone_{n:03d}": Zone(f"zone_{n:03d}", (str(s),), 2, "owner") for n, s in enumerate(subnets)}, (),
        services, sets, made, (), (), (),
        points={
            "fw1": EnforcementPoint("fw1", "firewall", "nftables", "fw1", {}),
            "ise-dacl": EnforcementPoint("ise-dacl", "dacl", "ise", "ise1", {}),
            "ise-matrix": EnforcementPoint("ise-matrix", "sgacl", "ise", "ise1", {"tags": "inline"}),
        },
        assignments=assignments, members=members,
    )  # fmt: skip


def cpu_seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of a piece of work and its result."""
    begun = time.process_time()
    result = work()
    return round(time.process_time() - begun, 2), result


def run(full: bool) -> dict[str, Any]:
    """Compile and prove, quick: 200 segments and 10,000 rules; full: 2,000 and 100,000."""
    segments, rules = (2000, 100_000) if full else (200, 10_000)
    site = bench_site(segments, rules)
    compile_seconds, compiled = cpu_seconds(lambda: compile_site(site))
    prove_seconds, (results, findings) = cpu_seconds(lambda: prove_rendering(compiled.lists))
    assert not findings and all(item.equal for item in results), "a list was not proved"
    return {
        "segments": segments, "rules": rules, "lists": len(compiled.lists),
        "lines": sum(len(rendered(item).splitlines()) for item in compiled.lists),
        "compile": compile_seconds, "prove": prove_seconds,
        "memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
