# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wrong password is tried once in a run, and no password appears in anything that a run leaves, at -vvvv."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.conftest import LabTargets, Loop
from tests.lab.credentials import (
    ISE_OPERATOR,
    ISE_OPERATOR_PASSWORD,
    ISE_PASSWORD,
    ISE_USER,
    SWITCH_ENABLE,
    SWITCH_PASSWORD,
    SWITCH_USER,
)
from tests.lab.ise.client import ControlClient
from tests.lab.ise.server import IseServer
from tests.lab.playbooks import Site, program

HOST = "127.10.85.10"
WRONG = "Wrong-Password-4711"
PASSWORD = "Right-Password-0815"
INFO = {"segwright.microseg.ise_info": {"target": "ise1", "kinds": ["downloadable_acl", "sgt"]}}
POLICY = {
    "segwright.microseg.ise_policy": {
        "target": "ise1",
        "push": False,
        "objects": [{"kind": "downloadable_acl", "name": "SW_secret", "content": "permit ip any any"}],
    }
}

EXPORT = {"segwright.microseg.ise_export": {"target": "ise1", "policy_dir": "exported", "data_dir": "data"}}


def forms_of(user: str, password: str) -> list[bytes]:
    """A password as it could appear: plain, quoted for a URL, in base64 alone and as HTTP sends it."""
    found = [password, quote(password, safe=""), base64.b64encode(password.encode()).decode()]
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    return [each.encode() for each in (*found, basic, basic.rstrip("="))]


def leaks(place: Path, secrets: list[bytes]) -> list[str]:
    """The files below a place that hold a secret."""
    files = [path for path in place.rglob("*") if path.is_file() and not path.is_symlink()]
    return [str(path) for path in files if any(secret in path.read_bytes() for secret in secrets)]


@pytest.fixture(scope="module")
def ise(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IseServer]:
    with IseServer(HOST, 9060, tmp_path_factory.mktemp("tls"), {}, password=PASSWORD) as server:
        yield server


def play(root: Path, ise: IseServer, place: Path, tasks: list[dict[str, Any]], password: str) -> int:
    """Run tasks at -vvvv in a new place; everything that comes of it is in the place. Returns the exit code."""
    place.mkdir()
    hidden = place.parent / f"{place.name}-inventory.json"  # the one place where the password has to be
    host = {
        "ansible_host": ise.host, "ansible_port": ise.port, "ansible_user": ise.username,
        "ansible_password": password, "microseg_platform": "ise", "microseg_ca_file": ise.ca_file,
    }  # fmt: skip
    hidden.write_text(json.dumps({"all": {"hosts": {"ise1": host}}}), encoding="utf-8")
    book = place / "play.json"
    book.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    with (place / "out").open("wb") as out, (place / "err").open("wb") as err:
        done = subprocess.run(
            [str(program("ansible-playbook")), "-vvvv", "--diff", "-i", str(hidden), str(book)],
            cwd=place, stdout=out, stderr=err, timeout=120,
            env={
                **kept, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "ANSIBLE_COLLECTIONS_PATH": str(root / "collections"), "ANSIBLE_LOG_PATH": str(place / "log"),
                "ANSIBLE_HOME": str(place / "home"), "ANSIBLE_DEBUG": "0",
            },
        )  # fmt: skip
    return done.returncode


def test_a_wrong_password_is_tried_once_and_never_shown(root: Path, ise: IseServer, tmp_path: Path) -> None:
    control = ControlClient(ise.control_url)
    for number, tasks in enumerate(([INFO], [POLICY], [EXPORT])):
        control.reset_counters()
        assert play(root, ise, tmp_path / f"wrong{number}", tasks, WRONG) != 0
        counted = control.counters()
        assert (counted["failed_logins"], counted["total"], counted["writes"]) == (1, 1, 0)
        text = (tmp_path / f"wrong{number}" / "out").read_text(encoding="utf-8")
        assert "SW4203" in text
        assert leaks(tmp_path / f"wrong{number}", forms_of(ise.username, WRONG)) == []


def test_nothing_secret_is_shown_by_modules_at_vvvv(root: Path, ise: IseServer, tmp_path: Path) -> None:
    place = tmp_path / "right"
    assert play(root, ise, place, [INFO, POLICY, EXPORT], PASSWORD) == 0, (place / "out").read_text(encoding="utf-8")[
        -3000:
    ]
    assert b"SW_secret" in (place / "out").read_bytes()
    assert b"SW_secret" in (place / "data" / "out" / "ise_export.json").read_bytes()
    assert leaks(place, forms_of(ise.username, PASSWORD)) == []


# -- the playbooks


def lab_secrets() -> list[bytes]:
    pairs = ((ISE_USER, ISE_PASSWORD), (ISE_OPERATOR, ISE_OPERATOR_PASSWORD), (SWITCH_USER, SWITCH_PASSWORD))
    return [*(form for user, password in pairs for form in forms_of(user, password)), SWITCH_ENABLE.encode()]


def test_the_whole_loop_leaves_no_secret(loop: Loop) -> None:
    """Plan, journal, reports, results and what every playbook printed."""
    assert (loop.site.state / "journal.jsonl").exists()
    assert leaks(loop.site.directory, lab_secrets()) == []
    assert leaks(loop.site.logs, lab_secrets()) == []


@pytest.mark.parametrize(
    ("name", "moment"),
    [("plan", "learnt"), *(pytest.param(*each, marks=pytest.mark.full)
     for each in (("apply", "planned"), ("verify", "verified"), ("rollback", "applied")))],
)  # fmt: skip
def test_playbooks_try_a_wrong_password_once(
    name: str, moment: str, at: Callable[[str], Site], targets: LabTargets, tmp_path: Path
) -> None:
    site = at(moment)
    extra = tmp_path / "wrong.json"
    extra.write_text(json.dumps({"all": {"hosts": {"ise1": {"ansible_password": WRONG}}}}), encoding="utf-8")
    targets.ise("DELETE", "/counters")
    inventory = [str(path) for path in inventories(site)]
    run = site.run(name, "-vvvv", *[word for path in (*inventory, str(extra)) for word in ("-i", path)])
    counted = targets.ise("GET", "/counters")
    assert run.code != 0
    assert counted["failed_logins"] == 1, counted
    assert counted["writes"] == 0
    secrets = [*forms_of(ISE_USER, WRONG), *lab_secrets()]
    assert not [secret for secret in secrets if secret in run.log.read_bytes()]
    assert leaks(site.directory, secrets) == []


@pytest.mark.full
@pytest.mark.parametrize(("name", "moment"), [("apply", "planned"), ("verify", "verified"), ("rollback", "applied")])
def test_playbooks_show_no_secret_at_vvvv(
    name: str, moment: str, at: Callable[[str], Site], targets: LabTargets, tmp_path: Path
) -> None:
    site = at(moment)
    log = tmp_path / "ansible.log"
    run = site.run(name, "-vvvv", "--diff", environment={"ANSIBLE_LOG_PATH": str(log)})
    assert run.code == 0, run.tail()
    for path in (run.log, log):
        assert not [secret for secret in lab_secrets() if secret in path.read_bytes()], path
    assert leaks(site.directory, lab_secrets()) == []


def inventories(site: Site) -> list[Path]:
    """What ansible.cfg of the checkout names; a further -i replaces it, so it has to be given again."""
    from tests.lab.places import CHECKOUT

    return [CHECKOUT / "inventory"]
