"""Measure the reading of device text: a running configuration with one access list of 59,901 entries (10,000 by default).

One function a platform, each with its own random text. CPU seconds of this process, the lower of two runs, since other
processes share the machine. Peer: ntc-templates where it is installed, on ``show ip access-lists`` of the same entries.
"""

from __future__ import annotations

import importlib
import random
import time
from collections.abc import Callable
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from tests.bench import at_most

FULL, QUICK = 59_901, 10_000
IOS_BUDGET_S = 1.5  # for 59,901 lines


def cpu_seconds(work: Callable[[], Any], repeat: int = 2) -> tuple[float, Any]:
    """Return the least CPU seconds of some runs and the last result."""
    best, result = float("inf"), None
    for _ in range(repeat):
        start = time.process_time()
        result = work()
        best = min(best, time.process_time() - start)
    return round(best, 3), result


def ios_entries(count: int, seed: int = 1) -> list[str]:
    """Return random entries as IOS prints them: hosts, wildcards, all port forms, messages and flags."""
    choice = random.Random(seed)

    def address() -> str:
        network = f"10.{choice.randrange(64)}.{choice.randrange(256)}"
        return choice.choice(["any", f"host {network}.{choice.randrange(256)}", f"{network}.0 0.0.0.255"])

    rows = []
    for _ in range(count):
        protocol = choice.choice(["tcp", "udp", "ip", "icmp"])
        tail = ""
        if protocol in ("tcp", "udp"):
            low = choice.randrange(1, 65000)
            tail = choice.choice(
                [f" eq {low}", f" range {low} {low + 500}", " eq 443 8443", f" gt {low}", " eq domain"]
            )
        if protocol == "tcp" and choice.random() < 0.2:
            tail += " established"
        if protocol == "icmp":
            tail = choice.choice(["", " echo", " unreachable", " 3 4"])
        rows.append(f"{choice.choice(['permit', 'deny  '])} {protocol} {address()} {address()}{tail}")
    return rows


def ios(count: int) -> dict[str, Any]:
    """Return seconds for reading a running configuration of IOS-XE, and for reading what was written again."""
    rows = [f" {10 * place} {row}" for place, row in enumerate(ios_entries(count), 1)]
    text = "\n".join(["Building configuration...", "!", "ip access-list extended BIG", *rows, "!", "end", ""])
    seconds, found = cpu_seconds(lambda: registry.parse("ios", text))
    assert [(len(item.aces), item.opaque) for item in found] == [(count, ())]
    written, again = cpu_seconds(lambda: registry.render("ios", "BIG", found[0].aces, end="", port_lists=True), 1)
    assert [ace.meaning() for ace in registry.parse("ios", again)[0].aces] == [ace.meaning() for ace in found[0].aces]
    result = {"lines": count, "parse_cpu_s": seconds, "render_cpu_s": written, "budget_s": IOS_BUDGET_S}
    return result | _peer(ios_entries(min(count, 2_000)))


def _peer(rows: list[str]) -> dict[str, Any]:
    """Return the peer's CPU seconds for the same entries in ``show ip access-lists`` form, beside ours; nothing where absent."""
    try:
        parse_output = importlib.import_module("ntc_templates.parse").parse_output  # netmiko brings it along
    except ImportError:
        return {"peer": "ntc-templates is not installed"}
    # Without what the template raises on though it is legal (facts/devices.md section 2.3; established after a range).
    plain = [row for row in rows if " 3 4" not in row and "established" not in row]
    body = "\n".join(f"    {10 * place} {row}" for place, row in enumerate(plain, 1))
    text = f"Extended IP access list BIG\n{body}\n"
    ours, found = cpu_seconds(lambda: registry.parse("ios", text))
    theirs, peer = cpu_seconds(lambda: parse_output("cisco_ios", "show ip access-lists", text), 1)
    return {
        "peer": "ntc-templates", "peer_lines": len(plain), "peer_cpu_s": theirs, "ours_on_the_same_cpu_s": ours,
        "peer_rows": len(peer) - 1, "ours_rows": len(found[0].aces), "ratio": round(theirs / max(ours, 1e-9), 1),
    }  # fmt: skip


def _device_entries(count: int, asa: bool, seed: int = 2) -> list[str]:
    """Return random entries as NX-OS or ASA prints them, one port operand each."""
    choice = random.Random(seed)

    def address() -> str:
        network = f"10.{choice.randrange(64)}.{choice.randrange(256)}"
        last = choice.randrange(256)
        if asa:
            return choice.choice(["any", f"host {network}.{last}", f"{network}.0 255.255.255.0"])
        return choice.choice(["any", f"{network}.{last}/32", f"{network}.0/24", f"{network}.0 0.0.0.255"])

    rows = []
    for _ in range(count):
        protocol = choice.choice(["tcp", "udp", "ip", "icmp"])
        tail = ""
        if protocol in ("tcp", "udp"):
            low = choice.randrange(1, 65000)
            tail = choice.choice([f" eq {low}", f" range {low} {low + 500}", f" gt {low}", " eq domain"])
        if protocol == "icmp":
            tail = choice.choice(["", " echo", " unreachable", " 3 4"])
        rows.append(f"{choice.choice(['permit', 'deny'])} {protocol} {address()} {address()}{tail}")
    return rows


def nxos(count: int) -> dict[str, Any]:
    """Return seconds for reading a configuration of NX-OS and for writing it again; ours only, no peer reads these lines."""
    rows = _device_entries(count, False)
    text = "\n".join(["ip access-list BIG", *(f"  {10 * at} {row}" for at, row in enumerate(rows, 1)), ""])
    return _read_and_write("nxos", text, count)


def asa(count: int) -> dict[str, Any]:
    """Return seconds for reading a configuration of ASA and for writing it again."""
    text = "\n".join([*(f"access-list BIG extended {row}" for row in _device_entries(count, True)), ""])
    return _read_and_write("asa", text, count)


def _read_and_write(platform: str, text: str, count: int) -> dict[str, Any]:
    seconds, found = cpu_seconds(lambda: registry.parse(platform, text))
    assert [(len(item.aces), item.opaque) for item in found] == [(count, ())]
    written, again = cpu_seconds(lambda: registry.render(platform, "BIG", found[0].aces, end=""), 1)
    assert [ace.meaning() for ace in registry.parse(platform, again)[0].aces] == [
        ace.meaning() for ace in found[0].aces
    ]
    return {"lines": count, "parse_cpu_s": seconds, "render_cpu_s": written, "budget_s": IOS_BUDGET_S}


def run(full: bool) -> dict[str, Any]:
    """Return the figures of every platform; AssertionError where a line is lost."""
    count = FULL if full else QUICK
    made: dict[str, Any] = {"ios": ios(count), "nxos": nxos(count), "asa": asa(count)}
    made["targets"] = [
        at_most(
            f"{platform} parse_cpu_s of {count} lines",
            made[platform]["parse_cpu_s"],
            round(IOS_BUDGET_S * count / FULL, 2),
        )
        for platform in ("ios", "nxos", "asa")
    ]
    return made
