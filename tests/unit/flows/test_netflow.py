"""Hand-made export datagrams: what each field, flag and number must come to."""

from __future__ import annotations

import ipaddress
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.denied import deny_rows
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.ingest import ingest
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import (
    export_pcap,
    listener,
    netflow,
    templates,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.templates import Templates
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.steps import flow_rows, run_flow_info

DAY = 1_795_392_000
ME, OTHER = "198.51.100.1", "198.51.100.2"
SYN_ACK_OR = 0x1B
PLAIN = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (2, 4), (1, 4), (152, 8), (153, 8))


def v4(text: str) -> int:
    return int(ipaddress.IPv4Address(text))


def template(number: int, fields: tuple[tuple[int, ...], ...], kind: int = 2) -> bytes:
    """Return an IPFIX template set; a field of three numbers has its enterprise number last."""
    body = struct.pack(">HH", number, len(fields))
    for element, length, *enterprise in fields:
        body += (
            struct.pack(">HHI", element | 0x8000, length, enterprise[0])
            if enterprise
            else struct.pack(">HH", element, length)
        )
    return struct.pack(">HH", kind, 4 + len(body)) + body


def options_template(number: int, fields: tuple[tuple[int, int], ...], scopes: int = 1) -> bytes:
    body = struct.pack(">HHH", number, len(fields), scopes) + b"".join(struct.pack(">HH", *each) for each in fields)
    return struct.pack(">HH", 3, 4 + len(body)) + body


def data(number: int, body: bytes, padding: int = 0) -> bytes:
    return struct.pack(">HH", number, 4 + len(body) + padding) + body + bytes(padding)


def ipfix(sequence: int, *sets: bytes, domain: int = 1, moment: int = DAY + 600) -> bytes:
    body = b"".join(sets)
    return struct.pack(">HHIII", 10, 16 + len(body), moment, sequence, domain) + body


def row(
    source: str,
    target: str,
    source_port: int,
    target_port: int,
    flags: int = SYN_ACK_OR,
    start_ms: int = 0,
    protocol: int = 6,
) -> bytes:
    begin = (DAY + 60) * 1000 + start_ms
    return struct.pack(
        ">IIHHBBIIQQ", v4(source), v4(target), source_port, target_port, protocol, flags, 5, 500, begin, begin + 9000
    )


def records(*datagrams: bytes, decoder: netflow.Decoder | None = None) -> tuple[list[dict[str, Any]], netflow.Exporter]:
    reader = decoder or netflow.Decoder()
    for each in datagrams:
        reader.feed(each, ME)
    reader.finish()
    return [each for table in reader.tables() for each in table.to_pylist()], reader.exporters[ME]


def imported(tmp_path: Path, *datagrams: bytes, exporters: tuple[str, ...] = (ME,)) -> list[dict[str, Any]]:
    path = tmp_path / "exports.pcap"
    with path.open("wb") as stream:
        stream.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for exporter in exporters:
            for each in datagrams:
                packet = listener.raw_packet(exporter, 9, "203.0.113.1", 4739, each)
                stream.write(struct.pack("<IIII", DAY, 0, len(packet), len(packet)) + packet)
    made = ingest([path], tmp_path / "d")
    assert [each["kind"] for each in made.inputs] == ["export_pcap"]
    return flow_rows(tmp_path / "d")


def test_a_record_in_numbers() -> None:
    rows, own = records(
        ipfix(0, template(256, PLAIN)), ipfix(0, data(256, row("192.0.2.10", "192.0.2.20", 40000, 502), padding=3))
    )
    assert (len(rows), own.records, own.damaged, own.lost) == (1, 1, 0, 0)
    (one,) = rows
    assert (one["start_us"], one["end_us"], one["step_us"]) == ((DAY + 60) * 10**6, (DAY + 69) * 10**6, 1000)
    assert (one["protocol"], one["source_port"], one["target_port"], one["packets"], one["bytes"], one["flags"]) == (
        6,
        40000,
        502,
        5,
        500,
        27,
    )
    assert (one["pure_syn"], one["said"], one["sampling"]) == (False, 0, 1)


def test_variable_and_enterprise_fields_and_odd_lengths() -> None:
    fields = (
        (8, 4),
        (95, 0xFFFF),
        (12, 4),
        (7, 2),
        (12235, 0xFFFF, 45346),
        (11, 2),
        (4, 1),
        (1, 3),
        (2, 8),
        (33002, 2, 9),
        (150, 4),
        (151, 4),
    )
    ends = struct.pack(">I", v4("192.0.2.10")), struct.pack(">I", v4("192.0.2.20"))
    made = b""
    for name in (b"", b"mqtt", b"x" * 300):
        length = bytes([len(name)]) if len(name) < 255 else b"\xff" + struct.pack(">H", len(name))
        made += ends[0] + length + name + ends[1] + struct.pack(">H", 40000) + b"\x00" + struct.pack(">HB", 1883, 6)
        made += (70_000).to_bytes(3, "big") + struct.pack(">QHII", 7, 1, DAY, DAY + 3)
    rows, own = records(ipfix(0, template(300, fields), data(300, made)))
    assert own.records == 3
    assert {(each["target_port"], each["bytes"], each["packets"], each["step_us"]) for each in rows} == {
        (1883, 70_000, 7, 1_000_000)
    }
    cut, own = records(ipfix(0, template(300, fields), data(300, made[:-1])))
    assert len(cut) == 2


def test_data_before_its_template_waits_and_a_template_that_never_comes_is_counted() -> None:
    body = data(256, row("192.0.2.10", "192.0.2.20", 40000, 502))
    rows, own = records(ipfix(0, body), ipfix(1, template(256, PLAIN)))
    assert (len(rows), own.undecoded_sets) == (1, 0)
    rows, own = records(ipfix(0, body), ipfix(1, template(256, PLAIN), domain=2))
    assert (len(rows), own.undecoded_sets) == (0, 1), "another observation domain has templates of its own"


def test_a_template_that_changes_and_one_that_is_withdrawn() -> None:
    shorter = PLAIN[:6] + PLAIN[8:]
    first = ipfix(0, template(256, PLAIN), data(256, row("192.0.2.10", "192.0.2.20", 40000, 502)))
    body = row("192.0.2.11", "192.0.2.20", 40000, 502)
    second = ipfix(1, template(256, shorter), data(256, body[:14] + body[22:]))
    rows, _own = records(first, second)
    assert [(each["packets"], each["source_lo"] & 0xFF) for each in rows] == [(5, 10), (0, 11)]
    gone = ipfix(2, struct.pack(">HHHH", 2, 8, 256, 0), data(256, body))
    _rows, own = records(first, gone)
    assert own.undecoded_sets == 1


def test_sampling_from_options_in_the_same_datagram_and_by_sampler() -> None:
    fields = (*PLAIN, (302, 2))
    options = options_template(257, ((302, 2), (305, 4), (306, 4)))
    rates = data(257, struct.pack(">HII", 1, 1, 99) + struct.pack(">HII", 2, 1, 999))
    flows = data(256, b"".join(row("192.0.2.10", "192.0.2.20", n, 502) + struct.pack(">H", n) for n in (1, 2, 3)))
    rows, own = records(ipfix(0, template(256, fields), options, rates, flows))
    assert [each["sampling"] for each in rows] == [100, 1000, 1]
    assert (own.option_records, own.sampling) == (2, 1000)


@pytest.mark.parametrize(
    ("sequences", "lost", "restarts"),
    [
        ((0, 1, 2), 0, 0),
        ((1, 2, 3), 0, 0),
        ((0, 1, 12), 10, 0),
        ((0, 11, 1, 12), 9, 0),
        ((9_000_000, 0, 1), 8_999_999, 1),
    ],
)
def test_lost_datagrams_are_counted_and_overtaken_ones_are_not(
    sequences: tuple[int, ...], lost: int, restarts: int
) -> None:
    decoder = netflow.Decoder(Templates())
    decoder.feed(ipfix(0, template(256, PLAIN), domain=7), ME)
    for number in sequences:
        decoder.feed(ipfix(number, data(256, row("192.0.2.10", "192.0.2.20", 40000, 502)), domain=7), ME)
    own = decoder.exporters[ME]
    assert (own.lost, own.restarts) == (lost, restarts)


def test_uptime_that_wrapped_and_times_that_cannot_be() -> None:
    fields = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (22, 4), (21, 4))
    body = struct.pack(">HH", 256, len(fields)) + b"".join(struct.pack(">HH", *each) for each in fields)
    header = struct.pack(">HHIIII", 9, 2, 5_000, DAY, 0, 1)
    wrapped = struct.pack(">IIHHBII", v4("192.0.2.10"), v4("192.0.2.20"), 40000, 502, 6, 0xFFFFFFFF - 999, 2_000)
    rows, _own = records(header + struct.pack(">HH", 0, 4 + len(body)) + body + data(256, wrapped))
    assert (rows[0]["start_us"], rows[0]["end_us"]) == ((DAY - 6) * 10**6, (DAY - 3) * 10**6)
    future = row("192.0.2.10", "192.0.2.20", 40000, 502, start_ms=40 * 86_400_000)
    rows, own = records(ipfix(0, template(256, PLAIN), data(256, future)))
    assert (own.impossible_times, rows[0]["start_us"]) == (1, (DAY + 600) * 10**6)


def test_method_0_for_what_the_exporter_says_and_2_for_two_syns_that_differ_in_time(tmp_path: Path) -> None:
    firewall = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (231, 4), (232, 4), (323, 8))
    # The initiator's port is the lower one, and on the list.
    said = struct.pack(">IIHHBIIQ", v4("192.0.2.30"), v4("192.0.2.20"), 502, 9999, 6, 100, 200, (DAY + 60) * 1000)
    apart = row("192.0.2.20", "192.0.2.10", 4000, 502, start_ms=7) + row("192.0.2.10", "192.0.2.20", 502, 4000)
    alike = row("192.0.2.21", "192.0.2.10", 502, 4001) + row("192.0.2.10", "192.0.2.21", 4001, 502)
    silent = row("192.0.2.40", "192.0.2.41", 4002, 502, flags=2)
    sets = [template(256, PLAIN), template(257, firewall), data(257, said), data(256, apart + alike + silent)]
    rows = imported(tmp_path, ipfix(0, *sets))
    found = {
        (each["client"], each["server"], each["server_port"]): (each["method"], each["answered_flows"]) for each in rows
    }
    assert found == {
        ("192.0.2.30", "192.0.2.20", 9999): (0, 1),
        ("192.0.2.10", "192.0.2.20", 4000): (2, 1),
        ("192.0.2.10", "192.0.2.21", 502): (6, 1),
        ("192.0.2.40", "192.0.2.41", 502): (1, 0),
    }


def test_two_exporters_are_not_added_up_and_each_may_see_one_direction_only(tmp_path: Path) -> None:
    there = row("192.0.2.10", "192.0.2.20", 40000, 502, flags=2)
    (one,) = imported(tmp_path, ipfix(0, template(256, PLAIN), data(256, there)), exporters=(ME, OTHER, "2001:db8::5"))
    assert (one["flows"], one["packets"], one["answered_flows"]) == (1, 5, 0)
    assert store.connections(tmp_path / "d").num_rows == 3
    back = row("192.0.2.20", "192.0.2.10", 502, 40000, start_ms=3)
    path = tmp_path / "other.pcap"
    packet = listener.raw_packet(OTHER, 9, "203.0.113.1", 4739, ipfix(0, template(256, PLAIN), data(256, back + back)))
    path.write_bytes(
        struct.pack("<IHHiIIIIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101, DAY, 0, len(packet), len(packet)) + packet
    )
    ingest([path], tmp_path / "d")
    (one,) = flow_rows(tmp_path / "d")
    assert (one["client"], one["flows"], one["answered_flows"], one["method"]) == ("192.0.2.10", 1, 1, 1)


@pytest.mark.one_python
def test_empty_sets_that_wait_for_a_template_take_no_more_than_their_share() -> None:
    decoder = netflow.Decoder()
    sets = [data(300 + i % 60_000, b"") for i in range(16_000)]
    for number in range(10):
        decoder.feed(ipfix(number, *sets), ME)
    waiting = sum(len(each) for each in decoder._held.values())
    assert 0 < waiting <= netflow.HELD_OCTETS // netflow.HELD_EACH
    assert decoder.held_octets <= netflow.HELD_OCTETS
    # They go with their template, and nothing stays reserved.
    for number in range(300, 16_300):
        decoder.feed(ipfix(11, template(number, PLAIN)), ME)
    assert decoder.held_octets == sum(len(each) * netflow.HELD_EACH for each in decoder._held.values()), (
        "what waits is what is counted"
    )
    decoder.finish()
    assert decoder.held_octets == 0
    assert decoder.exporters[ME].undecoded_sets > 10 * 16_000 - waiting - 1


def test_a_capture_of_tiny_records_is_decoded_in_small_portions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_pcap, "OCTETS_AT_ONCE", 50_000)
    monkeypatch.setattr(export_pcap, "FLUSH_RECORDS", 5_000)
    tiny = ((8, 4), (12, 4))
    body = struct.pack(">II", v4("10.0.0.1"), v4("10.0.0.2")) * 1_000
    sent = [ipfix(0, template(300, tiny))] + [ipfix(number * 1_000, data(300, body)) for number in range(60)]
    path = tmp_path / "tiny.pcap"
    with path.open("wb") as stream:
        stream.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101))
        for each in sent:
            packet = listener.raw_packet(ME, 2055, OTHER, 2055, each)
            stream.write(struct.pack("<IIII", DAY, 0, len(packet), len(packet)) + packet)
    source = export_pcap.ExportCapture(path, Templates())
    sizes = [table.num_rows for table in source.tables()]
    assert sum(sizes) == source.quality.records == 60_000
    assert source.quality.packets == len(sent) and source.quality.exporters[ME].get("lost", 0) == 0
    assert max(sizes) <= 5_000 + 50_000 // 8


@pytest.mark.parametrize("octets", [[], [0], [9], [4, 4, 4], [20, 1, 1], [0, 0, 25, 0, 3], [10, 10, 10]])
def test_stretches_cover_every_datagram_once(octets: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_pcap, "OCTETS_AT_ONCE", 10)
    made = list(export_pcap.stretches(np.array(octets, dtype=np.int64)))
    assert [i for part in made for i in range(part.start, part.stop)] == list(range(len(octets)))
    assert all(sum(octets[part][1:]) <= 10 for part in made)


# Two interfaces: the uplink 7 samples one packet in 1000, the access port 3 none. RFC 7011 scopes options by an information element,
# RFC 3954 (section 6.1) by a scope of its own, 2 for an interface.
PORTS = (*PLAIN, (10, 4), (14, 4), (61, 1))


def through(number: int, came_in: int, went_out: int, direction: int = 0) -> bytes:
    return row("192.0.2.10", "192.0.2.20", number, 502) + struct.pack(">IIB", came_in, went_out, direction)


def v9(sequence: int, *sets: bytes, moment: int = DAY + 600) -> bytes:
    return struct.pack(">HHIIII", 9, len(sets), 10_000_000, moment, sequence, 1) + b"".join(sets)


def v9_options(number: int, scope: tuple[int, int], fields: tuple[tuple[int, int], ...]) -> bytes:
    body = struct.pack(">HHH", number, 4, 4 * len(fields))
    body += b"".join(struct.pack(">HH", *each) for each in (scope, *fields))
    return struct.pack(">HH", 1, 4 + len(body)) + body


def by_port(version: int, *rates: tuple[int, int]) -> tuple[bytes, bytes]:
    """Return the option template and records of rates by interface, as version 9 or 10 (IPFIX) has them."""
    body = b"".join(struct.pack(">II", *each) for each in rates)
    if version == 9:
        return v9_options(257, (2, 4), ((34, 4),)), data(257, body)
    return options_template(257, ((10, 4), (305, 4), (306, 4))), data(
        257, b"".join(struct.pack(">III", port, 1, rate - 1) for port, rate in rates)
    )


@pytest.mark.parametrize("version", [9, 10])
@pytest.mark.parametrize("order", [((7, 1000), (3, 1)), ((3, 1), (7, 1000))])
def test_sampling_told_of_interfaces_holds_for_what_these_watched(
    tmp_path: Path, version: int, order: tuple[tuple[int, int], ...]
) -> None:
    make, kind = (v9, 0) if version == 9 else (ipfix, 2)
    # In at the uplink; in at the port; at the port and watched where it leaves, at the uplink; of a third that nothing is told of.
    flows = data(256, through(1, 7, 3) + through(2, 3, 7) + through(3, 3, 7, 1) + through(4, 9, 3))
    sent = make(0, template(256, PORTS, kind), *by_port(version, *order), flows)
    imported(tmp_path, sent)
    rows = {each["client_port"]: each["sampling"] for each in store.connections(tmp_path / "d").to_pylist()}
    assert rows == {1: 1000, 2: 1, 3: 1000, 4: 1}
    info = run_flow_info({"data_dir": str(tmp_path / "d"), "top": 0})
    ports = {
        name: (each["records"], each.get("sampling", 1), each["ceiling"], each["silence"])
        for name, each in info["interfaces"].items()
    }
    assert ports == {
        f"{ME}#3": (1, 1, 1.0, True),
        f"{ME}#7": (2, 1000, 0.7, False),
        f"{ME}#9": (1, 1, 1.0, True),
    }
    assert (info["exporters"][ME]["sampling"], info["exporters"][ME]["ceiling"]) == (1000, 0.7)


def test_where_records_name_no_interface_the_largest_rate_is_taken() -> None:
    flows = data(256, row("192.0.2.10", "192.0.2.20", 1, 502))
    rows, _own = records(ipfix(0, template(256, PLAIN), *by_port(10, (7, 1000), (3, 1)), flows))
    assert [each["sampling"] for each in rows] == [1000]


def test_interface_0_stands_for_the_device() -> None:
    flows = data(256, through(1, 5, 3))
    rows, _own = records(v9(0, template(256, PORTS, 0), *by_port(9, (0, 64)), flows))
    assert [each["sampling"] for each in rows] == [64]


@pytest.mark.parametrize(("later_s", "rate"), [(1800, 1000), (-1800, 1000), (3 * 86_400, 1)])
def test_rates_outlive_the_process_as_templates_do_but_for_a_day(tmp_path: Path, later_s: int, rate: int) -> None:
    first = records(ipfix(0, template(256, PORTS), *by_port(10, (7, 1000)), data(256, through(1, 7, 3))))
    assert first[0][0]["sampling"] == 1000
    kept = netflow.Decoder()
    kept.feed(ipfix(0, template(256, PORTS), *by_port(10, (7, 1000))), ME)
    kept.templates.write(tmp_path / "templates.json")
    read = templates.Templates.read(tmp_path / "templates.json")
    assert (read.rates, read.rate_count) == (kept.templates.rates, 1) and not read.changed
    # Options come every half an hour or so: the file after has none.
    after = ipfix(1, data(256, through(2, 7, 3)), moment=DAY + 600 + later_s)
    rows, _own = records(after, decoder=netflow.Decoder(templates=read))
    assert [each["sampling"] for each in rows] == [rate]


def test_rates_that_are_kept_are_bounded() -> None:
    made = templates.Templates()
    for number in range(templates.MOST_RATES + 10):
        made.tell_rate((ME, 9, 1), number, 10, DAY)
    assert len(made.rates[ME, 9, 1]) == made.rate_count == templates.MOST_RATES
    made.rate_count = templates.MOST_RATES_IN_ALL
    made.tell_rate((OTHER, 9, 1), 1, 10, DAY)
    assert (OTHER, 9, 1) not in made.rates
    made.tell_rate((ME, 9, 1), 5, 20, DAY)
    assert made.rates_at((ME, 9, 1), DAY)[5] == 20


@pytest.mark.parametrize("element", [302, 10])
def test_numbers_of_samplers_and_interfaces_beyond_any_column_are_taken(tmp_path: Path, element: int) -> None:
    """Options may give them eight octets; they must neither raise nor make the file unreadable that keeps them."""
    fields = (*PLAIN, (element, 8))
    options = options_template(257, ((element, 8), (34, 4)))
    largest = (1 << 64) - 1
    told = data(257, struct.pack(">QI", largest, 50) + struct.pack(">QI", 3, 7))
    rows = b"".join(
        row("192.0.2.10", "192.0.2.20", number, 502) + struct.pack(">Q", which)
        for number, which in ((1, largest), (2, 3), (3, 4))
    )
    decoder = netflow.Decoder()
    made, _own = records(ipfix(0, template(256, fields), options, told, data(256, rows)), decoder=decoder)
    assert [each["sampling"] for each in made] == [50, 7, 1]
    decoder.templates.write(tmp_path / "templates.json")
    assert templates.Templates.read(tmp_path / "templates.json").rates == decoder.templates.rates != {}


def test_kept_rates_that_cannot_be_are_a_damaged_file(tmp_path: Path) -> None:
    made = templates.Templates()
    made.tell_rate((ME, 9, 1), 5, 20, DAY)
    made.write(tmp_path / "templates.json")
    text = (tmp_path / "templates.json").read_text(encoding="utf-8")
    (tmp_path / "templates.json").write_text(text.replace('"5"', f'"{1 << 70}"'), encoding="utf-8")
    assert templates.Templates.read(tmp_path / "templates.json").rates == {}


def test_a_firewalls_denied_events_name_their_list_and_entry(tmp_path: Path) -> None:
    """NSEL of ASA: the ingress or the egress list's ids, or the state table where a first packet was no SYN."""
    fields = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (233, 1), (33002, 2), (323, 8), (33000, 12), (33001, 12))
    events = ((3, 1001), (3, 1002), (3, 1004), (1, 0), (3, 1003))
    made = b"".join(
        struct.pack(
            ">IIHHBBHQ", v4("192.0.2.10"), v4("192.0.2.20"), 40000, 500 + number, 6, event, why, (DAY + 60) * 1000
        )
        + struct.pack(">IIIIII", 0x1F1C, 0x62C4905, 0, 0xBEEF if why == 1002 else 0, 0xC7 if why == 1002 else 0, 0)
        for number, (event, why) in enumerate(events)
    )
    rows = imported(tmp_path, v9(0, template(300, fields, kind=0), data(300, made)))
    assert [row["server_port"] for row in rows] == [503], "what was denied is no connection"
    found = {
        row["target_port"]: (row["platform"], row["point"], row["list"], row["entry"])
        for row in deny_rows(tmp_path / "d")
    }
    assert found == {
        500: ("nsel", ME, "0x1f1c", "0x62c4905"),
        501: ("nsel", ME, "0xbeef", "0xc7"),
        502: ("nsel", ME, "", "no connection"),
        504: ("nsel", ME, "0x1f1c", "0x62c4905"),
    }
