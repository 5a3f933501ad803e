"""Sources of devices: leases of four servers, tables, NetBox, a user's own module; what is not understood is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import AddressClaim
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.oui import read_oui
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.register import Register, merge
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources import netbox_client
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.kind import Reading
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.leases import mac_of_duid
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.registry import asked_of, kinds
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.storage import micros_of_text
from tests.lab.netbox import NetBox, device, joined, served

AT = "2026-11-26T08:00:00Z"
NOW = micros_of_text("2026-11-26T09:00:00.000000Z")
HOUR = 3_600_000_000


def micros(text: str) -> int:
    return micros_of_text(f"{text}.000000Z")


def read(kind: str, path: Path | None = None, **options: Any) -> Reading:
    entry = {"kind": kind, "at": AT, **({"path": str(path)} if path else {}), **options}
    ((found, asked),) = asked_of([entry], kinds(), NOW)
    return found.read(asked)


def written(folder: Path, text: str | bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def claims(reading: Reading) -> list[tuple[str, str, int, int]]:
    """Return (mac, address, since, until) of what was read, in order."""
    return sorted(
        (each.mac, claim.address, claim.since or 0, claim.until or 0)
        for each in reading.observations
        for claim in each.addresses
        if isinstance(claim, AddressClaim)
    )


def facts(reading: Reading) -> dict[str, dict[str, Any]]:
    made: dict[str, dict[str, Any]] = {}
    for each in reading.observations:
        made.setdefault(each.mac, {}).update(each.facts)
    return made


ISC = r"""
# a comment
authoring-byte-order little-endian;
lease 192.0.2.10 {
  starts 4 2026/11/26 06:00:00;
  ends 4 2026/11/26 07:00:00;
  cltt 4 2026/11/26 06:00:00;
  binding state active;
  hardware ethernet 00:1b:c5:00:00:10;
  client-hostname "pump-10";
  set vendor-class-identifier = "Alaris \"PCU\"";
}
lease 192.0.2.10 {
  starts 4 2026/11/26 07:00:00;
  ends 4 2026/11/26 09:00:00;
  cltt 4 2026/11/26 07:30:00;
  binding state active;
  hardware ethernet 00:1b:c5:00:00:10;
  on expiry { log (debug, "} # {"); }
}
lease 192.0.2.11 {
  starts epoch 1795672800; # Thu Nov 26 06:00:00 2026
  ends never;
  binding state active;
  hardware ethernet 00:1b:c5:00:00:11;
}
lease 192.0.2.12 {
  starts 4 2026/11/26 06:00:00;
  ends 4 2026/11/26 06:10:00;
  cltt 4 2026/11/26 06:00:00;
  binding state released;
  hardware ethernet 00:1b:c5:00:00:12;
}
lease 192.0.2.13 {
  starts 4 2026/11/26 06:00:00;
  binding state abandoned;
  hardware ethernet 00:1b:c5:00:00:13;
}
lease 192.0.2.14 {
  starts 4 2026/11/26 06:00:00;
  binding state active;
  hardware token-ring 00:1b:c5:00:00:14;
}
lease 192.0.2.15 {
  starts 4 2026/11/26 06:00:00;
  binding state active;
  hardware ethernet 01:1b:c5:00:00:15;
}
lease 192.0.2.16 {
  starts 4 2026/11/26 06"""


def test_isc_dhcpd(tmp_path: Path) -> None:
    made = read("isc_dhcpd", written(tmp_path, ISC))
    at, six, seven = micros("2026-11-26T08:00:00"), micros("2026-11-26T06:00:00"), micros("2026-11-26T07:00:00")
    assert claims(made) == [
        ("00:1b:c5:00:00:10", "192.0.2.10", six, seven),
        ("00:1b:c5:00:00:10", "192.0.2.10", seven, at),
        ("00:1b:c5:00:00:11", "192.0.2.11", six, at),
        ("00:1b:c5:00:00:12", "192.0.2.12", six, six),
    ]
    assert facts(made)["00:1b:c5:00:00:10"] == {"hostname": "pump-10", "dhcp_class": 'Alaris "PCU"'}
    (finding,) = made.findings
    assert finding.code == "SW1352"
    assert "2 entries" in finding.message
    assert "ends within a block" in finding.message
    assert made.counts["without_mac"] == 1


RELEASED = """
lease 192.0.2.20 {{
  starts 4 2026/11/26 06:00:00;
  ends 4 2026/11/26 18:00:00;
  cltt 4 2026/11/26 06:00:00;
  binding state active;
  hardware ethernet 00:1b:c5:00:00:20;
}}
lease 192.0.2.20 {{
  starts 4 2026/11/26 06:00:00;
  ends 4 2026/11/26 {ends};
  cltt 4 2026/11/26 06:00:00;
  binding state {state};
  hardware ethernet 00:1b:c5:00:00:20;
}}
lease 192.0.2.20 {{
  starts 4 2026/11/26 07:00:00;
  ends 4 2026/11/26 19:00:00;
  cltt 4 2026/11/26 07:00:00;
  binding state active;
  hardware ethernet 00:1b:c5:00:00:21;
}}
"""


@pytest.mark.parametrize(("state", "ends", "last"), [("free", "06:05:00", "06:05:00"), ("active", "18:30:00", None)])
def test_a_lease_that_was_given_back_ends_then_and_not_as_planned(
    tmp_path: Path, state: str, ends: str, last: str | None
) -> None:
    made = read("isc_dhcpd", written(tmp_path, RELEASED.format(state=state, ends=ends)))
    seven, at = micros("2026-11-26T07:00:00"), micros("2026-11-26T08:00:00")
    found = merge(made.observations)
    assert not found.conflicts
    held = [each for each in found.intervals() if not each.source.startswith("assumed")]
    assert [each.device[-2:] for each in held] == ["20", "21"] and not any(each.contested for each in held)
    assert held[0].to_us == (micros(f"2026-11-26T{last}") + 1 if last else seven)
    assert (held[1].from_us, held[1].to_us) == (seven, at + 1)


def test_a_row_of_kea_that_follows_ends_the_one_before(tmp_path: Path) -> None:
    at = micros("2026-11-26T08:00:00") // 1_000_000
    rows = [
        f"192.0.2.22,00:1b:c5:00:00:20,,36000,{at - 7200 + 36000},0",
        f"192.0.2.22,00:1b:c5:00:00:20,,0,{at - 7000},3",
        f"192.0.2.22,00:1b:c5:00:00:21,,36000,{at - 6900 + 36000},0",
    ]
    text = "address,hwaddr,client_id,valid_lifetime,expire,state\n" + "\n".join(rows) + "\n"
    found = merge(read("kea", written(tmp_path, text, "leases.csv")).observations)
    assert not found.conflicts
    held = [each for each in found.intervals() if not each.source.startswith("assumed")]
    assert [(each.device[-2:], each.to_us // 1_000_000 - at) for each in held] == [("20", -7000), ("21", 0)]


def test_leases_of_the_corpora(corpora: Path) -> None:
    """Every lease block is counted; the MAC of a DUID is what the file's own clientduid has."""
    folder = corpora / "risk-data" / "dhcp-leases"
    for path in sorted(folder.glob("*.leases")):
        text = path.read_text()
        made = read("isc_dhcpd", path, at="2026-01-01T00:00:00Z")
        assert made.counts["leases"] == sum(line.startswith(("lease ", "  iaaddr ")) for line in text.splitlines()), (
            path.name
        )
        assert not made.findings
        for mac, _address, since, until in claims(made):
            # In full, in the client's DUID, or in a DUID that is written with escapes (the emulated adapters of one file).
            assert mac in text.lower() or mac.replace(":", "") in text or mac == "0a:00:27:00:00:00"
            assert micros("2008-01-01T00:00:00") <= since <= until


KEA4 = """address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id
192.0.2.20,00:1b:c5:00:00:20,01:00,3600,1795681800,1,0,0,cam-20.example.org.,0,{ "vendor-class": "AXIS&#x2cNetwork Camera" },0
192.0.2.21,00:1b:c5:00:00:21,,3600,1795676400,1,0,0,,2,,0
192.0.2.22,00:1b:c5:00:00:22,,3600,1795681800,1,0,0,x,1,,0
192.0.2.23,,ff:00,3600,1795681800,1,0,0,x,0,,0
192.0.2.24,00:1b:c5:00:00:24,,3600,soon,1,0,0,x,0,,0
"""
KEA6 = """address,duid,valid_lifetime,expire,subnet_id,pref_lifetime,lease_type,iaid,prefix_len,fqdn_fwd,fqdn_rev,hostname,hwaddr,state
2001:db8::20,00:03:00:01:00:1b:c5:00:00:25,3600,1795681800,1,1800,0,1,128,0,0,,,0
2001:db8::21,00:02:00:00:ab:11:01,3600,1795681800,1,1800,0,1,128,0,0,,,0
"""


def test_kea(tmp_path: Path) -> None:
    made = read("kea", written(tmp_path, KEA4))
    started = 1795681800 * 1_000_000 - HOUR
    assert claims(made) == [
        ("00:1b:c5:00:00:20", "192.0.2.20", started, micros("2026-11-26T08:00:00")),
        ("00:1b:c5:00:00:21", "192.0.2.21", 1795676400 * 1_000_000 - HOUR, 1795676400 * 1_000_000 - HOUR),
    ]
    assert facts(made)["00:1b:c5:00:00:20"] == {"hostname": "cam-20.example.org", "dhcp_class": "AXIS,Network Camera"}
    assert (made.counts["without_mac"], made.counts["rejected"]) == (1, 1)
    assert made.findings[0].line == 6
    six = read("kea", written(tmp_path, KEA6))
    assert [each[:2] for each in claims(six)] == [("00:1b:c5:00:00:25", "2001:db8::20")]
    assert six.observations[0].confidence == 0.6
    answer = [{"result": 0, "arguments": {"leases": [
        {"ip-address": "192.0.2.20", "hw-address": "00:1b:c5:00:00:20", "cltt": 1795678200, "valid-lft": 3600, "state": 0,
         "hostname": "cam-20.example.org"},
        {"ip-address": "192.0.2.29", "hw-address": "00:1b:c5:00:00:29", "state": 0},
    ]}}]  # fmt: skip
    as_json = read("kea", written(tmp_path, json.dumps(answer)))
    assert claims(as_json) == claims(made)[:1]
    assert as_json.counts["rejected"] == 1
    for text in ("a,b\n1,2\n", "[1]", '{"arguments": {}}', "{"):
        with pytest.raises(FindingError, match="SW1351"):
            read("kea", written(tmp_path, text))


WINDOWS = """#TYPE Microsoft.Management.Infrastructure.CimInstance
"IPAddress","ScopeId","AddressState","ClientId","HostName","LeaseExpiryTime"
"192.0.2.30","192.0.2.0","Active","00-1b-c5-00-00-30","ws30.example.org","26.11.2026 08:30:00"
"192.0.2.31","192.0.2.0","ActiveReservation","00-1b-c5-00-00-31","",""
"192.0.2.32","192.0.2.0","Expired","00-1b-c5-00-00-32","x","25.11.2026 08:30:00"
"192.0.2.33","192.0.2.0","Active","52-41-53-20-01-02-03","RAS","26.11.2026 08:30:00"
"192.0.2.34","192.0.2.0","Sleeping","00-1b-c5-00-00-34","","26.11.2026 08:30:00"
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_windows_dhcp(tmp_path: Path, encoding: str) -> None:
    path = written(tmp_path, WINDOWS.encode(encoding))
    made = read("windows_dhcp", path, time_format="%d.%m.%Y %H:%M:%S", time_zone="Europe/Vienna")
    at = micros("2026-11-26T08:00:00")
    assert claims(made) == [
        ("00:1b:c5:00:00:30", "192.0.2.30", micros("2026-11-26T07:30:00"), micros("2026-11-26T07:30:00")),
        ("00:1b:c5:00:00:31", "192.0.2.31", at, at),
    ]
    assert facts(made)["00:1b:c5:00:00:30"] == {"hostname": "ws30.example.org"}
    assert made.counts["without_mac"] == 1
    assert "Sleeping" in made.findings[0].message.title()
    # A time that may mean two things is not guessed; the lease counts at the file's time.
    vague = read("windows_dhcp", path)
    assert "time_format" in vague.findings[0].message
    assert claims(vague)[0][2:] == (at, at)
    with pytest.raises(FindingError, match="SW1350"):
        read("windows_dhcp", path, time_zone="Mars/Olympus")


def test_dnsmasq(tmp_path: Path) -> None:
    text = (
        "1795679000 00:1b:c5:00:00:40 192.0.2.40 cam40 01:00:1b:c5:00:00:40\n0 06-00:1b:c5:00:00:41 192.0.2.41 * *\nnonsense\n"
        "duid 00:01:00:01:2a:00:00:00:00:1b:c5:00:00:01\n1795679000 1234 2001:db8::40 cam40 00:03:00:01:00:1b:c5:00:00:42\n"
    )
    made = read("dnsmasq", written(tmp_path, text))
    assert [each[:2] for each in claims(made)] == [
        ("00:1b:c5:00:00:40", "192.0.2.40"),
        ("00:1b:c5:00:00:41", "192.0.2.41"),
        ("00:1b:c5:00:00:42", "2001:db8::40"),
    ]
    assert claims(made)[0][2] == 1795679000 * 1_000_000
    assert facts(made)["00:1b:c5:00:00:41"] == {}
    assert made.findings[0].line == 3


TABLE = """Asset ID;MAC address;IP address;Name;Device type;Served ports;Ward
17;001B.C500.0050;192.0.2.50;vent-50;Ventilator;tcp/2575 udp/123;3
18;;192.0.2.51;old-printer;Printer;;
19;;;nobody;Printer;;
20;zz;192.0.2.52;x;y;;
"""


def test_tables(tmp_path: Path) -> None:
    made = read("table", written(tmp_path, TABLE, "a.csv"), columns={"Ward": "site"}, name="assets")
    assert facts(made)["00:1b:c5:00:00:50"] == {
        "hostname": "vent-50",
        "asset_type": "Ventilator",
        "served_ports": ["tcp/2575", "udp/123"],
        "site": "3",
    }
    assert [(each.mac, each.addresses[0].address) for each in made.observations] == [  # type: ignore[union-attr]
        ("00:1b:c5:00:00:50", "192.0.2.50"),
        ("", "192.0.2.51"),
    ]
    assert [each.code for each in made.findings] == ["SW1352", "SW1356"]
    assert "line 4" in made.findings[0].message
    assert "Asset ID" in made.findings[1].message
    text = "devices:\n  - {mac: '00:1b:c5:00:00:50', address: [192.0.2.50], asset_type: Vent, seen: 2026-11-20T00:00:00Z}\n  - {vlan: 1}\n"
    rows = read("table", written(tmp_path, text, "a.yml"))
    assert rows.observations[0].time == micros("2026-11-20T00:00:00")
    assert rows.findings[0].line == 3
    for options in ({"confidence": 2}, {"columns": {"a": "colour"}}, {"delimiter": "xx"}):
        with pytest.raises(FindingError, match="SW1350"):
            read("table", written(tmp_path, TABLE, "a.csv"), **options)


def test_a_row_from_the_future_is_told_and_left_out(tmp_path: Path) -> None:
    """The newest word weighs most: such a row would stand against all to come."""
    head, mac = "mac,last seen,type", "00:1b:c5:00:00:5"
    rows = (f"{mac}1,2026-11-27T07:59:59Z,Pump", f"{mac}2,2036-11-26,Printer", f"{mac}3,2026-11-26 07:00,Pump")
    made = read("table", written(tmp_path, "\n".join((head, *rows)), "a.csv"))
    assert {each.mac for each in made.observations} == {f"{mac}1", f"{mac}3"}
    (told,) = made.findings
    assert told.line == 3 and "later than its source said so" in told.message


def test_what_is_said_of_an_address_comes_to_the_device_that_held_it(tmp_path: Path) -> None:
    leases = read("isc_dhcpd", written(tmp_path, ISC)).observations
    table = read(
        "table", written(tmp_path, "ip;type\n192.0.2.10;Infusion pump\n192.0.2.99;Printer\n", "a.csv"), name="cmdb"
    )
    register = merge([*leases, *table.observations])
    fact = register.devices["00:1b:c5:00:00:10"].facts["asset_type"]
    assert (fact.value, fact.source, fact.confidence) == ("Infusion pump", "cmdb:by-address", 0.81)
    assert {name: each.devices for name, each in register.hosts.items()} == {
        "192.0.2.10": ("00:1b:c5:00:00:10",),
        "192.0.2.99": (),
    }


HOSPITAL = joined(
    device(
        1, "pump-1", "Infusion Pump", "00:1B:C5:00:00:61", "192.0.2.61", custom_fields={"team": "clinical-engineering"}
    ),
    device(2, "srv-2", "Server", "", "192.0.2.62"),
    device(3, "shelf", "Server"),
    device(4, "gone", "Server", "00:1B:C5:00:00:64", status={"value": "decommissioning"}),
    device(5, "cam-5", "Camera", "00:1B:C5:00:00:65"),
)


def netbox(site: NetBox, **options: Any) -> Reading:
    given = {"url": site.url, "ca_file": str(site.ca_file), "token": site.token, "page_size": 2, **options}
    return read("netbox", **given)


@pytest.mark.parametrize("token", ["0123456789abcdef0123456789abcdef01234567", "nbt_k1.s3cret"])
def test_netbox_over_https_page_by_page(tmp_path: Path, token: str) -> None:
    with served(NetBox(HOSPITAL, token), tmp_path) as site:
        made = netbox(site, fields={"team": "owner"})
        assert len([path for path, _token in site.requests if "/dcim/devices/" in path]) == 3
        some = netbox(site, filters={"role": "camera"})
    assert facts(made)["00:1b:c5:00:00:61"] == {
        "asset_type": "Infusion Pump",
        "manufacturer": "Maker",
        "model": "M1",
        "site": "Hospital 1",
        "serial": "S1",
        "owner": "clinical-engineering",
        "hostname": "pump-1",
    }
    assert [(each.mac, each.addresses) for each in made.observations if not each.mac] == [
        ("", (AddressClaim("192.0.2.62", micros("2026-11-20T10:00:00"), micros("2026-11-20T10:00:00")),))
    ]
    wanted = {"devices": 5, "not_in_use": 1, "with_mac": 2, "with_address_only": 1, "with_neither": 1}
    assert {name: made.counts[name] for name in wanted} == wanted
    assert {each.mac for each in some.observations} == {"00:1b:c5:00:00:65"}
    exported = {
        name.split("/")[1].replace("-", "_"): items
        for name, items in HOSPITAL.items()
        if name.startswith(("dcim", "ipam"))
    }
    offline = read("netbox", written(tmp_path, json.dumps(exported), "export.json"), fields={"team": "owner"})
    assert sorted(offline.observations, key=repr) == sorted(made.observations, key=repr)


def test_netbox_that_fails_is_a_finding_without_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netbox_client, "_wait", lambda _header, _attempt: 0.0)
    with served(NetBox(HOSPITAL), tmp_path) as site:
        secret = site.token
        busy = {"left": 3}

        def once_busy(_path: str, _number: int) -> Any:
            busy["left"] -= 1
            return (429, {"Retry-After": "1"}, b"") if busy["left"] >= 0 else None

        site.fault = once_busy
        assert netbox(site).counts["devices"] == 5
        again = json.dumps({"next": f"{site.url}/api/dcim/devices/?offset=1", "results": [{"id": 1}]}).encode()
        elsewhere = json.dumps({"count": 9, "next": "https://evil.example/api/dcim/devices/?x", "results": []}).encode()
        for answer, said in (
            ((500, {}, b""), "answers 500"),
            ((503, {}, b""), "answers 503"),
            ((302, {"Location": "https://evil.example/"}, b""), "answers 302"),
            ((200, {}, b"<html>"), "no JSON"),
            ((200, {}, b"[]"), "no object"),
            ((200, {}, b'{"results": [1]}'), "no list of objects"),
            ((200, {}, b'{"count": 7, "next": null, "results": []}'), "announces 7 objects and gives 0"),
            ((200, {}, elsewhere), "another server"),
            ((200, {}, again), "nothing new"),
        ):
            site.fault = lambda _path, _number, answer=answer: answer
            with pytest.raises(FindingError, match=said) as caught:
                netbox(site)
            assert caught.value.findings[0].code == "SW1351"
            assert secret not in str(caught.value)
        site.fault = lambda _path, _number: None
        for options, said in (
            ({"token": "wrong-token-1"}, "refused"),
            ({"ca_file": ""}, "not trusted"),
            ({"url": site.url.replace("https", "http")}, "url is https"),
            ({"token": ""}, "no API token"),
            ({"page_size": 0}, "page_size"),
        ):
            with pytest.raises(FindingError, match=said) as caught:
                netbox(site, **options)
            assert secret not in str(caught.value)
            assert "wrong-token-1" not in str(caught.value)
        monkeypatch.setenv("LAB_TOKEN", secret)
        assert netbox(site, token="", token_variable="LAB_TOKEN").counts["devices"] == 5


OWN = """
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.model import Observation
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.sources.kind import Kind, Reading


def read(asked):
    return Reading(tuple(Observation(line, {"site": asked.option("where")}, (), asked.name, asked.at) for line in asked.text().split()))


KIND = Kind("lines", "One MAC a line", read, {"where": "the site"})
"""


def test_a_site_adds_a_source_with_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "sources"
    folder.mkdir()
    written(folder, OWN, "lines.py")
    known = kinds([folder])
    entry = {"kind": "lines", "path": str(written(tmp_path, "00:1b:c5:00:00:71\n")), "where": "ward 3", "at": AT}
    ((kind, asked),) = asked_of([entry], known, NOW)
    assert merge(kind.read(asked).observations).devices["00:1b:c5:00:00:71"].value("site") == "ward 3"
    faulty = {
        "no KIND": "KIND = 1",
        "ZeroDivisionError": "1 / 0",
        "taken": OWN.replace('"lines"', '"kea"'),
        "no name": OWN.replace('"lines"', '"a b"'),
    }
    for said, text in faulty.items():
        written(folder, text, "lines.py")
        with pytest.raises(FindingError, match=said):
            kinds([folder])
    with pytest.raises(FindingError, match="SW1353"):
        kinds([tmp_path / "none"])


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (["x"], "a mapping"),
        ([{"kind": "carrier_pigeon"}], "there are dnsmasq"),
        ([{"kind": "kea"}], "needs a path"),
        ([{"kind": "kea", "path": "/x", "colour": 1}], "does not know colour"),
        ([{"kind": "kea", "path": "/x", "name": "../x"}], "is no name"),
        ([{"kind": "kea", "path": "/x"}, {"kind": "kea", "path": "/y"}], "given twice"),
        ([{"kind": "kea", "path": "/x", "at": "yesterday"}], "not a moment"),
    ],
)
def test_entries_that_cannot_be_are_refused(entries: list[Any], said: str) -> None:
    with pytest.raises(FindingError, match=said):
        asked_of(entries, kinds(), NOW)


def test_macs_of_duids() -> None:
    assert mac_of_duid(bytes.fromhex("00010001 1cf710a5 002722332b34")) == "00:27:22:33:2b:34"
    assert mac_of_duid(bytes.fromhex("00030001 002722332b34")) == "00:27:22:33:2b:34"
    for text in ("", "0002000000ab1122", "00030020 002722332b34", "00030001 0027"):
        assert mac_of_duid(bytes.fromhex(text)) is None


IEEE = """Registry,Assignment,Organization Name,Organization Address
MA-L,70B3D5,IEEE Registration Authority,"445 Hoes Lane"
MA-L,001BC5,IEEE Registration Authority,x
MA-L,00408C,Axis Communications AB,x
MA-L,AABBCC,Private,x
CID,0A1234,Somebody,x
"""
SMALL = """Registry,Assignment,Organization Name,Organization Address
MA-S,70B3D5123,"Amfitech ApS",x
MA-M,0055DA1,"Middle  Block\nCo.",x
"""
MANUF = "# comment\n00:40:8C\tAxis\tAxis Communications AB\n70:B3:D5:12:30:00/36\tAmfitech\tAmfitech ApS\n00:55:DA:10:00:00/28\tMiddle\n"


@pytest.mark.parametrize("files", [(IEEE, SMALL), (SMALL, IEEE), (MANUF,), (MANUF, IEEE, SMALL)])
def test_the_longest_prefix_names_the_vendor(tmp_path: Path, files: tuple[str, ...]) -> None:
    table, findings = read_oui([written(tmp_path, text, str(number)) for number, text in enumerate(files)])
    assert not findings
    assert table.vendor("70:b3:d5:12:31:11") == ("Amfitech ApS", 36)
    assert table.vendor("00:55:da:1f:00:01")[1] == 28  # type: ignore[index]
    assert table.vendor("00:40:8c:00:00:01") == ("Axis Communications AB", 24)
    for mac in (
        "70:b3:d5:12:41:11",
        "02:40:8c:00:00:01",
        "aa:bb:cc:00:00:01",
        "0a:12:34:00:00:01",
        "00:00:5e:00:53:01",
    ):
        assert table.vendor(mac) is None, mac


def test_a_file_that_is_no_table_of_ouis_is_told(tmp_path: Path) -> None:
    good = written(tmp_path, IEEE, "good")
    table, findings = read_oui(
        [written(tmp_path, "hello\n", "bad"), tmp_path / "none", written(tmp_path, b"x", "x.gz"), good]
    )
    assert [each.code for each in findings] == ["SW1354"] * 3
    assert table.vendor("00:40:8c:00:00:01")
    assert isinstance(merge([]), Register)
