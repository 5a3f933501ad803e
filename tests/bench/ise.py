# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure ISE as a target over HTTPS with 30 ms latency: creating, planning with nothing to change, large snapshots.

The same emulated ISE serves the peer, the official cisco.ise modules; a full run builds their environment (tests/peers), a quick one
uses it where it was built. Where it cannot be had their way is walked through: for each object a new client of the SDK and two walks
through the list of all.
"""

from __future__ import annotations

import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import progress
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.apply import apply_plan
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.journal import Journal
from ansible_collections.segwright.microseg.plugins.plugin_utils.change.plan import build_plan, snapshot_all
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import DesiredObject, DesiredTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise import IseTarget
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient
from tests.bench import at_least, at_most
from tests.lab.ise.client import ControlClient
from tests.peers.cisco_ise import VERSION, Peer, Unavailable, build, creation_cost, default_directory, found

HOST, PORT = "127.10.185.10", 9060
LATENCY = 0.03
RATE = 100.0
MARK = "segwright:bench"
COMMIT = "c" * 40
# The emulated ISE in a process of its own, so that its CPU and memory are not counted as ours.
SERVER = """
import json, sys
from tests.lab.ise.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def emulated(seed: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Yield base_url, control_url and ca_file of an emulated ISE with the seed."""
    import json

    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "seed.json"
        file.write_text(json.dumps(seed), encoding="utf-8")
        command = [
            sys.executable, "-c", SERVER, "--listen", f"{HOST}:{PORT}", "--seed", str(file), "--certificates", directory,
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            process.wait(timeout=20)


def client_of(about: dict[str, str], **more: Any) -> IseClient:
    return IseClient(
        about["base_url"], "ersadmin", "Lab-Admin-1", ca_file=about["ca_file"], version="3.5", rate=RATE, **more
    )


def dacl(number: int) -> DesiredObject:
    text = f"permit tcp any host 10.1.{number // 250}.{number % 250} eq 443\ndeny ip any any"
    return DesiredObject(
        "downloadable_acl", f"SW_{number}", {"dacl_type": "IPV4", "content": text, "description": MARK}
    )


# -- creating


def creating(number: int, peers: int, peer: Peer | None) -> dict[str, Any]:
    """Create by plan and journal; then a smaller number, and as many the official way."""
    with emulated({"settings": {"latency": LATENCY}}) as about:
        control = ControlClient(about["control_url"], timeout=120)
        ours = created_by_plan(about, control, number)
    with emulated({"settings": {"latency": LATENCY}}) as about:
        control = ControlClient(about["control_url"], timeout=120)
        small = created_by_plan(about, control, peers)
    with emulated({"settings": {"latency": LATENCY}}) as about:
        control = ControlClient(about["control_url"], timeout=120)
        theirs = official_way(about, control, peers, peer)
    return {"ours": ours, "ours_small": small, "peer": theirs}


def created_by_plan(about: dict[str, str], control: ControlClient, number: int) -> dict[str, Any]:
    desired = [DesiredTarget("ise1", "ise", tuple(dacl(n) for n in range(number)))]
    target = IseTarget("ise1", client_of(about))
    with tempfile.TemporaryDirectory() as directory:
        plan = build_plan({"ise1": target}, desired, snapshot_all({"ise1": target}, desired), policy_commit=COMMIT)
        moments: list[float] = []
        sent: list[int] = []

        def note(_number: int, _all: int, _target: str, _step: Any, state: str) -> None:
            moments.append(time.monotonic())
            sent.append(target.client.requests)

        settled = target.settle
        read_back: list[float] = []

        def settle(operations: Any) -> Any:
            begun = time.monotonic()
            found = settled(operations)
            read_back.append(time.monotonic() - begun)
            return found

        target.settle = settle  # type: ignore[method-assign]
        control.reset_counters()
        start, cpu, before = time.monotonic(), time.process_time(), target.client.requests
        outcome = apply_plan(
            plan,
            {"ise1": target},
            desired,
            Journal(Path(directory) / "journal"),
            policy_commit=COMMIT,
            progress=note,
        )
        seconds, cpu, requests = time.monotonic() - start, time.process_time() - cpu, target.client.requests - before
    assert outcome.ok, outcome.findings
    counts = control.counters()
    writing = moments[-1] - moments[0]
    target.close()
    return {
        "objects": number, "seconds": seconds, "cpu_seconds": cpu, "requests": requests, "writes": counts["writes"],
        "writing_seconds": writing, "writing_requests_per_second": (sent[-1] - sent[0]) / writing,
        "objects_per_second": number / writing, "read_back_seconds": sum(read_back),
        "objects_per_second_read_back": number / (writing + sum(read_back)), "objects_per_second_of_all": number / seconds,
        "most_in_flight": counts["max_in_flight"],
        "refused_for_rate": counts["rate_limited"],
    }  # fmt: skip


def the_peer(full: bool) -> Peer | None:
    """The official modules, built where a full run does not find them; None, and said so, where the package index gives none."""
    try:
        return build() if full else found(default_directory())
    except Unavailable as reason:
        print(f"(no cisco.ise {VERSION}: {reason}) ", end="", flush=True)
        return None


def official_way(about: dict[str, str], control: ControlClient, number: int, peer: Peer | None) -> dict[str, Any]:
    """Run the official modules, unmodified, where they are at hand, else what they do for each object."""
    if peer is not None:
        host, _colon, port = about["base_url"].removeprefix("https://").partition(":")
        ise = SimpleNamespace(
            host=host, port=int(port), username="ersadmin", password="Lab-Admin-1", ca_file=about["ca_file"],
            control_url=about["control_url"],
        )  # fmt: skip
        cost = creation_cost(peer, ise, number)  # type: ignore[arg-type]
        assert cost["created"] == number
        return {
            "objects": number, "seconds": cost["seconds"], "requests": cost["requests"],
            "objects_per_second": number / cost["seconds"], "what": f"cisco.ise {VERSION}, one loop, start of Ansible not counted",
        }  # fmt: skip
    import ciscoisesdk

    control.reset_counters()
    start, cpu = time.monotonic(), time.process_time()
    for n in range(number):
        api = ciscoisesdk.IdentityServicesEngineAPI(
            username="ersadmin", password="Lab-Admin-1", base_url=about["base_url"], uses_api_gateway=True,
            verify=about["ca_file"], version="3.3_patch_1", wait_on_rate_limit=True,
        )  # fmt: skip
        family = api.downloadable_acl
        for _walk in range(2):
            for page in family.get_downloadable_acl_generator():
                if any(item.name == f"P_{n}" for item in page.response.SearchResult.resources):
                    break
            if _walk == 0:
                family.create_downloadable_acl(
                    name=f"P_{n}", dacl=dacl(n).body["content"], dacl_type="IPV4", description="x"
                )
    seconds, cpu = time.monotonic() - start, time.process_time() - cpu
    return {
        "objects": number, "seconds": seconds, "cpu_seconds": cpu, "requests": control.counters()["total"],
        "objects_per_second": number / seconds, "what": "their way, walked through with the SDK in one process",
    }  # fmt: skip


# -- planning with nothing to change


def site(dacls: int, sgacls: int, cells: int, groups: int = 0) -> tuple[dict[str, Any], tuple[DesiredObject, ...]]:
    """Return the seed of an ISE and the objects of ours that it holds; ``groups``: as few as the cells need where not given."""
    side = groups or math.isqrt(cells - 1) + 1
    sgts = [f"SW_g{n}" for n in range(side)]
    rules = ("NONE", "DENY_IP", "PERMIT_IP")
    pairs = [(n % side, (n // side + n) % side) for n in range(cells)]
    made = [dacl(n) for n in range(dacls)]
    made += [DesiredObject("sgt", name, {"value": 1000 + n, "description": MARK}) for n, name in enumerate(sgts)]
    made += [
        DesiredObject(
            "sgacl", f"SW_l{n}",
            {"ip_version": "IPV4", "content": f"permit tcp dst eq {n + 1}\ndeny ip", "description": MARK},
        )
        for n in range(sgacls)
    ]  # fmt: skip
    made += [
        DesiredObject(
            "egress_matrix_cell", f"{sgts[a]}-{sgts[b]}",
            {
                "source": sgts[a], "destination": sgts[b], "status": ("ENABLED", "MONITOR")[(a + b) % 2],
                "sgacls": [f"SW_l{(a * side + b) % sgacls}"] if sgacls else [], "default_rule": rules[a % 3],
                "description": MARK,
            },
        )
        for a, b in pairs
    ]  # fmt: skip
    bodies: dict[str, list[Any]] = {}
    for each in made:
        bodies.setdefault(each.kind, []).append({"name": each.name, **each.body})
    seed = {
        "settings": {"latency": LATENCY},
        "sgts": [{k: item[k] for k in ("name", "value", "description")} for item in bodies.get("sgt", ())],
        "sgacls": [{"name": i["name"], "content": i["content"], "description": MARK} for i in bodies.get("sgacl", ())],
        "dacls": [
            {"name": i["name"], "lines": i["content"].splitlines(), "description": MARK}
            for i in bodies.get("downloadable_acl", ())
        ],
        "cells": [
            {k: i[k] for k in ("source", "destination", "status", "sgacls", "default_rule", "description")}
            for i in bodies.get("egress_matrix_cell", ())
        ],
    }
    return seed, tuple(made)


def planning(dacls: int, sgacls: int, cells: int, version: str, groups: int = 0) -> dict[str, Any]:
    """Plan with nothing to change; the fewest requests are the pages of the lists and the contents that only objects have."""
    seed, objects = site(dacls, sgacls, cells, groups)
    seed["settings"]["version"] = version
    with emulated(seed) as about:
        control = ControlClient(about["control_url"], timeout=120)
        target = IseTarget("ise1", client_of(about))
        desired = [DesiredTarget("ise1", "ise", objects)]
        control.reset_counters()
        said: list[float] = []
        shown = progress.SHOW.set(lambda _text: said.append(time.monotonic()))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start, cpu = time.monotonic(), time.process_time()
        plan = build_plan({"ise1": target}, desired, snapshot_all({"ise1": target}, desired), policy_commit=COMMIT)
        seconds, cpu = time.monotonic() - start, time.process_time() - cpu
        counts = control.counters()
        progress.SHOW.reset(shown)
        target.close()
    side = groups or math.isqrt(cells - 1) + 1
    moments = [start, *said, start + seconds]

    def pages(count: int) -> int:
        return max(1, math.ceil(count / 100))

    lists = pages(side + 16) + pages(sgacls + 4) + pages(dacls + 4) + 1
    half = pages(cells // 2) * 2
    by_matrix = version != "3.3"
    least = lists + dacls + sgacls + side + (half + 1 + pages(cells + 1) if by_matrix else pages(cells + 1) + cells)
    return {
        "version": version, "groups": side, "progress_lines": len(said),
        "longest_silence_seconds": max(b - a for a, b in zip(moments, moments[1:], strict=False)),
        "dacls": dacls, "sgacls": sgacls, "cells": cells, "steps": len(plan.operations()),
        "requests": counts["total"], "fewest": least, "ratio": counts["total"] / least, "writes": counts["writes"],
        "seconds": seconds, "cpu_seconds": cpu,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "memory_before_mb": memory / 1024,
    }  # fmt: skip


def run(full: bool) -> dict[str, Any]:
    """Return the figures of ISE as a target, with the sizes of the issue where ``full``."""
    sizes = (500, 200, 1000) if full else (100, 40, 400)
    made = creating(1000 if full else 200, 300 if full else 20, the_peer(full))
    plans = [planning(*sizes, version) for version in ("3.3", "3.5")]
    # Theirs reads no text back, so creating is held against creating; with our reading back, and in all, stand beside it.
    theirs = made["peer"]["objects_per_second"]
    ratio = made["ours_small"]["objects_per_second"] / theirs
    made["times_the_official_way"] = {
        "creating": ratio, "with_every_object_read_back": made["ours_small"]["objects_per_second_read_back"] / theirs,
        "whole_apply_confirmed_anew": made["ours_small"]["objects_per_second_of_all"] / theirs,
    }  # fmt: skip
    rows = [
        at_least(
            "requests a second while creating, of the ceiling", made["ours"]["writing_requests_per_second"] / RATE, 0.9
        ),
        at_least("objects a second, times the official way", ratio, 100.0),
        *[
            at_most(f"requests of a plan without change, ISE {p['version']}, of the fewest", p["ratio"], 1.1)
            for p in plans
        ],
        *[at_most(f"writes of a plan without change, ISE {p['version']}", float(p["writes"]), 0.0) for p in plans],
    ]
    result: dict[str, Any] = {"creating": made, "planning": plans, "targets": rows}
    if full:
        # Sizes ascend, since the peak of memory is that of the process.
        result["large"] = [planning(n * 1000, 10, n * 5000, "3.5", n * 250) for n in (1, 2, 4)]
        result["large"].append(planning(10, 10, 100_000, "3.5", 1000))
    return result


if __name__ == "__main__":
    import json

    print(json.dumps(run("--full" in sys.argv), indent=1))
