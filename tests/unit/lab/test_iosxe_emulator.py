# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulated switches as the real clients see them: netmiko (cisco_xe) and libssh (CR line ends), and the side channel."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.lab.iosxe.control_client import ControlClient
from tests.lab.iosxe.fleet import Fleet, FleetThread
from tests.lab.iosxe.provider import HttpProvider, StaticProvider
from tests.lab.iosxe.spec import DeviceSpec, HostSpec, InterfaceSpec

netmiko = pytest.importorskip("netmiko")

ROOT = Path(__file__).resolve().parents[3]
USER, PASSWORD, SECRET = "netops", "lab-password", "lab-secret"
LONG_NAME = "building7-floor2-access-01"
PATTERN = r"(?m)^\s*%"
PORTS = tuple(InterfaceSpec(f"GigabitEthernet1/0/{n}", f"port {n}", 10) for n in range(1, 25))
HOST = HostSpec("02:1a:10:00:00:11", "10.10.0.11", "GigabitEthernet1/0/1", 10)


def address(number: int) -> str:
    return f"127.10.78.{number}"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetThread]:
    folder = tmp_path_factory.mktemp("iosxe")
    specs = [
        DeviceSpec(LONG_NAME, address(1), 0, interfaces=PORTS, hosts=(HOST,), minute_seconds=2.0),
        DeviceSpec("acc2", address(2), 0, interfaces=PORTS, archive=False, input_buffer=200, vty_lines=2),
        DeviceSpec(
            "acc3",
            address(3),
            0,
            interfaces=PORTS,
            controller="10.99.0.5",
            management_interface="Vlan99",
            minute_seconds=3.0,
            initial_config="interface Vlan99\n ip address 10.99.0.31 255.255.255.0\n",
        ),
        *(DeviceSpec(f"many{n}", address(100 + n), 0, interfaces=PORTS) for n in range(50)),
    ]
    fleet = Fleet(
        specs,
        folder / "host_key",
        {USER: PASSWORD, "root15": (PASSWORD, 15)},
        (address(250), 0),
        known_hosts_path=folder / "known_hosts",
        enable_secret=SECRET,
        provider=StaticProvider(),
    )
    with FleetThread(fleet) as running:
        yield running


@pytest.fixture
def control(fleet: FleetThread) -> Iterator[ControlClient]:
    """The side channel; the three main switches go back to their first state afterwards."""
    client = ControlClient(address(250), fleet.fleet.control_port)
    names = (LONG_NAME, "acc2", "acc3")
    states = {name: client.call("dump", device=name)["state"] for name in names}
    for name in names:
        client.call("reset", device=name)
    yield client
    for name in names:
        client.call("restore", device=name, state=states[name])
        client.call("reset", device=name)


Connect = Callable[..., Any]


@pytest.fixture
def connect(fleet: FleetThread, control: ControlClient) -> Iterator[Connect]:
    opened = []

    def open_session(name: str = LONG_NAME, *, enable: bool = True, **more: Any) -> Any:
        device = fleet.device(name)
        given: dict[str, Any] = {
            "device_type": "cisco_xe",
            "host": device.spec.address,
            "port": device.port,
            "username": USER,
            "password": PASSWORD,
            "secret": SECRET,
            "ssh_strict": True,
            "system_host_keys": False,
            "alt_host_keys": True,
            "alt_key_file": str(fleet.fleet.known_hosts_path),
            "conn_timeout": 10,
        }
        session = netmiko.ConnectHandler(**{**given, **more})
        opened.append(session)
        if enable:
            session.enable()
        return session

    yield open_session
    for session in opened:
        session.paramiko_cleanup()


# -- sessions ------------------------------------------------------------------------------------------------------------


def test_connect_enable_and_prompts(connect: Connect) -> None:
    session = connect(enable=False)
    assert session.find_prompt() == f"{LONG_NAME}>"
    assert session.send_command("show privilege") == "Current privilege level is 1"
    assert "Invalid input" in session.send_command("show running-config")
    session.enable()
    assert session.find_prompt() == f"{LONG_NAME}#"
    assert session.send_command("show privilege") == "Current privilege level is 15"
    session.config_mode()
    assert session.find_prompt() == f"{LONG_NAME[:20]}(config)#"
    assert "Current privilege level is 15" in session.send_command("do show privilege", expect_string=r"\(config\)#")
    session.exit_config_mode()
    assert USER in session.send_command("show users")


def test_a_user_of_privilege_15_is_enabled_at_once(connect: Connect) -> None:
    assert connect(username="root15", enable=False).find_prompt() == f"{LONG_NAME}#"


def test_paging_stops_and_goes_on(connect: Connect) -> None:
    session = connect()
    whole = session.send_command("show running-config")
    assert whole.startswith("Building configuration...")
    session.send_command("terminal length 24")
    first = session.send_command("show running-config", expect_string=r"--More--")
    assert len(first.splitlines()) < 30
    pages = [first]
    for _ in range(20):
        session.write_channel(" ")
        pages.append(session.read_until_pattern(r"--More--|#\s*$", read_timeout=5))
        if "--More--" not in pages[-1]:
            break
    text = "".join(pages)
    assert len(pages) > 3
    for line in whole.splitlines():
        assert line.strip() in text
    session.send_command("show running-config", expect_string=r"--More--")
    session.write_channel("q")
    assert "end" not in session.read_until_pattern(r"#\s*$", read_timeout=5)


def test_wrong_password_and_unknown_host_key_are_refused(connect: Connect, fleet: FleetThread, tmp_path: Path) -> None:
    with pytest.raises(netmiko.NetmikoAuthenticationException):
        connect(password="wrong")
    with pytest.raises(netmiko.NetmikoAuthenticationException):
        connect(username="nobody")
    empty = tmp_path / "known_hosts"
    empty.write_text("")
    with pytest.raises(Exception, match="not found in known_hosts"):
        connect(alt_key_file=str(empty))
    assert fleet.device(LONG_NAME).counters.authentication_failures >= 2


def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.02)


def test_terminal_lines_are_limited_and_freed(connect: Connect, control: ControlClient, fleet: FleetThread) -> None:
    first = connect("acc2")
    connect("acc2")
    with pytest.raises(Exception, match=r".+"):
        connect("acc2")
    assert control.call("counters", device="acc2")["sessions_refused"] >= 1
    first.disconnect()
    wait_for(lambda: len(fleet.device("acc2").sessions) == 1)
    connect("acc2")


# -- configuration -------------------------------------------------------------------------------------------------------


def test_build_attach_swap_and_delete(connect: Connect, control: ControlClient) -> None:
    session = connect()
    control.call("reset", device=LONG_NAME)
    session.send_config_set(
        [
            "ip access-list extended SEG_A__v1",
            "remark policy r1",
            "permit tcp any 10.0.0.5 0.0.0.0 eq 80",
            "permit 17 any any eq 53",
            "deny ip any any",
        ],
        error_pattern=PATTERN,
    )
    assert session.send_command("show ip access-lists SEG_A__v1").splitlines() == [
        "Extended IP access list SEG_A__v1",
        "    10 permit tcp any host 10.0.0.5 eq www",
        "    20 permit udp any any eq domain",
        "    30 deny ip any any",
    ]
    assert session.send_command("show running-config | section SEG_A__v1").splitlines()[:3] == [
        "ip access-list extended SEG_A__v1",
        " 10 remark policy r1",
        " 10 permit tcp any host 10.0.0.5 eq www",
    ]
    for name in ("SEG_A__v1", "SEG_A__v2"):
        session.send_config_set(["interface GigabitEthernet1/0/1", f"ip access-group {name} in"], error_pattern=PATTERN)
        assert f" ip access-group {name} in" in session.send_command(
            "show running-config interface GigabitEthernet1/0/1"
        )
    assert "Inbound access list is SEG_A__v2" in session.send_command("show ip interface GigabitEthernet1/0/1")
    counters = control.call("counters", device=LONG_NAME)
    assert (counters["config_lines"], counters["config_changes"]) == (9, 7)
    session.send_config_set(["no ip access-list extended SEG_A__v1"], error_pattern=PATTERN)
    assert "SEG_A__v1" not in session.send_command("show running-config")
    records = control.call("records", device=LONG_NAME)["records"]
    assert [r["line"] for r in records][-1] == "no ip access-list extended SEG_A__v1"
    assert all(r["user"] == USER and r["output"] == "" for r in records)


def test_a_refused_line_stops_the_push_and_the_earlier_lines_stay(connect: Connect, control: ControlClient) -> None:
    session = connect()
    lines = ["ip access-list extended X", "permit tcp any any eq 22", "permit tcp any any eq nosuch", "deny ip any any"]
    with pytest.raises(netmiko.ConfigInvalidException):
        session.send_config_set(lines, error_pattern=PATTERN)
    assert session.check_config_mode()
    session.exit_config_mode()
    assert session.send_command("show ip access-lists X").splitlines()[1:] == ["    10 permit tcp any any eq 22"]
    output = session.send_config_set(
        lines
    )  # without a pattern the refusal goes by unseen: facts/devices.md section 0 item 2
    assert "% Invalid input detected at '^' marker." in output
    assert len(session.send_command("show ip access-lists X").splitlines()) == 3


def test_role_based_lists_and_cells(connect: Connect) -> None:
    session = connect()
    session.send_config_set(
        [
            "ip access-list role-based SG_A",
            "permit tcp dst eq 443",
            "deny ip",
            "cts role-based permissions from 10 to 20 ipv4 SG_A",
            "cts role-based sgt-map 10.10.0.11 sgt 20",
            "cts role-based monitor permissions from 10 to 20 ipv4",
        ],
        error_pattern=PATTERN,
    )
    assert session.send_command("show cts role-based permissions from 10 to 20").splitlines()[:2] == [
        "IPv4 Role-based permissions from group 10 to group 20 (configured) (monitored):",
        "        SG_A",
    ]
    assert "Role-based IP access list SG_A\n    10 permit tcp dst eq 443\n" in session.send_command(
        "show ip access-lists"
    )
    with pytest.raises(netmiko.ConfigInvalidException):
        session.send_config_set(["ip access-list role-based SG_A", "permit tcp any any eq 443"], error_pattern=PATTERN)


def test_saving_and_reloading(connect: Connect, control: ControlClient) -> None:
    session = connect()
    session.send_config_set(["ip access-list extended SAVED", "permit ip any any"], error_pattern=PATTERN)
    assert "[OK]" in session.save_config()
    session.send_config_set(["ip access-list extended LOST", "permit ip any any"], error_pattern=PATTERN)
    assert "ip access-list extended SAVED" in session.send_command("show startup-config")
    control.call("reload", device=LONG_NAME)
    with pytest.raises(Exception, match=r".+"):
        session.send_command("show clock", read_timeout=1.5)
    again = connect()
    names = again.send_command("show running-config | include ip access-list")
    assert "SAVED" in names
    assert "LOST" not in names
    output = again.send_command("copy running-config startup-config", expect_string=r"\?")
    output += again.send_command("", expect_string=r"#")
    assert "[OK]" in output


def test_reload_in_and_cancel(connect: Connect) -> None:
    session = connect("acc3")
    session.send_config_set(["hostname acc3"])
    output = session.send_command("reload in 60", expect_string=r"confirm|yes/no")
    if "yes/no" in output:
        session.send_command("no", expect_string="confirm")
    assert "Reload scheduled for" in session.send_command("", expect_string="#")
    assert "SHUTDOWN ABORTED" in session.send_command("reload cancel")
    assert "No reload is scheduled" in session.send_command("show reload")


# -- rollback ------------------------------------------------------------------------------------------------------------


def revert(session: Any, minutes: int, *lines: str) -> None:
    session.send_config_set(
        lines, error_pattern=PATTERN, config_mode_command=f"configure terminal revert timer {minutes}"
    )


@pytest.mark.one_python
def test_the_revert_timer_goes_back_unless_confirmed(connect: Connect, control: ControlClient) -> None:
    session = connect()
    before = session.send_command("show running-config").partition("\nversion")[2]
    revert(session, 1, "ip access-list extended T", "permit ip any any", "interface gi1/0/1", "ip access-group T in")
    assert "ip access-group T in" in session.send_command("show running-config interface gi1/0/1")
    wait_for(lambda: "extended T" not in control.call("running", device=LONG_NAME)["text"])
    assert session.send_command("show running-config").partition("\nversion")[2] == before
    assert any("ROLLBK_CNFMD_CHG_ROLLBACK_START" in line for line in control.call("log", device=LONG_NAME)["log"])
    revert(session, 1, "ip access-list extended T", "permit ip any any")
    assert session.send_command("configure confirm") == ""
    time.sleep(2.2)
    assert "10 permit ip any any" in session.send_command("show ip access-lists T")
    revert(session, 100, "no ip access-list extended T")
    assert "Rollback Done" in session.send_command("configure revert now")
    assert "10 permit ip any any" in session.send_command("show ip access-lists T")
    assert session.send_command("configure confirm").startswith("% No Rollback Confirmed Change pending")


def test_the_revert_timer_needs_an_archive(connect: Connect) -> None:
    session = connect("acc2")
    output = session.send_command("configure terminal revert timer 5")
    assert output.startswith("% Archive path is not configured")
    assert not session.check_config_mode()


@pytest.mark.one_python
def test_a_lock_out_cuts_running_and_new_sessions_until_the_timer_fires(connect: Connect, fleet: FleetThread) -> None:
    session = connect("acc3")
    with pytest.raises(netmiko.ReadTimeout):
        session.send_config_set(
            [
                "ip access-list extended OUT",
                "permit udp any any",
                "interface Vlan99",
                "ip access-group OUT in",
                "description x",
            ],
            config_mode_command="configure terminal revert timer 1",
            read_timeout=0.3,
        )
    with pytest.raises(Exception, match=r".+"):
        connect("acc3", conn_timeout=2)
    wait_for(lambda: fleet.device("acc3").revert is None)
    again = connect("acc3")
    assert "OUT" not in again.send_command("show running-config")


# -- two administrators --------------------------------------------------------------------------------------------------


def test_another_administrator_changes_the_header_and_the_lock_keeps_others_out(
    connect: Connect, control: ControlClient
) -> None:
    session = connect()
    session.send_config_set(["hostname " + LONG_NAME])
    first = session.send_command("show running-config | include Last configuration change")
    assert first.endswith(f"by {USER}")
    assert control.call("apply", device=LONG_NAME, lines=["ip access-list extended Z", "permit tcp any any eq x"])[
        "outputs"
    ][1]
    assert session.send_command("show running-config | include Last configuration change").endswith("by other-admin")
    session.send_config_set(["configuration mode exclusive auto"])
    session.config_mode()
    other = connect()
    assert "locked exclusively by user 'netops'" in other.send_command("configure terminal", expect_string="#")
    assert "State               : LOCKED" in other.send_command("show configuration lock")
    session.exit_config_mode()
    assert "State               : FREE" in other.send_command("show configuration lock")


# -- line editing --------------------------------------------------------------------------------------------------------


def test_a_line_that_is_too_long_is_cut(connect: Connect) -> None:
    session = connect()
    session.config_mode()
    session.write_channel("hostname " + "h" * 40 + "\x15" + "interface gi1/0/1x\x08\n")
    session.read_until_pattern(r"\(config-if\)#", read_timeout=5)
    session.write_channel("description " + "d" * 400 + "\n")
    echoed = session.read_until_pattern(r"\(config-if\)#", read_timeout=5)
    assert echoed.count("\x07") == 400 + len("description ") - 254
    session.exit_config_mode()
    assert session.send_command("show running-config interface gi1/0/1").count("d" * 240 + "\n") == 1


@pytest.mark.one_python
def test_a_narrow_terminal_scrolls_and_a_small_input_buffer_loses_what_comes_too_fast(
    connect: Connect, control: ControlClient
) -> None:
    session = connect("acc2")
    session.send_command("terminal width 80")
    session.config_mode()
    line = "ip access-list extended " + "A" * 60
    session.write_channel(line + "\n")
    echoed = session.read_until_pattern(r"nacl\)#", read_timeout=5)
    assert line not in echoed
    assert "$" in echoed
    control.call("fault", device="acc2", fault={"kind": "line_delay", "times": 1, "seconds": 1.5})
    session.write_channel("permit tcp any any eq 9999\n")
    time.sleep(0.4)
    session.write_channel("".join(f"permit tcp any any eq {n}\n" for n in range(1, 101)))
    time.sleep(1.8)
    session.read_channel()
    session.exit_config_mode()
    kept = session.send_command("show ip access-lists").count("permit tcp")
    assert 1 < kept < 20


# -- faults --------------------------------------------------------------------------------------------------------------


def test_faults_of_login(connect: Connect, control: ControlClient, fleet: FleetThread) -> None:
    control.call("fault", device=LONG_NAME, fault={"kind": "refuse_auth"})
    with pytest.raises(netmiko.NetmikoAuthenticationException):
        connect()
    control.call("fault", device=LONG_NAME, fault={"kind": "refuse_connect"})
    with pytest.raises(Exception, match=r".+"):
        connect()
    control.call("fault", device=LONG_NAME, fault={"kind": "wrong_enable", "times": None})
    session = connect(enable=False)
    session.write_channel("enable\n")
    for _attempt in range(3):
        session.read_until_pattern("Password:", read_timeout=5)
        session.write_channel(SECRET + "\n")
    assert "% Bad secrets" in session.read_until_pattern(r">", read_timeout=5)
    control.call("clear_faults", device=LONG_NAME)
    session.enable()


def test_fault_changed_host_key(connect: Connect, control: ControlClient, fleet: FleetThread) -> None:
    connect("many49")
    control.call("host_key", device="many49")
    with pytest.raises(Exception, match=r"[Hh]ost key"):
        connect("many49")


@pytest.mark.parametrize(("kind", "seconds"), [("slow_prompt", 0.7), ("line_delay", 0.7)])
def test_faults_that_delay(connect: Connect, control: ControlClient, kind: str, seconds: float) -> None:
    session = connect()
    control.call("fault", device=LONG_NAME, fault={"kind": kind, "seconds": seconds})
    started = time.monotonic()
    assert "UTC" in session.send_command("show clock")
    assert time.monotonic() - started >= seconds


def test_fault_drop_after_lines(connect: Connect, control: ControlClient) -> None:
    session = connect()
    control.call("fault", device=LONG_NAME, fault={"kind": "drop_after_lines", "lines": 3})
    with pytest.raises(Exception, match=r".+"):
        session.send_config_set(
            ["ip access-list extended D", *(f"permit tcp any any eq {n}" for n in range(1, 9))],
            error_pattern=PATTERN,
            read_timeout=1.5,
        )
    assert connect().send_command("show ip access-lists D").splitlines()[1:] == [
        "    10 permit tcp any any eq 1",
        "    20 permit tcp any any eq 2",
    ]


def test_fault_drop_before_write(connect: Connect, control: ControlClient) -> None:
    session = connect()
    session.send_config_set(["ip access-list extended W"], error_pattern=PATTERN)
    control.call("fault", device=LONG_NAME, fault={"kind": "drop_before_write"})
    session.write_channel("write memory\n")
    wait_for(lambda: session.remote_conn.closed)
    assert "extended W" not in connect().send_command("show startup-config")


def test_fault_error_on_a_line(connect: Connect, control: ControlClient) -> None:
    session = connect()
    control.call("fault", device=LONG_NAME, fault={"kind": "error_on", "regex": "eq 2$"})
    with pytest.raises(netmiko.ConfigInvalidException):
        session.send_config_set(
            ["ip access-list extended E", "permit tcp any any eq 1", "permit tcp any any eq 2"], error_pattern=PATTERN
        )


def test_fault_syslog_line_in_the_session(connect: Connect, control: ControlClient) -> None:
    session = connect()
    control.call(
        "fault",
        device=LONG_NAME,
        fault={"kind": "syslog", "text": "%LINK-3-UPDOWN: Interface Gi1/0/9, changed state to up"},
    )
    assert "%LINK-3-UPDOWN" in session.send_command("show clock")
    assert "%LINK-3-UPDOWN" not in session.send_command("show clock")


def test_fault_half_echo_and_hang(connect: Connect, control: ControlClient) -> None:
    session = connect()
    control.call("fault", device=LONG_NAME, fault={"kind": "half_echo"})
    session.write_channel("show inventory\n")
    shown = session.read_until_pattern("#", read_timeout=2)
    assert "PID" in shown
    assert "show inventory" not in shown  # netmiko's send_command would now wait ten seconds for the echo
    control.call("fault", device=LONG_NAME, fault={"kind": "hang"})
    session.write_channel("show clock\n")
    with pytest.raises(netmiko.ReadTimeout):
        session.read_until_pattern("#", read_timeout=1)


def test_fault_reload_in_the_middle_of_a_push(connect: Connect, control: ControlClient) -> None:
    session = connect()
    control.call("fault", device=LONG_NAME, fault={"kind": "reload_after_lines", "lines": 2})
    with pytest.raises(Exception, match=r".+"):
        session.send_config_set(
            ["ip access-list extended R", "permit ip any any", "deny ip any any"],
            error_pattern=PATTERN,
            read_timeout=1.5,
        )
    assert "extended R" not in connect().send_command("show running-config")


# -- side channel --------------------------------------------------------------------------------------------------------


def test_the_side_channel_injects_packets_and_records_every_line(connect: Connect, control: ControlClient) -> None:
    session = connect()
    packet = {
        "protocol": "tcp",
        "source": "10.10.0.11",
        "destination": "10.0.0.1",
        "source_port": 5,
        "destination_port": 80,
        "tcp_flags": ["syn"],
    }
    probe = {"interface": "GigabitEthernet1/0/1", "direction": "in", "packet": packet}
    assert control.call("probes", device=LONG_NAME, probes=[probe])["verdicts"] == "P"
    session.send_config_set(
        [
            "ip access-list extended T",
            "permit tcp any any eq 80",
            "interface gi1/0/1",
            "ip access-group T in",
            "ip access-list extended T",
            "no 10",
            "permit udp any any",
        ],
        error_pattern=PATTERN,
    )
    trace = control.call("trace", device=LONG_NAME)["trace"]
    assert [(r["line"], r["verdicts"]) for r in trace][-3:] == [
        ("ip access-group T in", "P"),
        ("no 10", "P"),
        ("permit udp any any", "D"),
    ]
    control.call("apply", device=LONG_NAME, lines=["ip access-list extended T", "permit tcp any any eq www"])
    verdict = control.call("inject", device=LONG_NAME, probes=[probe], count=5)["verdicts"][0]
    assert (verdict["permit"], verdict["list_name"], verdict["line"]) == (True, "T", "permit tcp any any eq www")
    assert "eq www (5 matches)" in session.send_command("show ip access-lists T")
    with pytest.raises(RuntimeError, match="404"):
        control.call("counters", device="nobody")
    with pytest.raises(RuntimeError, match="unknown fault"):
        control.call("fault", device=LONG_NAME, fault={"kind": "nonsense"})


def test_sessions_come_from_the_provider(connect: Connect, control: ControlClient) -> None:
    control.call(
        "provider",
        sessions=[{"mac": HOST.mac, "dacl": "#ACSACL#-IP-P-6925a1b2", "dacl_lines": ["permit ip any any"], "sgt": 100}],
        sgts={"100": "Pumps"},
    )
    try:
        session = connect()
        assert "xACSACLx-IP-P-6925a1b2" in session.send_command("show ip access-lists")
        assert session.send_command("show access-session", use_textfsm=True)[0]["mac_address"] == "021a.1000.0011"
    finally:
        control.call("provider", sessions=[], sgts={})


def test_the_http_provider_polls(fleet: FleetThread) -> None:
    import http.server
    import threading

    answers = [{"sessions": [{"mac": "02:00:00:00:00:01"}], "cts_cells": [], "sgts": {"5": "Five"}}]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers[-1]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    server = http.server.HTTPServer((address(251), 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    provider = HttpProvider(f"http://{address(251)}:{server.server_port}/", seconds=0.05)
    provider.start()
    try:
        assert (provider.error, provider.sgts(), provider.revision) == (None, {5: "Five"}, 1)
        answers.append({"sessions": [], "cts_cells": [{"source": 1, "destination": 2}], "sgts": {}})
        for _ in range(100):
            if provider.revision == 2:
                break
            time.sleep(0.02)
        assert (provider.sessions(), len(provider.cts_cells())) == ([], 1)
    finally:
        provider.stop()
        server.shutdown()
        server.server_close()


# -- many, and other clients ---------------------------------------------------------------------------------------------


@pytest.mark.one_python
def test_fifty_switches_with_threads(connect: Connect, fleet: FleetThread) -> None:
    lines = ["ip access-list extended T", *(f"permit tcp any host 10.0.0.{n} eq 443" for n in range(1, 11))]

    def push(name: str) -> int:
        session = connect(name)
        session.send_config_set(lines, error_pattern=PATTERN)
        return len(session.send_command("show ip access-lists T").splitlines())

    names = [f"many{n}" for n in range(49)]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(push, names)) == [11] * 49
    assert all(fleet.device(name).counters.sessions_opened == 1 for name in names)


def until(channel: Any, expected: bytes, seconds: float = 10.0) -> bytes:
    found, end = b"", time.monotonic() + seconds
    while expected not in found:
        assert time.monotonic() < end, found
        found += channel.read_bulk_response(timeout=0.05, retry=1) or b""
    return bytes(found)


def test_libssh_with_carriage_returns_and_a_process_of_its_own(tmp_path: Path) -> None:
    """network_cli ends lines with CR only. pylibssh keeps Python's lock while it waits, hence the separate process."""
    session_class = pytest.importorskip("pylibsshext.session").Session
    spec = DeviceSpec("acc9", address(9), 2209, interfaces=PORTS)
    data = {
        "devices": [spec.to_dict()],
        "users": {USER: [PASSWORD, 1]},
        "enable_secret": SECRET,
        "control": [address(9), 0],
        "host_key": str(tmp_path / "key"),
        "known_hosts": str(tmp_path / "known"),
    }
    (tmp_path / "spec.json").write_text(json.dumps(data))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.lab.iosxe", "--spec", str(tmp_path / "spec.json")],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["devices"] == 1
        session = session_class()
        session.set_ssh_options("knownhosts", str(tmp_path / "known"))
        session.connect(
            host=address(9),
            port=2209,
            user=USER,
            password=PASSWORD,
            host_key_checking=True,
            look_for_keys=False,
            timeout=10,
        )
        channel = session.new_shell_channel()
        until(channel, b"acc9>")
        for line, expected in (
            ("enable", b"Password: "),
            (SECRET, b"acc9#"),
            ("terminal length 0", b"acc9#"),
            ("terminal width 512", b"acc9#"),
            ("show privilege", b"level is 15\r\nacc9#"),
            ("show version", b"IOS XE Software, Version 17.09.04a"),
            ("", b"acc9#\r\nacc9#"),
            ("configure terminal", b"acc9(config)#"),
            ("ip access-list extended C", b"nacl)#"),
            ("permit tcp any any eq 80", b"nacl)#"),
            ("permit tcp any", b"% Incomplete command."),
            ("end", b"acc9#"),
        ):
            channel.write(f"{line}\r".encode())
            answer = until(channel, expected)
            assert SECRET.encode() not in answer
        channel.write(b"show ip access-lists C\r")
        assert b"    10 permit tcp any any eq www\r\n" in until(channel, b"eq www\r\nacc9#")
        channel.close()
        session.close()
    finally:
        process.terminate()
        assert process.wait(10) == 0


@pytest.mark.full
def test_a_thousand_switches_start_fast_and_small() -> None:
    """Own process, so that memory is the fleet's: facts/lab.md section 3 measured 0.5 s and 50 MB for a prototype."""
    code = (
        "import asyncio, time, json\n"
        "from tests.lab.iosxe.fleet import Fleet\n"
        "from tests.lab.iosxe.spec import DeviceSpec, InterfaceSpec\n"
        "ports = tuple(InterfaceSpec(f'GigabitEthernet1/0/{k}', '', 10) for k in range(1, 25))\n"
        "specs = [DeviceSpec(f'a{i}', f'127.10.78.{1 + i % 250}', 20000 + i // 250, interfaces=ports) for i in range(1000)]\n"
        "async def main():\n"
        "    fleet = Fleet(specs, None, {'u': 'p'})\n"
        "    start = time.monotonic(); await fleet.start(); seconds = time.monotonic() - start\n"
        "    status = open('/proc/self/status').read()\n"
        "    await fleet.stop()\n"
        "    print(json.dumps([seconds, int(status.split('VmRSS:')[1].split()[0]) / 1024]))\n"
        "asyncio.run(main())\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    seconds, megabytes = json.loads(result.stdout)
    assert megabytes < 100
    assert seconds < 10
