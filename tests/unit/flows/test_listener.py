"""The listener over loopback: bounds, allowed sources, and the same records as the capture it heard."""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import export_pcap, listener
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.capture import Capture
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.steps import run_flow_listen


def v5(count: int, sequence: int) -> bytes:
    header = struct.pack(">HHIIIIBBH", 5, count, 1_000_000, 1_795_392_000, 0, sequence, 0, 0, 0)
    made = []
    for number in range(count):
        source, target = struct.pack(">4B", 192, 0, 2, 10), struct.pack(">4B", 192, 0, 2, 20)
        made.append(
            source
            + target
            + bytes(8)
            + struct.pack(">IIIIHH", 3, 300, 900_000, 900_500, 40_000 + sequence + number, 502)
            + bytes((0, 2, 6, 0))
            + bytes(8)
        )
    return header + b"".join(made)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def send(port: int, datagrams: list[bytes], source: str = "127.0.0.1") -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((source, 0))
        for each in datagrams:
            sender.sendto(each, ("127.0.0.1", port))


def test_what_is_heard_is_imported_and_others_are_refused(tmp_path: Path) -> None:
    port = free_port()
    values = {
        "address": "127.0.0.1",
        "port": port,
        "sources": ["127.0.0.1/32"],
        "seconds": 10.0,
        "datagrams": 20,
        "data_dir": str(tmp_path),
        "check_mode": False,
    }

    def speak() -> None:
        for _try in range(200):
            if (tmp_path / "flows" / "spool").is_dir() and list((tmp_path / "flows" / "spool").iterdir()):
                break
            threading.Event().wait(0.02)
        send(port, [v5(30, 0)], source="127.0.0.2")
        send(port, [v5(30, 30 * n) for n in range(20)])

    speaker = threading.Thread(target=speak)
    speaker.start()
    result = run_flow_listen(values)
    speaker.join()
    assert result["received"]["sources"] == {"127.0.0.1": 20}
    assert result["received"]["refused"] == {"127.0.0.2": 1}
    assert (result["records"], result["connections"]) == (600, 600)
    assert [each["code"] for each in result["warnings_found"]] == ["SW1441", "SW1418"]
    row = store.rollup(tmp_path).to_pylist()[0]
    assert (row["flows"], row["packets"], row["bytes"], row["server_port"], row["method"]) == (
        600,
        1800,
        180_000,
        502,
        1,
    )
    assert not list((tmp_path / "flows" / "spool").iterdir())


def test_finished_files_are_imported_while_the_next_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "SEGMENT_OCTETS", 6_000)
    port = free_port()
    values = {
        "address": "127.0.0.1", "port": port, "sources": ["127.0.0.1"], "seconds": 20.0, "datagrams": 20, "data_dir": str(tmp_path),
        "check_mode": False,
    }  # fmt: skip

    def speak() -> None:
        spool = tmp_path / "flows" / "spool"
        while not (spool.is_dir() and list(spool.iterdir())):
            threading.Event().wait(0.02)
        send(port, [v5(30, 30 * n) for n in range(20)])

    speaker = threading.Thread(target=speak)
    speaker.start()
    result = run_flow_listen(values)
    speaker.join()
    assert (result["received"]["datagrams"], result["received"]["discarded"], result["received"]["lost"]) == (20, 0, 0)
    assert (result["records"], result["connections"]) == (600, 600)
    assert len(result["inputs"]) == 5, "four datagrams to a file"
    assert not list((tmp_path / "flows" / "spool").iterdir())
    row = store.rollup(tmp_path).to_pylist()[0]
    assert (row["flows"], row["packets"]) == (600, 1800)


class Slow:
    """Imports nothing before it is told to."""

    def __init__(self) -> None:
        self.taken: list[Path] = []
        self.octets = 0

    def take(self, path: Path, octets: int) -> None:
        self.taken.append(path)
        self.octets += octets

    def waiting(self) -> int:
        return self.octets


def test_what_a_full_spool_cannot_take_is_counted(tmp_path: Path) -> None:
    slow = Slow()
    with listener.open_socket("127.0.0.1", 0) as sock:
        send(sock.getsockname()[1], [v5(30, 30 * n) for n in range(20)])
        made = listener.listen(
            sock,
            tmp_path / "x.pcap",
            listener.networks_of(["127.0.0.1"]),
            listener.Bounds(seconds=0.5, octets=9_000, segment=4_000),
            hand_over=slow,
        )
    assert made.datagrams + made.discarded == 20 and made.datagrams > 3 and made.discarded > 3
    assert [each.code for each in made.findings] == ["SW1446"] and f"{made.discarded} datagrams" in made.findings[
        0
    ].message
    written = [
        payload for path in (*slow.taken, *made.files) for payload in export_pcap.datagrams(Capture(path), Counter())
    ]
    assert written == [(("127.0.0.1"), v5(30, 30 * n)) for n in range(made.datagrams)]


def test_listening_ends_by_time_and_says_that_nothing_came(tmp_path: Path) -> None:
    with listener.open_socket("127.0.0.1", 0) as sock:
        made = listener.listen(
            sock, tmp_path / "x.pcap", listener.networks_of(["127.0.0.1"]), listener.Bounds(seconds=0.1)
        )
    assert [each.code for each in made.findings] == ["SW1443"]


@pytest.mark.parametrize(
    ("source", "target"), [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2"), ("2001:db8::1", "0.0.0.0")]
)
def test_a_datagram_written_as_a_packet_reads_back(tmp_path: Path, source: str, target: str) -> None:
    path = tmp_path / "x.pcap"
    payloads = [v5(30, 0), b"", b"z" * 65_000]
    with path.open("wb") as stream:
        stream.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for each in payloads:
            packet = listener.raw_packet(source, 1, target, 2055, each)
            stream.write(struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet)
    left_out: Counter[str] = Counter()
    assert list(export_pcap.datagrams(Capture(path), left_out)) == [(source, each) for each in payloads]
    assert not +left_out


def test_unbounded_listening_and_addresses_that_cannot_be_bound_are_refused() -> None:
    for bounds in (listener.Bounds(), listener.Bounds(seconds=1e9)):
        with pytest.raises(FindingError, match="SW1444"):
            bounds.check()
    for address, port in (("192.0.2.1", 2055), ("x", 2055), ("127.0.0.1", 70_000)):
        with pytest.raises(FindingError, match="SW1442"):
            listener.open_socket(address, port)
    with pytest.raises(ValueError, match="no source"):
        listener.networks_of([])


def test_a_socket_of_both_families_knows_exporters_by_their_own_address() -> None:
    allowed = listener.networks_of(["192.0.2.31"])
    peer = listener._peer(("::ffff:192.0.2.31", 2055, 0, 0), ("::", 9995, 0, 0), allowed)
    assert (peer.name, peer.allowed, peer.overhead) == ("192.0.2.31", True, 28)
    assert listener._peer(("::ffff:192.0.2.32", 2055, 0, 0), ("::", 9995, 0, 0), allowed).allowed is False


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"sources": []}, "SW1447"), ({"sources": ["exporter-1"]}, "SW1447"), ({"port": 0}, "SW1442"), ({"port": 70_000}, "SW1442"),
     ({"datagrams": -1}, "SW1444"), ({"seconds": 0}, "SW1444")],
)  # fmt: skip
def test_arguments_that_cannot_be_used_are_refused_also_in_check_mode(
    tmp_path: Path, wrong: dict[str, object], code: str
) -> None:
    values = {
        "data_dir": str(tmp_path),
        "address": "127.0.0.1",
        "port": 2055,
        "sources": ["192.0.2.1"],
        "seconds": 1,
        "datagrams": 0,
    }
    for check_mode in (True, False):
        with pytest.raises(FindingError) as caught:
            run_flow_listen({**values, **wrong, "check_mode": check_mode})
        assert caught.value.findings[0].code == code
