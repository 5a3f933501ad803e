"""Files of a collector host: which are complete, and a real OpenSSH server they are fetched from, cut off and gone on with."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import steps, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources import collector
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.collector import RemoteFile, complete

ZEEK = "#path\tconn\n#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tconn_state\torig_pkts\tresp_pkts\n"


def row(number: int) -> str:
    return f"{1_700_000_000 + number}.5\t10.0.0.1\t{2000 + number}\t10.0.0.2\t502\ttcp\tSF\t3\t2\n"


def test_only_complete_files_are_taken() -> None:
    files = [
        RemoteFile("conn.01.log", 1, 5), RemoteFile("conn.02.log", 1, 5), RemoteFile("conn.03.log", 1, 5), RemoteFile("dns.1.log", 1, 500),
        RemoteFile("eve.json", 1, 5), RemoteFile("x.log", 1, 5), RemoteFile("x.log.done", 0, 5), RemoteFile("nfcapd.current.77", 1, 900),
        RemoteFile(".hidden", 1, 900),
    ]  # fmt: skip
    assert [each.name for each in complete(files, 120)] == ["conn.01.log", "conn.02.log", "dns.1.log", "x.log"]
    assert [each.name for each in complete(files, 600)] == ["conn.01.log", "conn.02.log", "x.log"]
    assert "conn.03.log" in [each.name for each in complete(files, 0)]


def test_a_file_still_written_to_is_not_taken_for_a_rotated_one() -> None:
    # The tenth after the ninth, hosts with digits in their names, addresses before times, a name used again after the clocks went back.
    files = [
        RemoteFile("f.9", 1, 60), RemoteFile("f.10", 1, 1), RemoteFile("r1-f.202611260000", 1, 2), RemoteFile("r2-f.202611260000", 1, 1),
        RemoteFile("r1-f.202611252355", 1, 60), RemoteFile("10.0.0.1-f.202611260000", 1, 2), RemoteFile("10.0.0.2-f.202611260000", 1, 2),
        RemoteFile("g.202610250200", 1, 1), RemoteFile("g.202610250255", 1, 60), RemoteFile("eve.json.1", 1, 5),
        RemoteFile("eve.json.2", 1, 60), RemoteFile("c.2026-11-25-23:00:00-00:00:00.log", 1, 60),
        RemoteFile("c.2026-11-26-00:00:00-01:00:00.log", 1, 1),
    ]  # fmt: skip
    assert [each.name for each in complete(files, 120)] == [
        "c.2026-11-25-23:00:00-00:00:00.log",
        "f.9",
        "r1-f.202611252355",
    ]


class Answers(collector.Pull):
    """A host that answers as told."""

    def __init__(self, answers: list[Any], folder: Path) -> None:
        super().__init__(collector.collector_of({"host": "c1", "user": "flows", "path": "/var/flows"}), folder)
        self.answers = answers

    def _run(self, command: str) -> bytes:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize("answer", [b"", b"now\n", b"1\n12 13", b"1\nx 1.0 a.log\n", b"1\n1 - a.log\n", b"\xff\n"])
def test_a_host_whose_listing_is_not_understood_is_a_finding(answer: bytes, tmp_path: Path) -> None:
    session = Answers([answer], tmp_path)
    if answer == b"1\n12 13":
        assert session.listing() == [] and [each.code for each in session.findings] == ["SW1483"]
    else:
        with pytest.raises(FindingError, match="SW1482"):
            session.listing()


def test_names_that_leave_the_folder_and_files_beyond_the_most_are_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "MOST_FILES", 3)
    session = Answers([b"9\n1 1.0 ../a.log\n1 1.0 b.log\n1 1.0 ..\n"], tmp_path)
    assert [each.name for each in complete(session.listing(), 0)] == ["b.log"]
    assert [("more than 3" in each.message, "not fit" in each.message) for each in session.findings] == [
        (True, False),
        (False, True),
    ]


def test_a_file_that_went_meanwhile_does_not_stop_the_others(tmp_path: Path) -> None:
    session = Answers([b"", collector._CommandFailed("c1", "No such file")], tmp_path)
    assert session.fetch(RemoteFile("a.log", 3, 900)) is None
    assert [(each.code, "a.log: No such file" in each.message) for each in session.findings] == [("SW1483", True)]


@pytest.mark.parametrize(
    "change",
    [{"host": "-oProxyCommand=x"}, {"user": "a b"}, {"path": "relative"}, {"pattern": "$(id)"}, {"port": 0}, {"settle": -1},
     {"password": "x"}, {"path": "/a\nb"}, {"host": None}],
)  # fmt: skip
def test_what_could_reach_a_shell_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(FindingError, match="SW1481"):
        collector.collector_of({"host": "c1", "user": "flows", "path": "/var/flows", **change})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[dict[str, Any]]:
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")
    if not sshd or os.geteuid() != 0:
        pytest.skip("needs OpenSSH's server and root")
    Path("/run/sshd").mkdir(exist_ok=True)
    base = tmp_path / "ssh"
    base.mkdir(mode=0o700)
    for name in ("host", "client", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(base / name)], check=True)
    shutil.copy(base / "client.pub", base / "authorized")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (base / "config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {base}/host\nAuthorizedKeysFile {base}/authorized\nPidFile none\nUsePAM no\n"
        "PasswordAuthentication no\nStrictModes no\nPermitRootLogin prohibit-password\n"
    )
    key = (base / "host.pub").read_text().split()[:2]
    (base / "known").write_text(f"[127.0.0.1]:{port} {' '.join(key)}\n")
    process = subprocess.Popen([sshd, "-D", "-e", "-f", str(base / "config")], stderr=subprocess.DEVNULL)
    try:
        for _try in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        remote = tmp_path / "remote files"
        remote.mkdir()
        yield {"host": "127.0.0.1", "port": port, "user": "root", "path": str(remote), "private_key_file": str(base / "client"),
               "known_hosts_file": str(base / "known"), "pattern": "*.log"}  # fmt: skip
    finally:
        process.terminate()
        process.wait(10)


def imported(tmp_path: Path, *collectors: dict[str, Any], check_mode: bool = False) -> dict[str, Any]:
    values = {
        "check_mode": check_mode,
        "kind": "auto",
        "data_dir": str(tmp_path / "data"),
        "paths": [],
        "collectors": list(collectors),
    }
    return steps.run_flow_import(values)


@pytest.mark.one_python
def test_rotated_files_are_fetched_once_and_a_cut_fetch_goes_on(
    server: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "BLOCK", 1 << 12)
    remote = Path(server["path"])
    (remote / "conn.01.log").write_text(ZEEK + "".join(row(i) for i in range(400)))
    (remote / "conn.02.log").write_text(ZEEK + row(500))
    (remote / "notes.txt").write_text("not asked for")
    # An earlier run had fetched a part of the first file, and of the second something else.
    host = collector.collector_of(server)
    spool = store.flows_dir(tmp_path / "data") / "collectors" / host.folder
    spool.mkdir(parents=True)
    (spool / ".conn.01.log.part").write_bytes((remote / "conn.01.log").read_bytes()[:9000])
    commands: list[str] = []
    run = collector.Pull._run
    monkeypatch.setattr(collector.Pull, "_run", lambda self, command: (commands.append(command), run(self, command))[1])
    planned = imported(tmp_path, server, check_mode=True)
    assert planned["changed"] and not [each for each in commands if each.startswith("tail")]
    assert [(Path(each["path"]).name, each["status"]) for each in planned["inputs"]] == [("conn.01.log", "new")]
    result = imported(tmp_path, server)
    assert not result["errors"], result["errors"]
    assert [(Path(each["path"]).name, each["connections"]) for each in result["inputs"]] == [("conn.01.log", 400)]
    assert next(each for each in commands if each.startswith("tail")).startswith("tail -c +9001 ")
    assert not list(spool.iterdir())
    # Nothing new: nothing is fetched. The second file is still written to, until a third follows.
    commands.clear()
    assert not imported(tmp_path, server)["changed"] and not [each for each in commands if each.startswith("tail")]
    (remote / "conn.03.log").write_text(ZEEK)
    (spool / ".conn.02.log.part").write_bytes(b"something else, longer than the file" * 100)
    result = imported(tmp_path, server)
    assert [(Path(each["path"]).name, each["connections"]) for each in result["inputs"]] == [("conn.02.log", 1)]
    assert store.connections(tmp_path / "data").num_rows == 401
    assert not imported(tmp_path, server, check_mode=True)["changed"]
    # A ring of files begins anew: another file has the name and the very size.
    (remote / "conn.02.log").write_text(ZEEK + row(501))
    os.utime(remote / "conn.02.log", (1_700_000_000, 1_700_000_000))
    result = imported(tmp_path, server)
    assert [(Path(each["path"]).name, each["connections"]) for each in result["inputs"]] == [("conn.02.log", 1)]
    assert not imported(tmp_path, server)["inputs"]
    # Of what the host has removed nothing is remembered.
    (remote / "conn.01.log").unlink()
    assert not imported(tmp_path, server)["inputs"]
    remembered = json.loads(spool.with_name(f"{spool.name}.json").read_text())
    assert sorted(remembered["files"]) == sorted(remembered["changed"]) == ["conn.02.log"]


@pytest.mark.one_python
def test_what_came_before_the_connection_was_lost_is_imported(
    server: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 3):
        (Path(server["path"]) / f"conn.0{number}.log").write_text(ZEEK + row(number))
    run, lost = collector.Pull._run, FindingError(collector.codes.COLLECTOR_UNREACHABLE.at("lost"))

    def cut(self: collector.Pull, command: str) -> bytes:
        if command.startswith("sha256sum") and "conn.02" in command:
            raise lost
        return run(self, command)

    monkeypatch.setattr(collector.Pull, "_run", cut)
    result = imported(tmp_path, {**server, "settle": 0})
    assert [each["code"] for each in result["errors"]] == ["SW1482"]
    assert [(Path(each["path"]).name, each["status"]) for each in result["inputs"]] == [("conn.01.log", "imported")]
    # An import that was killed before it began: the copy is there, and is only compared.
    spool = store.flows_dir(tmp_path / "data") / "collectors" / collector.collector_of(server).folder
    os.replace(spool / ".conn.02.log.part", spool / "conn.02.log")
    commands: list[str] = []
    monkeypatch.setattr(collector.Pull, "_run", lambda self, command: (commands.append(command), run(self, command))[1])
    result = imported(tmp_path, {**server, "settle": 0})
    assert not result["errors"] and store.connections(tmp_path / "data").num_rows == 3
    assert not [each for each in commands if each.startswith("tail") and "conn.02" in each]
    assert not list(spool.iterdir())


@pytest.mark.one_python
def test_an_unknown_host_key_or_login_is_refused_and_other_inputs_are_read(
    server: dict[str, Any], tmp_path: Path
) -> None:
    base = Path(server["known_hosts_file"]).parent
    (Path(server["path"]) / "conn.01.log").write_text(ZEEK + row(1))
    (base / "strange").write_text(
        f"[127.0.0.1]:{server['port']} {' '.join((base / 'other.pub').read_text().split()[:2])}\n"
    )
    (base / "empty").write_text("")
    for change in ({"known_hosts_file": str(base / "strange")}, {"known_hosts_file": str(base / "empty")},
                   {"private_key_file": str(base / "other")}, {"path": "/nonexistent"}, {"port": 1}):  # fmt: skip
        result = imported(tmp_path, {**server, **change, "settle": 0})
        assert [each["code"] for each in result["errors"]] == ["SW1482"], change
        assert result["inputs"] == []
    result = imported(tmp_path, {**server, "path": "/nonexistent"}, {**server, "settle": 0})
    assert [each["code"] for each in result["errors"]] == ["SW1482"]
    assert [each["status"] for each in result["inputs"]] == ["imported"]
