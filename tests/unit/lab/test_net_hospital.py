# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hospital's programs for real: every conversation of the description is spoken, and a cut one is noticed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.fixtures import free_lab_id
from tests.lab.hospital.servers import missing
from tests.lab.net import firewall
from tests.lab.net.features import why_not
from tests.lab.net.probes import from_description
from tests.lab.supervisor import Lab

REASON = why_not() or ", ".join(missing())
pytestmark = pytest.mark.skipif(bool(REASON), reason=f"the hospital's programs cannot run here: {REASON}")


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    base = tmp_path_factory.mktemp("hospital")
    with Lab.start({"net", "fw1", "hospital"}, free_lab_id(base), base, required={"hospital"}) as running:
        yield running


def _ruleset(lab: Lab, without: str = "") -> str:
    rules = [
        f"ip saddr {lab.hospital.hosts[each.client].address} ip daddr {lab.hospital.hosts[each.server].address} "
        f"{each.protocol} dport {each.port} ct state new accept"
        for conversation in lab.hospital.conversations
        for each in from_description(lab.hospital)
        if conversation.id != without
        and (each.protocol, each.port) == (conversation.protocol, conversation.port)
        and each.client in conversation.clients
        and each.server in conversation.servers
    ]
    text = "\n".join(rules)
    return f"""table inet strict_test {{
    chain only_these {{
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        {text}
    }}
}}
"""


@pytest.mark.one_python
def test_every_conversation_is_spoken_before_and_under_exact_enforcement(hospital: Lab) -> None:
    everything = {each.id for each in hospital.hospital.conversations}
    before = hospital.hospital_do(do="play", sessions=1, seconds=1)
    assert before["failures"] == []
    assert set(before["conversations"]) == everything
    firewall.load_ruleset(hospital.namespaces, _ruleset(hospital))
    under = hospital.hospital_do(do="play", sessions=1, seconds=1, seed=2)
    assert under["failures"] == []
    assert set(under["conversations"]) == everything


@pytest.mark.one_python
def test_a_conversation_that_is_cut_is_noticed_by_its_name(hospital: Lab) -> None:
    hospital.reset_firewall()
    firewall.load_ruleset(hospital.namespaces, _ruleset(hospital, without="hvac-modbus"))
    played = hospital.hospital_do(do="play", sessions=1, seconds=1, seed=3)
    assert {each.split(":")[0] for each in played["failures"]} == {"hvac-modbus"}
    hospital.reset_firewall()


@pytest.mark.one_python
def test_unknown_commands_are_refused_and_the_programs_go_on(hospital: Lab) -> None:
    with pytest.raises(Exception, match="unknown command"):
        hospital.hospital_do(do="sing")
    assert hospital.hospital_do(do="background", on=True, seconds=1) == {"background": True}
    summary = hospital.hospital_do(do="background", on=False)
    assert summary["opened"] > 0
    assert summary["failures"] == []
