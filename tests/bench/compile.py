# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile a large site and prove every rendered list; then change one segment. Times are CPU seconds.

The site: segments of sixteen devices with a reserved /28 each, sixteen segments to a subnet behind one firewall, every segment with a
DACL, ninety of them in a matrix (its 8,100 cells are what one ASIC holds). Rules lead to a hundred server segments, to other
segments and to network sets. The peer, Aerleon, renders 10,000 of the same rules as one Cisco list where the Python of
SEGWRIGHT_AERLEON has it (its lines count remarks); it proves nothing about them.
"""

from __future__ import annotations

import ipaddress
import itertools
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
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import ListCache
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.index import SiteIndex
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
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
    blocks = list(itertools.islice(ipaddress.ip_network("10.0.0.0/9").subnets(new_prefix=28), segments))
    subnets = sorted({block.supernet(new_prefix=24) for block in blocks})
    services = {f"tcp_{n}": Service(f"tcp_{n}", (ServiceMatch(6, ((1000 + 7 * n, 1000 + 7 * n),)),)) for n in range(30)}
    services |= {
        f"udp_{n}": Service(f"udp_{n}", (ServiceMatch(17, ((3000 + 9 * n, 3000 + 9 * n + n % 3),)),)) for n in range(10)
    }
    sets = {
        f"set_{n:02d}": NetworkSet(f"set_{n:02d}", tuple(f"172.16.{n}.{16 * k}/28" for k in range(1 + n % 3)))
        for n in range(50)
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


def one_change(site: Site) -> Site:
    """Return the site with one rule of one segment changed."""
    segment = site.segments[sorted(site.segments)[len(site.segments) // 2]]
    changed = (replace(segment.allow[0], services=("tcp_7", "udp_3")), *segment.allow[1:])
    return replace(site, segments={**site.segments, segment.name: replace(segment, allow=changed)})


def with_cache(site: Site, path: Path) -> float:
    """Return the CPU seconds of compiling and proving with what the cache file knows, reading and writing it included."""

    def work() -> None:
        cache = ListCache(path)
        compiled = compile_site(site, cache=cache)
        results, findings = prove_rendering(compiled.lists)
        assert not findings and all(item.equal for item in results), "a list was not proved"
        cache.save()

    return cpu_seconds(work)[0]


# Run by the Python of SEGWRIGHT_AERLEON: renders the policy in a folder and prints its CPU seconds.
AERLEON = """
import sys, time
from pathlib import Path
from aerleon import api
from aerleon.lib import naming
import yaml
base = Path(sys.argv[1])
begun = time.process_time()
definitions = naming.Naming(str(base / "def"))
made = api.Generate([yaml.safe_load((base / "policy.yaml").read_text())], definitions)
print(round(time.process_time() - begun, 2), sum(len(str(text).splitlines()) for text in made.values()))
"""


def aerleon(site: Site, count: int) -> dict[str, Any]:
    """Return what the peer needs for the first so many rules as one Cisco extended list, or why it was not run."""
    python = os.environ.get("SEGWRIGHT_AERLEON", "")
    if not python:
        return {"aerleon": "not run: SEGWRIGHT_AERLEON names no Python that has it"}
    index = SiteIndex(site)
    rules = index.rules[:count]
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        (base / "def").mkdir()
        (base / "def" / "all.yaml").write_text(_definitions(index))
        terms = "".join(
            f"      - name: t{n}\n        source-address: {_up(r.client)}\n        destination-address: {_up(r.to)}\n"
            f"        destination-port: {_up(r.services[0])}\n        protocol: {r.services[0][:3]}\n        action: accept\n"
            for n, r in enumerate(rules)
        )
        (base / "policy.yaml").write_text(
            "filename: bench\nfilters:\n  - header:\n      targets:\n        cisco: bench extended\n    terms:\n"
            + terms
        )
        done = subprocess.run([python, "-c", AERLEON, folder], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        seconds, lines = done.stdout.split()
    aces = [
        Ace(
            True, match.protocol, source=index.members(r.client, 4), destination=index.addresses(r.to, 4),
            destination_ports=match.server_ports,
        )
        for r in rules for match in index.matches(r.services, 4)
    ]  # fmt: skip
    ours, text = cpu_seconds(lambda: registry.render("ios", "bench", aces))
    return {
        "rules": len(rules), "aerleon_renders": float(seconds), "aerleon_lines": int(lines), "we_render": ours,
        "our_lines": len(text.splitlines()),
    }  # fmt: skip


def _up(name: str) -> str:
    return name.upper().replace("-", "_")


def _definitions(index: SiteIndex) -> str:
    lines = ["networks:"]
    for name in [*index.site.segments, *index.site.networks]:
        lines.append(f"  {_up(name)}:\n    values:")
        for low, high in (index.addresses(name, 4) or IntervalSet()).pairs:
            for net in ipaddress.summarize_address_range(ipaddress.IPv4Address(low), ipaddress.IPv4Address(high)):
                lines.append(f"      - address: {net}")
    lines.append("services:")
    for name, service in index.site.services.items():
        low, high = service.matches[0].ports[0]
        ports = str(low) if low == high else f"{low}-{high}"
        lines.append(f"  {_up(name)}:\n    - protocol: {name[:3]}\n      port: {ports}")
    return "\n".join(lines) + "\n"


def from_nothing(site: Site) -> dict[str, Any]:
    """Return what compiling and proving takes without a cache; the lists are gone afterwards."""
    compile_seconds, compiled = cpu_seconds(lambda: compile_site(site))
    prove_seconds, (results, findings) = cpu_seconds(lambda: prove_rendering(compiled.lists))
    assert not findings and all(item.equal for item in results), "a list was not proved"
    kinds = ("firewall", "dacl", "sgacl")
    return {
        "lists": {kind: sum(1 for item in compiled.lists if item.kind == kind) for kind in kinds},
        "lines": sum(len(rendered(item).splitlines()) for item in compiled.lists),
        "compile": compile_seconds,
        "prove": prove_seconds,
    }


def run(full: bool) -> dict[str, Any]:
    """Compile and prove, quick: 200 segments and 10,000 rules; full: 2,000 and 100,000."""
    segments, rules = (2000, 100_000) if full else (200, 10_000)
    site = bench_site(segments, rules)
    figures = from_nothing(site)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lists.json"
        first = with_cache(site, path)
        unchanged = with_cache(site, path)
        changed = with_cache(one_change(site), path)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "segments": segments, "rules": rules, **figures,
        "with_cache": {"empty": first, "nothing_changed": unchanged, "one_segment_changed": changed},
        "peer": aerleon(site, 10_000), "memory_mib": round(memory),
        "targets": [
            at_most("compile and prove, CPU s (for 100,000 rules)", round(figures["compile"] + figures["prove"], 2), 60),
            at_most("one changed segment, CPU s", changed, 3),
            at_most("memory, MiB", round(memory), 2048),
        ],
    }  # fmt: skip
