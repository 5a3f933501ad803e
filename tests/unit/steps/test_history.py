"""Recorded traffic as learning and replay see it: related and bootstrap traffic is marked, whichever engine sums it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import merge
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ingest import ingest
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.noise import limits_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.evidence import CandidateKey, related_reason
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.propose import propose
from ansible_collections.segwright.microseg.plugins.plugin_utils.learn.proposed import Known
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import Segment, Site
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.history import (
    recorded_evidence,
    recorded_history,
)
from tests.unit.flows import packets

DAY = 1_795_392_000
CAMERA, SERVER, SCANNER = "192.0.2.10", "192.0.2.20", "192.0.2.99"
DEVICES = {CAMERA: "02:00:00:00:00:01", SERVER: "02:00:00:00:00:02"}
SEGMENTS = {DEVICES[CAMERA]: "cameras", DEVICES[SERVER]: "servers"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store and a register: on three days a camera takes a lease, fetches by FTP over agreed ports, and speaks HTTPS beside it."""
    folder = tmp_path_factory.mktemp("data")
    frames = []
    for day in range(3):
        begin = DAY + day * 86_400
        frames += packets.session(begin, CAMERA, 40_000 + day, SERVER, 21)
        frames += packets.session(begin + 20, CAMERA, 41_000 + day, SERVER, 50_123 + day)
        frames += packets.session(begin + 40, CAMERA, 42_000 + day, SERVER, 443)
        frames.append((begin + 50, packets.frame(packets.udp(CAMERA, 68, SERVER, 67))))
        frames.append((begin + 51, packets.frame(packets.udp(SERVER, 67, CAMERA, 68))))
        frames.append((begin + 52, packets.frame(packets.icmp(SERVER, CAMERA, 3, 3))))
    for port in range(10):
        frames.append((DAY + 60, packets.frame(packets.tcp(SCANNER, 50_000, SERVER, 1_000 + port, packets.SYN))))
    ingest([packets.write(folder / "days.pcap", sorted(frames))], folder)
    seen = (DAY + 3 * 86_400) * 1_000_000
    storage.write(merge([Observation(mac, {}, (ip,), "arp", seen, 0.9) for ip, mac in DEVICES.items()]), folder)
    return folder


def test_what_ftp_agreed_on_is_no_candidate_and_bootstrap_no_business_of_learning(data: Path) -> None:
    made, _noise = recorded_evidence(data, members=SEGMENTS)
    assert set(made.candidates) == {
        CandidateKey("cameras", "servers", 6, 21),
        CandidateKey("cameras", "servers", 6, 443),
    }
    assert {(each.server_port, each.reason) for each in made.excluded if each.mark.startswith("related:")} == {
        (50_123 + day, related_reason("ftp")) for day in range(3)
    }
    assert made.related == {("ftp", "cameras", "servers"): 3}
    assert made.bootstrap == 6, "a lease and a refusal on each of three days"


def test_a_proposal_names_what_goes_with_a_control_session(data: Path) -> None:
    seen, _noise = recorded_evidence(data, members=SEGMENTS)
    site = Site("site", "UTC", {}, (), {}, {}, {}, (), (), (), {}, {}, {})
    segments = [Segment(name, "plant", None, "", "low", {}, ()) for name in ("cameras", "servers")]
    made = propose(site, segments, seen, Known({"cameras": 1, "servers": 1}))
    assert made.related == (("ftp", "cameras", "servers", 3),)
    assert sum("session of ftp" in item.reason for item in made.review) == 3


def test_replay_sees_the_marks(data: Path) -> None:
    seen = {(each.protocol, each.server_port): each for each in recorded_history(data)}
    assert {port: each.related for (_protocol, port), each in seen.items() if each.related} == dict.fromkeys(
        (50_123, 50_124, 50_125), "ftp"
    )
    assert {key: each.bootstrap for key, each in seen.items() if each.bootstrap} == {
        (17, 67): "dhcp",
        (1, 3 * 256 + 3): "icmp-error",
    }
    assert (seen[6, 443].days, seen[6, 443].flows, seen[6, 443].related) == (3, 3, "")


def test_the_site_says_from_where_on_it_is_a_scan(data: Path) -> None:
    def scanned(settings: dict[str, int]) -> int:
        history = recorded_history(data, limits=limits_of({"noise": settings}))
        return sum(each.suspect == "scan" for each in history)

    assert scanned({}) == 0
    assert scanned({"scan_ports": 10}) == 10
    assert scanned({"scan_ports": 11}) == 0


def test_the_engine_of_the_setting_is_asked(data: Path) -> None:
    for ask in (recorded_history, recorded_evidence):
        with pytest.raises(FindingError, match="SW1491"):
            ask(data, engine="abacus")
