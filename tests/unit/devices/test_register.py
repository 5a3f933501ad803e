"""The register: order of observations, who held what when, conflicts, files."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices import observe, storage
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.intervals import (
    Claim,
    intervals_of,
    read_intervals,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import (
    AddressClaim,
    Observation,
    normal_mac,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.parsers import show
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import (
    Register,
    merge,
    observations_of,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.register_info import (
    device_value,
    run_register_info,
)

PUMP, CT, SPARE = "02:00:5e:10:00:11", "02:00:5e:10:00:12", "02:00:5e:10:00:13"
PUMP_ADDRESSES = ("192.0.2.11", "2001:db8::11")
NOW = 1_795_392_000_000_000
DAY = 86_400_000_000

observation_values = st.builds(
    Observation,
    mac=st.sampled_from((PUMP, CT, SPARE)),
    facts=st.dictionaries(
        st.sampled_from(("hostname", "sgt", "switch", "interface", "endpoint_profile")),
        st.integers(0, 5).map(str),
        max_size=3,
    ),
    addresses=st.lists(
        st.builds(
            lambda host, since, length: AddressClaim(f"192.0.2.{host}", since, since + length),
            st.integers(1, 3),
            st.integers(0, 60),
            st.integers(0, 30),
        ),
        max_size=2,
    ).map(tuple),
    source=st.sampled_from(("ise", "acc1:arp", "acc2:session")),
    time=st.integers(0, 100),
    confidence=st.sampled_from((0.3, 0.75, 0.8, 0.95)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(observation_values, max_size=12), st.randoms())
def test_order_and_repetition_do_not_matter_and_a_register_makes_itself_again(
    observations: list[Observation], rng: random.Random
) -> None:
    register = merge(observations)
    shuffled = [*observations, *observations[:3]]
    rng.shuffle(shuffled)
    assert merge(shuffled) == register
    again = merge(observations_of(register))
    assert again.devices == register.devices
    assert again.hosts == register.hosts


@settings(max_examples=150, deadline=None)
@given(st.lists(observation_values, max_size=14), st.integers(0, 14), st.booleans())
def test_what_is_kept_between_two_collections_is_enough_for_facts(
    observations: list[Observation], cut: int, swapped: bool
) -> None:
    """Collected in two runs, in either order, facts are those of one run, with what sources said before they changed their mind."""
    first, second = observations[:cut], observations[cut:]
    if swapped:
        first, second = second, first
    whole = merge(observations)
    parts = merge([*observations_of(merge(first)), *second])
    assert {name: each.facts for name, each in parts.devices.items()} == {
        name: each.facts for name, each in whole.devices.items()
    }


def test_what_a_source_said_before_is_kept_newest_of_each_value_first() -> None:
    said = [
        Observation(PUMP, {"endpoint_profile": name}, (), "ise", time)
        for time, name in enumerate(["A", "B", "A", "C", "B"], 1)
    ]
    fact = merge(said).devices[PUMP].facts["endpoint_profile"]
    assert (fact.value, [(each.value, each.time) for each in fact.earlier]) == ("B", [("C", 4), ("A", 3)])
    many = [Observation(PUMP, {"endpoint_profile": f"P{time}"}, (), "ise", time) for time in range(1, 20)]
    kept = merge(many).devices[PUMP].facts["endpoint_profile"].earlier
    assert [each.value for each in kept] == [f"P{time}" for time in range(18, 10, -1)]
    # A name that changes is no such event.
    assert (
        merge([Observation(PUMP, {"hostname": str(t)}, (), "ise", t) for t in (1, 2)])
        .devices[PUMP]
        .facts["hostname"]
        .earlier
        == ()
    )


def test_a_host_without_mac_comes_to_nobody_where_two_or_none_held_its_address() -> None:
    def about(time: int) -> Observation:
        return Observation("", {"asset_type": "printer"}, ("192.0.2.11",), "cmdb", time, 0.9)

    lease = Observation(PUMP, {}, (AddressClaim("192.0.2.11", 10, 20),), "dhcp", 20, 0.9)
    other = Observation(CT, {}, (AddressClaim("192.0.2.11", 12, 18),), "dhcp2", 18, 0.9)
    assert merge([lease, about(15)]).devices[PUMP].value("asset_type") == "printer"
    assert "asset_type" not in merge([lease, about(30)]).devices[PUMP].facts  # assumed is not enough
    both = merge([lease, other, about(15)])
    assert all("asset_type" not in each.facts for each in both.devices.values())
    assert both.hosts["192.0.2.11"].devices == ()
    # A lease that becomes known later takes it back: it never stays with the wrong one.
    before = merge([lease, about(15)])
    assert merge([*observations_of(before), other]).hosts == both.hosts
    assert "asset_type" not in merge([*observations_of(before), other]).devices[PUMP].facts
    assert [each.code for each in merge([Observation("", {"vlan": 1})]).conflicts] == ["SW1301"]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 40), st.integers(0, 15), st.sampled_from((PUMP, CT)), st.sampled_from((0.6, 0.65, 0.9))
        ),
        min_size=1,
        max_size=7,
    )
)
def test_intervals_are_what_asking_at_every_moment_gives(values: list[tuple[int, int, str, float]]) -> None:
    claims = [Claim(since, since + length, device, "s", sure) for since, length, device, sure in values]
    made = intervals_of("192.0.2.1", claims)
    first, last = min(each.since for each in claims), max(each.until for each in claims)
    for moment in range(-3, 64):
        holders = [each for each in made if each.covers(moment)]
        certain = {each.device for each in holders if not each.contested}
        covering = [each for each in claims if each.since <= moment <= each.until]
        assert len(certain) <= 1
        if covering:
            top = max(each.confidence for each in covering)
            sure = {
                device
                for device in (PUMP, CT)
                if max((c.confidence for c in covering if c.device == device), default=0) > top - 0.1
            }
            expected = sure if len(sure) == 1 else set()
            assert certain == expected, (moment, made)
        elif first <= moment <= last:
            # In a gap the device before it, unless that was contested.
            before = max(
                (each for each in made if each.to_us <= moment or each.covers(moment)), key=lambda each: each.from_us
            )
            assert certain <= {before.device}


def test_before_and_after_the_sightings_the_device_is_assumed_with_little_confidence() -> None:
    register = merge([Observation(PUMP, {}, (AddressClaim("192.0.2.11", NOW, NOW + 5),), "arp", NOW, 0.9)])
    assert register.device_of("192.0.2.11", NOW - DAY) == PUMP
    assert register.device_of("192.0.2.11", NOW + DAY) == PUMP
    assert register.device_of("192.0.2.12", NOW) is None
    assert [(each.source, each.confidence) for each in register.intervals()] == [
        ("assumed:arp", 0.5),
        ("arp", 0.9),
        ("assumed:arp", 0.5),
    ]


def test_a_lease_that_changed_hands_is_bound_by_time() -> None:
    observations = [
        Observation(PUMP, {}, (AddressClaim("192.0.2.11", NOW, NOW + DAY),), "dhcp", NOW, 0.9),
        Observation(CT, {}, (AddressClaim("192.0.2.11", NOW + 2 * DAY, NOW + 3 * DAY),), "dhcp", NOW + 2 * DAY, 0.9),
    ]
    register = merge(observations)
    found = [register.device_of("192.0.2.11", NOW + n * DAY // 2) for n in range(-1, 8)]
    assert found == [PUMP, PUMP, PUMP, PUMP, PUMP, CT, CT, CT, CT]
    assert not register.conflicts


def test_two_devices_with_one_address_at_one_time_are_a_conflict_and_bound_to_neither() -> None:
    observations = [Observation(mac, {}, ("192.0.2.11",), f"{mac}:arp", NOW, 0.8) for mac in (PUMP, CT)]
    register = merge(observations)
    assert register.device_of("192.0.2.11", NOW) is None
    assert {each.code for each in register.conflicts} == {"SW1305"}
    surer = merge([*observations, Observation(CT, {}, ("192.0.2.11",), "ise", NOW, 0.95)])
    assert surer.device_of("192.0.2.11", NOW) == CT


def test_sources_that_disagree_are_a_finding_and_the_surer_newer_one_wins() -> None:
    observations = [
        Observation(PUMP, {"endpoint_profile": "Infusion-Pump"}, (), "ise", NOW, 0.95),
        Observation(PUMP, {"endpoint_profile": "Workstation"}, (), "survey", NOW, 0.6),
        Observation(PUMP, {"endpoint_profile": "Printer"}, (), "acc1:classifier", NOW, 0.4),
    ]
    register = merge(observations)
    fact = register.devices[PUMP].facts["endpoint_profile"]
    assert (fact.value, fact.source, [each.value for each in fact.others]) == (
        "Infusion-Pump",
        "ise",
        ["Workstation", "Printer"],
    )
    assert [each.code for each in register.conflicts] == ["SW1303"], "a guess below 0.5 is no conflict"
    later = merge(
        [*observations, Observation(PUMP, {"endpoint_profile": "Workstation"}, (), "survey", NOW + 60 * DAY, 0.6)]
    )
    assert later.devices[PUMP].value("endpoint_profile") == "Workstation"
    names = merge(
        [
            Observation(PUMP, {"hostname": "pump1"}, (), "a", NOW),
            Observation(PUMP, {"hostname": "PUMP1.example.org"}, (), "b", NOW),
        ]
    )
    assert not names.conflicts


def test_a_device_that_moves_follows_its_newest_place_and_one_at_two_places_is_a_finding() -> None:
    def place(switch: str, interface: str, time: int, confidence: float = 0.9) -> Observation:
        return Observation(PUMP, {"switch": switch, "interface": interface}, (), f"{switch}:session", time, confidence)

    moved = merge([place("acc1", "GigabitEthernet1/0/1", NOW), place("acc2", "GigabitEthernet1/0/9", NOW + DAY)])
    assert moved.devices[PUMP].value("switch") == "acc2"
    assert not moved.conflicts
    twice = merge([place("acc1", "GigabitEthernet1/0/1", NOW), place("acc2", "GigabitEthernet1/0/9", NOW + 1)])
    assert [each.code for each in twice.conflicts] == ["SW1304"]
    uplink = merge([place("acc1", "GigabitEthernet1/0/1", NOW), place("core", "TenGigabitEthernet1/0/9", NOW + 1, 0.2)])
    assert uplink.devices[PUMP].value("switch") == "acc1"
    assert not uplink.conflicts


@pytest.mark.parametrize(
    ("observation", "code"),
    [
        (Observation("01:00:5e:00:00:01"), "SW1301"),
        (Observation("ff:ff:ff:ff:ff:ff"), "SW1301"),
        (Observation("no mac"), "SW1301"),
        (Observation(PUMP, confidence=0), "SW1301"),
        (Observation(PUMP, {"sgt": "70000"}), "SW1302"),
        (Observation(PUMP, {"vlan": "x"}), "SW1302"),
        (Observation(PUMP, {"hostname": "a\nb"}), "SW1302"),
        (Observation(PUMP, {"hostname": "x" * 300}), "SW1302"),
        (Observation(PUMP, {"host name": "x"}), "SW1302"),
        (Observation(PUMP, {}, ("0.0.0.0",)), "SW1306"),
        (Observation(PUMP, {}, ("224.0.0.1",)), "SW1306"),
        (Observation(PUMP, {}, ("x",)), "SW1306"),
        (Observation(PUMP, {}, (AddressClaim("192.0.2.1", 9, 3),)), "SW1306"),
    ],
)
def test_what_cannot_be_is_left_out_with_a_finding(observation: Observation, code: str) -> None:
    register = merge([observation])
    assert [each.code for each in register.conflicts] == [code]
    assert not any(device.facts or device.addresses for device in register.devices.values())


@pytest.mark.parametrize(
    "text", ["0200.5e10.0011", "02-00-5E-10-00-11", "02:00:5e:10:00:11", "02005E100011", " 0200.5E10.0011 "]
)
def test_macs_in_any_spelling_are_one(text: str) -> None:
    assert normal_mac(text) == PUMP


def full_register() -> Register:
    return merge([
        Observation(PUMP, {"hostname": "pump1", "sgt": 10, "served_ports": ["tcp/502", "tcp/80"]}, PUMP_ADDRESSES, "ise", NOW, 0.95),
        Observation(PUMP, {"hostname": "pump-1"}, ("192.0.2.11",), "acc1:lldp", NOW + 5, 0.8),
        Observation(CT, {"endpoint_profile": "CT"}, (AddressClaim("192.0.2.12", NOW - 7, NOW + 3),), "ise", NOW, 0.95),
        Observation(SPARE, {}, (AddressClaim("192.0.2.12", NOW - 1, NOW + 9),), "acc1:arp", NOW, 0.9),
    ])  # fmt: skip


def test_files_read_back_and_an_update_with_nothing_new_changes_nothing(tmp_path: Path) -> None:
    register = full_register()
    storage.write(register, tmp_path)
    assert storage.read(tmp_path) == register
    text = (tmp_path / "register" / "register.json").read_text()
    _same, changed = storage.update(tmp_path, [])
    assert not changed
    assert (tmp_path / "register" / "register.json").read_text() == text
    after, changed = storage.update(tmp_path, [Observation(PUMP, {"vlan": 10}, (), "acc1:session", NOW + DAY, 0.9)])
    assert changed
    assert after.devices[PUMP].value("vlan") == 10
    assert after.devices[PUMP].value("hostname") == "pump1"
    table = read_intervals(tmp_path).to_pylist()
    assert {row["device"] for row in table} == {PUMP, CT, SPARE, ""}


def test_damaged_and_newer_registers_are_refused(tmp_path: Path) -> None:
    path = storage.write(full_register(), tmp_path)
    text = path.read_text()
    for damage, code in (
        (text.replace(f'"{storage.SCHEMA_VERSION}"', '"2.0"', 1), "SW0007"),
        (text.replace(PUMP, "x"), "SW1311"),
        (text.replace('"register"', '"other"'), "SW0008"),
    ):
        path.write_text(damage)
        with pytest.raises(FindingError, match=code):
            storage.read(tmp_path)
    (tmp_path / "register" / "addresses.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(FindingError, match="SW1311"):
        read_intervals(tmp_path)
    assert storage.read(tmp_path / "none") == Register()


def test_info_and_lookup(tmp_path: Path) -> None:
    storage.write(full_register(), tmp_path)
    whole = run_register_info({"data_dir": str(tmp_path)})
    assert whole["counts"] == {
        "devices": 3,
        "addresses": 3,
        "conflicts": len(whole["conflicts"]),
        "hosts": 0,
        "selected": 3,
    }
    moment = "2026-11-23T00:00:00Z"
    assert [
        each["id"]
        for each in run_register_info({"data_dir": str(tmp_path), "device": "192.0.2.11", "at": moment})["devices"]
    ] == [PUMP]
    assert [each["id"] for each in run_register_info({"data_dir": str(tmp_path), "facts": {"sgt": 10}})["devices"]] == [
        PUMP
    ]
    assert device_value(tmp_path, "0200.5e10.0011", fact="hostname") == "pump1"
    assert device_value(tmp_path, "2001:db8::11")["id"] == PUMP
    assert device_value(tmp_path, "192.0.2.99") is None
    with pytest.raises(ValueError, match="not appear to be"):
        device_value(tmp_path, "nonsense")


def test_observations_of_show_output(corpora: Path) -> None:
    folder = corpora / "device-outputs" / "cisco_iosxe"
    tracking = show.device_tracking_database(
        (folder / "show_device-tracking_database" / "genie-out6.txt").read_text()
    ).entries
    register = merge(observe.of_device_tracking(tracking, "acc1", NOW))
    assert register.device_of("2001:db8:bad::1", NOW) == "70:18:a7:8e:9d:77"
    assert register.devices["70:18:a7:8e:9d:77"].value("interface") == "GigabitEthernet3/0/12"
    assert register.devices["40:f4:9f:46:7b:d1"].value("interface") is None, "a port channel is no place"
    text = (folder / "show_access-session_interface_details" / "genie-out_1.txt").read_text()
    (session,) = observe.of_session_details(show.access_session_details(text).entries, "acc1", NOW)
    assert (session.mac, session.addresses, session.facts) == (
        "08:00:37:ff:f5:85", ("10.4.1.1",), {"switch": "acc1", "interface": "GigabitEthernet1/0/21"},
    )  # fmt: skip


def test_the_place_of_a_crowded_port_counts_little() -> None:
    rows = (
        "".join(f" 10    0200.5e10.00{n:02x}    DYNAMIC     Te1/1/1\n" for n in range(20))
        + " 10    0200.5e10.00ff    DYNAMIC     Gi1/0/1\n"
    )
    observations = observe.of_mac_table(show.mac_address_table(rows).entries, "acc1", NOW)
    assert {each.facts["interface"]: each.confidence for each in observations} == {
        "TenGigabitEthernet1/1/1": 0.2,
        "GigabitEthernet1/0/1": 0.7,
    }


def test_the_switch_itself_is_no_device_of_its_own_tables() -> None:
    arp: Any = show.ip_arp(
        "Internet  192.0.2.1  -  0200.5e00.0001  ARPA  Vlan10\nInternet  192.0.2.11  3  0200.5e10.0011  ARPA  Vlan10\n"
    ).entries
    (one,) = observe.of_arp(arp, "acc1", NOW)
    assert one.addresses == (AddressClaim("192.0.2.11", NOW - 180_000_000, NOW),)
