"""The public MUD unit cases of NIST (usnistgov/nist-mud, test/unittest) as facts: hosts, who plays which role, what must pass.

The MUD files come from the corpora. The expectations below are what the scripts of those cases assert with real packets between
hosts 10.0.0.1 to 10.0.0.10 (one host in each of this site's segments), written down here as conversations. Left out: a ping that
fails there because no server listens, and the case of the controller class, whose script speaks of other peers than its file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

ALLOWED_WEB, OTHER_WEB = "203.0.113.13", "203.0.113.14"
UDP, TCP, ICMP = 17, 6, 1
PING = 8 * 256


@dataclass(frozen=True)
class Expected:
    """A conversation of a case. ``client_port`` is given where the script binds its socket."""

    client: str
    server: str
    protocol: int
    port: int
    passes: bool
    client_port: int = 49152


@dataclass(frozen=True)
class Case:
    """A folder of the corpora: which hosts the file is for, the site's answer to its roles, and what must hold."""

    folder: str
    file: str
    devices: tuple[int, ...]
    bindings: dict[str, list[str]] = field(default_factory=dict)
    expected: tuple[Expected, ...] = ()


def host(number: int) -> str:
    return f"10.0.0.{number}"


LOCAL = ["h2", "h3", "h4", "h5", "h6", "h7"]
CASES = (
    Case(
        "mud-mfg-test",
        "mudfile-mfg-test.json",
        (1,),
        {"manufacturer toothbrush.nist.local": ["h2"], "manufacturer hairbrush.nist.local": ["h3"]},
        (
            Expected(host(1), host(3), TCP, 8010, True),
            Expected(host(2), host(1), TCP, 8010, False, client_port=8010),
            Expected(host(1), host(2), UDP, 8008, True),
            Expected(host(2), host(1), UDP, 8008, True, client_port=8008),
            Expected(host(1), host(3), UDP, 8008, False),
        ),
    ),
    Case(
        "mud-mycontrollerclass-test",
        "mudfile-mycontrollerclass-test.json",
        (1, 2, 3),
        {"my-controller": ["h7"], "local-networks": ["h4", "h5", "h6", "h7", "device"]},
        (
            Expected(host(4), ALLOWED_WEB, TCP, 80, True),
            Expected(host(1), host(2), UDP, 4000, True, client_port=4000),
            Expected(host(1), host(7), UDP, 8002, True),
            Expected(host(1), host(5), UDP, 8000, True),
            Expected(host(1), host(4), UDP, 4000, False),
            Expected(host(1), ALLOWED_WEB, TCP, 80, True),
            Expected(host(1), OTHER_WEB, TCP, 80, False),
        ),
    ),
    Case(
        "mud-dhcp-test",
        "mudfile-server_mudfile-dhcptest.json",
        (1, 2),
        {"my-controller": ["h7"], "local-networks": ["h3", "h4", "h5", "h6", "h7", "device"]},
        (
            Expected(host(1), ALLOWED_WEB, TCP, 80, True),
            Expected(host(1), host(4), UDP, 4000, False),
            Expected(host(1), host(2), UDP, 4000, True),
            Expected(host(1), OTHER_WEB, TCP, 80, False),
            Expected(host(3), OTHER_WEB, TCP, 80, True),
            Expected(host(1), host(5), UDP, 8000, True),
        ),
    ),
    Case(
        "mud-dns-test",
        "mudfile-dns-test.json",
        (1, 2, 3),
        {},
        (
            Expected(host(4), ALLOWED_WEB, TCP, 80, True),
            Expected(host(1), OTHER_WEB, TCP, 80, False),
        ),
    ),
    Case(
        "mud-local-and-same-mfg-test",
        "mudfile-local-and-same-mfg-test.json",
        (1, 2, 3),
        {"local-networks": ["h4", "h5", "h6", "h7", "device"]},
        (
            Expected(host(1), host(3), TCP, 8010, True),
            Expected(host(1), host(2), UDP, 8008, True),
            Expected(host(2), host(1), UDP, 8008, True),
            Expected(host(1), host(4), UDP, 8008, False),
            Expected(host(1), host(3), ICMP, PING, True),
            Expected(host(1), ALLOWED_WEB, TCP, 8000, False),
        ),
    ),
    Case(
        "mud-same-manufacturer-test",
        "mudfile-same-manufacturer-test.json",
        (1, 2, 3),
        {},
        (
            Expected(host(1), host(3), TCP, 8010, True),
            Expected(host(1), host(2), UDP, 8008, True),
            Expected(host(2), host(1), UDP, 8008, True),
            Expected(host(1), host(3), ICMP, PING, True),
        ),
    ),
    Case(
        "mud-quarantine-test",
        "mudfile-quarantine-test.json",
        (1,),
        {"local-networks": LOCAL},  # the site's local networks leave out the router 10.0.0.8
        (
            Expected(host(3), host(1), TCP, 80, True),
            Expected(host(1), host(3), TCP, 80, False),
            Expected(host(8), host(1), TCP, 80, False),
            Expected(host(1), ALLOWED_WEB, TCP, 800, True),
        ),
    ),
)


def write_site(directory: Path, case: Case) -> None:
    """Write the policy directory of a case: the device's segment is enforced by a DACL, the other hosts by nothing."""
    directory.mkdir()
    others = [number for number in range(1, 9) if number not in case.devices]
    (directory / "site.yml").write_text(
        "name: nist\ntime_zone: UTC\nzones:\n  home:\n    subnets: [10.0.0.0/24]\n    security_level: 1\n    owner: network\n"
    )
    (directory / "enforcement.yml").write_text(
        "points:\n  dacl:\n    kind: dacl\n    platform: ise\n    host: ise1\n"
        "segments:\n  device:\n    stage: enforce\n    points: [dacl]\n"
    )
    (directory / "home").mkdir()
    lock: dict[str, list[int]] = {"device": list(case.devices), **{f"h{number}": [number] for number in others}}
    for name in lock:
        (directory / "home" / f"{name}.yml").write_text(
            f"segment: {name}\nzone: home\nowner: network\ncriticality: low\n"
            f"members:\n  fact: hostname\n  matches: {name}\nallow: []\n"
        )
    segments = ",\n".join(
        f'  "{name}": {{"devices": ['
        + ", ".join(
            f'{{"device": "00:00:00:00:00:{n:02x}", "name": "x{n}", "addresses": ["{host(n)}"]}}' for n in numbers
        )
        + "]}"
        for name, numbers in sorted(lock.items())
    )
    (directory / "members.lock.json").write_text(
        f'{{"kind": "members", "schema_version": "1.0", "segments": {{\n{segments}\n}}}}\n'
    )
