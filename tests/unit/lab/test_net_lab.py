# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's network for real: namespaces, fw1 over SSH, the prober against the kernel's packet filter, clean ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.lab.fixtures import free_lab_id, net_lab  # noqa: F401 - a fixture
from tests.lab.net import firewall
from tests.lab.net.features import why_not
from tests.lab.net.prober import Probe, Prober
from tests.lab.net.probes import crosses_firewall, from_description, make_probes
from tests.lab.places import CHECKOUT, Places
from tests.lab.processes import LabError, ProcessMark, start_time, stop_marks
from tests.lab.state import clean_up
from tests.lab.supervisor import Lab

NO_NAMESPACES = why_not()
needs_namespaces = pytest.mark.skipif(bool(NO_NAMESPACES), reason=f"no namespaces here: {NO_NAMESPACES}")


@pytest.fixture
def fw1(net_lab: Lab) -> Lab:  # noqa: F811
    """The shared lab with fw1 as before Segwright."""
    net_lab.reset_firewall()
    return net_lab


def _strict(lab: Lab) -> str:
    """The description's conversations as a stateful ruleset, written here and not by the product."""
    hosts = lab.hospital.hosts
    lines = []
    for each in from_description(lab.hospital):
        out = f"{each.protocol} sport {each.client_port} " if each.client_port else ""
        addresses = f"ip saddr {hosts[each.client].address} ip daddr {hosts[each.server].address}"
        lines.append(f"{addresses} {out}{each.protocol} dport {each.port} ct state new accept")
    rules = "\n".join(lines)
    return f"""table inet strict_test {{
    chain only_these {{
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ct state invalid drop
        {rules}
    }}
}}
"""


@pytest.mark.one_python
def test_everything_is_delivered_before_enforcement(fw1: Lab) -> None:
    probes = make_probes(from_description(fw1.hospital), fw1.hospital)
    results = fw1.prober().probe(probes)
    lost = [each.probe.text() for each in results if not each.delivered]
    assert lost == []
    silent = [
        each.probe.text() for each in results if not each.answered and each.probe.kind in ("open", "syn", "ack", "icmp")
    ]
    assert silent == []
    assert len(results) >= 500


def test_a_strict_ruleset_lets_through_exactly_what_is_permitted(fw1: Lab) -> None:
    firewall.load_ruleset(fw1.namespaces, _strict(fw1))
    probes = [
        each
        for each in make_probes(from_description(fw1.hospital), fw1.hospital)
        if crosses_firewall(fw1.hospital, each)
    ]
    began = time.monotonic()
    results = fw1.prober().probe(probes)
    seconds = time.monotonic() - began
    wrong = [each.probe.text() for each in results if not each.as_expected]
    assert wrong == []
    counts = Counter((each.probe.permitted, each.delivered) for each in results)
    assert counts[True, True] > 40
    assert counts[False, False] > 400
    assert seconds < 20


def test_a_fragment_tail_alone_and_a_rejection_are_told_apart(fw1: Lab) -> None:
    prober = fw1.prober()
    tail, whole = (
        Probe("pump1", "infra1", "udp", 53, kind="fragment_tail"),
        Probe("pump1", "infra1", "udp", 53, kind="fragment"),
    )
    for each in prober.probe([tail, whole]):
        assert each.delivered  # no rule looks at the connection yet, so fragments just pass
    rules = "table inet strict_test {\n chain c {\n type filter hook forward priority filter; policy drop;\n"
    firewall.load_ruleset(
        fw1.namespaces, rules + " udp dport 53 ct state new accept\n meta l4proto tcp reject\n }\n}\n"
    )
    results = prober.probe(
        [tail, whole, Probe("pump1", "emr1", "tcp", 2575), Probe("pump1", "infra1", "icmp", kind="icmp")]
    )
    assert [each.delivered for each in results] == [False, True, False, False]
    assert [each.rejected for each in results] == [False, False, True, False]


def test_the_answer_to_one_probe_never_opens_the_way_for_another(fw1: Lab) -> None:
    firewall.load_ruleset(fw1.namespaces, _strict(fw1))
    there = Probe("bms1", "ahu1", "udp", 47808, 47808)
    back = Probe("ahu1", "bms1", "udp", 47808, 47808)
    for probes in ([there, back], [back, there]):
        found = {each.probe: each.delivered for each in fw1.prober().probe(probes)}
        assert found == {there: True, back: False}


def test_hosts_of_one_subnet_reach_each_other_past_the_firewall(fw1: Lab) -> None:
    firewall.load_ruleset(fw1.namespaces, _strict(fw1))
    near, far = fw1.prober().probe([Probe("pump1", "monitor1", "tcp", 22), Probe("pump1", "emr1", "tcp", 22)])
    assert near.delivered
    assert near.answered
    assert not far.delivered


def test_probes_that_make_no_sense_are_refused(fw1: Lab) -> None:
    prober = fw1.prober()
    for probe, reason in (
        (Probe("pump1", "pump1", "tcp", 1), "itself"),
        (Probe("pump1", "pump9", "tcp", 1), "unknown host"),
        (Probe("pump1", "emr1", "tcp", 1, kind="shout"), "unknown kind"),
        (Probe("pump1", "emr1", "carrier-pigeon", 1), "unknown protocol"),
    ):
        with pytest.raises(LabError, match=reason):
            prober.probe([probe])


@pytest.mark.one_python
def test_ssh_through_the_proxy_crosses_the_input_chain(fw1: Lab) -> None:
    places = fw1.places
    command = [
        "ssh",
        "-p",
        str(places.firewall[1]),
        "-i",
        str(places.ssh_key),
        "-o",
        f"UserKnownHostsFile={places.known_hosts}",
    ]
    command += [
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=3",
    ]
    command += ["-F", "/dev/null", f"root@{places.firewall[0]}"]
    rules = 'table inet input_test {\n chain c {\n type filter hook input priority filter;\n iifname "mgmt" tcp dport 22 counter\n }\n}\n'
    firewall.load_ruleset(fw1.namespaces, rules)
    shown = subprocess.run(
        [*command, "hostname; id -u; nft list table inet input_test"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.startswith("fw1\n0\n")
    assert "counter packets 0" not in shown.stdout
    marker = Path("/etc") / f"segwright-lab-test-{os.getpid()}"
    subprocess.run([*command, f"touch {marker} /root/marker && ls /root"], check=True, capture_output=True)
    assert not marker.exists()  # fw1 has an /etc of its own
    firewall.load_ruleset(fw1.namespaces, rules.replace("counter", "drop"))
    assert subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 255


def test_somebody_elses_table_is_there_and_counts(fw1: Lab) -> None:
    assert "packets 0" in fw1.namespaces.run("fw", ["nft", "list", "counters"])
    fw1.prober().probe([Probe("pump1", "emr1", "tcp", 2575)])
    assert "packets 0" not in fw1.namespaces.run("fw", ["nft", "list", "counters"])
    assert "filter_foreign" in firewall.ruleset(fw1.namespaces)


def test_the_root_namespace_is_untouched(fw1: Lab) -> None:
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text(encoding="ascii") == os.environ.get(
        "LAB_TEST_FORWARD", _FORWARD
    )
    assert "100.64." not in Path("/proc/net/fib_trie").read_text(encoding="ascii")
    names = {name for _, name in socket.if_nameindex()}
    assert not any(name.startswith(("br-clinical", "p-pump", "u-")) for name in names)
    for name, expected in (("fw", "1"), ("ctl", "0"), ("pump1", "0")):
        assert fw1.namespaces.run(name, ["cat", "/proc/sys/net/ipv4/ip_forward"]).strip() == expected


_FORWARD = Path("/proc/sys/net/ipv4/ip_forward").read_text(encoding="ascii") if not NO_NAMESPACES else ""


def test_another_process_attaches_by_the_state_file(fw1: Lab) -> None:
    with Prober.attach(fw1.places) as prober:
        assert prober.probe([Probe("pump1", "emr1", "tcp", 2575)])[0].delivered
    with pytest.raises(LabError, match="not running"):
        Prober.attach(Places.of(98, fw1.places.directory.parent))


def _command(base: Path, lab_id: int, *words: str) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, "SEGWRIGHT_LAB_DIR": str(base), "SEGWRIGHT_LAB_ID": str(lab_id)}
    command = [sys.executable, "-m", "tests.lab", *words]
    return subprocess.run(command, cwd=CHECKOUT, env=settings, capture_output=True, text=True, check=False, timeout=120)


def _marks(base: Path, lab_id: int) -> list[ProcessMark]:
    state: dict[str, Any] = json.loads((base / str(lab_id) / "state.json").read_text(encoding="utf-8"))
    return [
        ProcessMark(each["name"], each["pid"], each["started"]) for each in [*state["processes"], state["supervisor"]]
    ]


def _gone(marks: list[ProcessMark]) -> bool:
    deadline = time.monotonic() + 5
    while any(each.alive() for each in marks) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(each.alive() for each in marks)


@pytest.mark.one_python
@needs_namespaces
def test_a_killed_supervisor_leaves_no_process_and_the_next_start_works(tmp_path: Path) -> None:
    lab_id = free_lab_id(tmp_path)
    started = _command(tmp_path, lab_id, "up", "--parts", "net,fw1")
    assert started.returncode == 0, started.stderr + started.stdout
    marks = _marks(tmp_path, lab_id)
    try:
        assert len(marks) == 23  # 21 namespaces, the SSH server, the supervisor
        assert all(each.alive() for each in marks)
        again = _command(tmp_path, lab_id, "up", "--parts", "net,fw1")
        assert again.returncode == 1
        assert "runs already" in again.stderr
        os.kill(marks[-1].pid, signal.SIGKILL)
        assert _gone(marks)
        assert _command(tmp_path, lab_id, "status").returncode == 1
        assert _command(tmp_path, lab_id, "up", "--parts", "net,fw1").returncode == 0
        assert _command(tmp_path, lab_id, "status").returncode == 0
        marks = _marks(tmp_path, lab_id)
    finally:
        stopped = _command(tmp_path, lab_id, "down")
    assert stopped.returncode == 0
    assert _gone(marks)
    assert not (tmp_path / str(lab_id) / "state.json").exists()


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    lab_id = free_lab_id(tmp_path)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as holder:
        holder.bind(Places.of(lab_id, tmp_path).firewall)
        holder.listen()
        refused = _command(tmp_path, lab_id, "up", "--parts", "net,fw1")
    assert refused.returncode == 1
    assert f"port 127.10.{lab_id}.20:2222 (fw1) cannot be used" in refused.stdout + refused.stderr


def test_cleaning_never_touches_a_pid_that_was_given_to_another(tmp_path: Path) -> None:
    places = Places.of(97, tmp_path)
    places.make()
    child = subprocess.Popen(["sleep", "60"])
    other = subprocess.Popen(["sleep", "60"])
    try:
        started = start_time(child.pid)
        assert started is not None
        reused = {"name": "ns:pump1", "pid": other.pid, "started": 1}
        ours = {"name": "ns:pump2", "pid": child.pid, "started": started}
        dead = {"name": "supervisor", "pid": child.pid, "started": 1}
        places.state.write_text(json.dumps({"supervisor": dead, "processes": [reused, ours]}), encoding="utf-8")
        assert clean_up(places) == ["ns:pump2"]
        assert child.wait(5) == -signal.SIGTERM
        assert other.poll() is None
        assert stop_marks([ProcessMark("x", other.pid, 1)]) == []
    finally:
        for each in (child, other):
            each.kill()
            each.wait()


def test_without_permission_the_rest_still_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.lab.supervisor.why_not", lambda: "network namespaces: not permitted")
    told: list[tuple[str, str]] = []
    lab_id = free_lab_id(tmp_path)
    with Lab.start({"net", "fw1"}, lab_id, tmp_path, lambda name, seconds, text: told.append((name, text))) as running:
        assert running.running == {}
        assert told == [("net", "left out: network namespaces: not permitted (so no fw1)")]
        assert set(running.skipped) == {"net", "fw1"}
        with pytest.raises(LabError, match="no network"):
            running.prober()
    with pytest.raises(LabError, match="not permitted"):
        Lab.start({"net"}, lab_id, tmp_path, required={"net"})
    with pytest.raises(LabError, match="unknown parts"):
        Lab.start({"moon"}, lab_id, tmp_path)
