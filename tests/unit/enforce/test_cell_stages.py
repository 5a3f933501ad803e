# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stage of one cell: every matrix of two segments, judged packet by packet by the lab's matrix and by the rules as they are written."""

from __future__ import annotations

import ipaddress
import itertools
import random
from dataclasses import replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.model import Compiled
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.effective import effective_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.policy.model import (
    CellStage,
    Guardrail,
    Posture,
    Ring,
    Site,
    Situation,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.bulk import BulkEvaluator
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.endtoend import prove_rules
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.guardrails import prove_guardrails
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.history import columns_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.meaning import change_of_meaning
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.rollout import State
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.situations import settings_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.verdict import Conversation, Evaluator
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.html import policy_sections
from ansible_collections.segwright.microseg.plugins.plugin_utils.report.view import site_view
from tests.lab.evaluate import evaluate_matrix
from tests.unit.proof.small_sites import World
from tests.unit.proof.test_recorded import seen

STAGES = ("observe", "monitor", "enforce")
ADDRESS = {"a": "10.0.1.2", "b": "10.0.2.2"}
PAIRS = list(itertools.product("ab", repeat=2))
# What the rules permit to open, by hand: a to b HTTPS, b to a DNS over UDP and TCP.
OPENS = {("a", "b", 6, 443), ("b", "a", 17, 53), ("b", "a", 6, 53)}
ASKED = [(6, 443), (6, 53), (17, 53), (17, 443)]
# The weaker of two stages, by hand.
USUAL = {("enforce", "enforce"): "enforce", ("enforce", "monitor"): "monitor", ("monitor", "enforce"): "monitor",
         ("monitor", "monitor"): "monitor"}  # fmt: skip
Own = dict[tuple[str, str], str]


def site_of(stages: tuple[str, str], own: Own) -> Site:
    world = World(
        {name: [(address, "", "")] for name, address in ADDRESS.items()},
        [("r", "a", "b", ["web"]), ("n", "b", "a", ["names"])],
        {},
        {name: (stage, ["matrix"]) for name, stage in zip("ab", stages, strict=True)},
        {"matrix": ("sgacl", {"tags": "inline"})},
    )
    return replace(world.site(), cells=tuple(CellStage(*pair, stage) for pair, stage in own.items()))


def expected_stage(stages: dict[str, str], own: Own, pair: tuple[str, str]) -> str:
    usual = USUAL.get((stages[pair[0]], stages[pair[1]]), "observe")
    return own.get(pair, usual) if usual != "observe" else "observe"


def expected_pass(cells: Own, client: str, server: str, protocol: int, port: int) -> bool:
    """A conversation passes where a rule permits it, or neither the cell of its openers nor that of its answers stops anything."""
    permitted = (client, server, protocol, port) in OPENS
    return permitted or (cells[client, server] != "enforce" and cells[server, client] != "enforce")


def lab_matrix(site: Site, made: Compiled) -> dict[str, Any]:
    held = {(o.kind, o.name): o.body for target in made.targets for o in target.objects}
    tags = {name: body["value"] for (kind, name), body in held.items() if kind == "sgt"}
    return {
        "default": None,
        "monitor_all": False,
        "cells": [
            {
                "source": tags[body["source"]],
                "destination": tags[body["destination"]],
                "status": body["status"],
                "default_rule": body["default_rule"],
                "sgacls": [
                    {"name": n, "ip_version": held["sgacl", n]["ip_version"],
                     "lines": held["sgacl", n]["content"].splitlines()} for n in body["sgacls"]
                ],
            }
            for (kind, _name), body in held.items()
            if kind == "egress_matrix_cell"
        ],
    }  # fmt: skip


def lab_passes(
    site: Site, matrix: dict[str, Any], client: str, server: str, protocol: int, port: int, client_port: int = 49152
) -> bool:
    opener: dict[str, Any] = {
        "source": ADDRESS[client], "destination": ADDRESS[server], "protocol": protocol,
        "source_port": client_port, "destination_port": port,
    }  # fmt: skip
    answer: dict[str, Any] = {
        "source": ADDRESS[server], "destination": ADDRESS[client], "protocol": protocol,
        "source_port": port, "destination_port": client_port,
    }  # fmt: skip
    if protocol == 6:
        opener["tcp_flags"], answer["tcp_flags"] = ["syn"], ["syn", "ack"]
    one, two = site.segments[client].sgt or 0, site.segments[server].sgt or 0
    return evaluate_matrix(matrix, one, two, opener).permit and evaluate_matrix(matrix, two, one, answer).permit


def check(stages: tuple[str, str], own: Own) -> None:
    site = site_of(stages, own)
    made = compile_site(site)
    cells = {pair: expected_stage(dict(zip("ab", stages, strict=True)), own, pair) for pair in PAIRS}
    assert {(i.segment, i.peer): i.stage for i in made.lists} == {p: s for p, s in cells.items() if s != "observe"}
    status = {o.name: o.body["status"] for t in made.targets for o in t.objects if o.kind == "egress_matrix_cell"}
    words = {"monitor": "MONITOR", "enforce": "ENABLED"}
    assert status == {f"SW_{a}-SW_{b}": words[s] for (a, b), s in cells.items() if s != "observe"}
    matrix, evaluator = lab_matrix(site, made), Evaluator(site, made.lists)
    every = list(itertools.product((("a", "b"), ("b", "a")), ASKED))
    columns = columns_of([seen(ADDRESS[client], ADDRESS[server], *what) for (client, server), what in every])
    replayed = BulkEvaluator(site, made.lists).verdicts(columns).permitted.tolist()
    assert replayed == [expected_pass(cells, *ends, *what) for ends, what in every], (stages, own)
    for (client, server), (protocol, port) in every:
        passes = expected_pass(cells, client, server, protocol, port)
        asked = Conversation(
            4, int(ipaddress.ip_address(ADDRESS[client])), int(ipaddress.ip_address(ADDRESS[server])), protocol, port
        )
        case = (stages, own, client, server, protocol, port)
        assert lab_passes(site, matrix, client, server, protocol, port) is passes, case
        assert evaluator.verdict(asked).permitted is passes, case
    assert prove_rules(site, made.lists).cuts == ()
    never = replace(site, guardrails=(Guardrail("no", "never", "b", "a", ("web",), "because"),))
    (result,), _found = prove_guardrails(never, made.lists)
    # From client port 443 the answer looks like what a opens to b by HTTPS, which the list of that cell permits.
    stopped = not any(lab_passes(site, matrix, "b", "a", 6, 443, client_port) for client_port in (53, 443, 49152))
    assert result.outcome == ("proved" if stopped else "not enforced"), (stages, own)


def test_each_cell_does_what_its_own_stage_says(full: bool) -> None:
    """Quick: a part of them. Full: each of the 2,304 matrices of two segments at any stage and four cells with and without their own."""
    every = [
        (stages, {pair: stage for pair, stage in zip(PAIRS, own, strict=True) if stage})
        for stages in itertools.product(STAGES, repeat=2)
        for own in itertools.product(("", *STAGES), repeat=4)
    ]
    assert len(every) == 2304
    for stages, own in every if full else random.Random(8).sample(every, 40):
        check(stages, own)


def stages_of(site: Site, situation: Situation | None = None) -> Own:
    """Return the stage of each cell that is written."""
    made = compile_site(site, situation) if situation else compile_site(site)
    return {(item.segment, item.peer): item.stage for item in made.lists}


def test_nothing_changes_where_no_cell_has_a_stage_of_its_own() -> None:
    for stages in itertools.product(STAGES, repeat=2):
        plain = compile_site(site_of(stages, {}))
        usual = {
            pair: stage
            for pair in PAIRS
            if (stage := USUAL.get((stages["ab".index(pair[0])], stages["ab".index(pair[1])])))
        }
        said = compile_site(site_of(stages, usual))
        assert said.lists == plain.lists and repr(said.targets) == repr(plain.targets)
        assert said.findings == plain.findings


def test_every_stage_to_come_is_proved() -> None:
    """A held cell keeps its stage while rings rise, and is enforced in the last situation; also where all segments are there already."""
    pair = ("b", "a")
    site = site_of(("enforce", "monitor"), {pair: "monitor"})
    ringed = replace(site, rings=(Ring("all", ("a", "b")),))
    for each, names in ((site, ["now", "stage enforce everywhere"]),
                        (ringed, ["now", "stage enforce through ring all", "stage enforce everywhere"]),
                        (site_of(("enforce", "enforce"), {pair: "monitor"}), ["now", "stage enforce everywhere"]),
                        (site_of(("enforce", "enforce"), {pair: "enforce"}), ["now"])):  # fmt: skip
        found = {item.name: item.lists for item in settings_of(each, compile_site(each).lists)}
        assert list(found) == names
        if len(names) > 1:
            assert {item.stage for item in found["stage enforce everywhere"]} == {"enforce"}
        if len(names) > 2:
            ring = {(item.segment, item.peer): item.stage for item in found[names[1]]}
            assert ring == {**dict.fromkeys(PAIRS, "enforce"), pair: "monitor"}


def test_a_posture_is_stronger_than_a_held_cell_and_stronger_than_one_that_is_ahead() -> None:
    isolate = Posture("cut", "isolate", "owner", "because", segment="a")
    opened = Posture("open", "relax", "owner", "because", segment="a", opens="all")
    postures = {item.id: item for item in (isolate, opened)}
    for name in ("observe", "monitor"):
        held = replace(site_of(("enforce", "enforce"), dict.fromkeys(PAIRS, name)), postures=postures)
        pulled = stages_of(held, Situation(postures=("cut",)))
        wanted = {pair: "enforce" for pair in PAIRS if "a" in pair} | ({("b", "b"): name} if name == "monitor" else {})
        assert pulled == wanted
    for segments in itertools.product(("monitor", "enforce"), repeat=2):
        ahead = replace(site_of(segments, dict.fromkeys(PAIRS, "enforce")), postures=postures)
        pulled = stages_of(ahead, Situation(postures=("open",)))
        assert pulled == {pair: "monitor" if "a" in pair else "enforce" for pair in PAIRS}


def test_an_isolated_device_keeps_what_was_enforced_ahead_for_it() -> None:
    posture = Posture("cut", "isolate", "owner", "because", device="a0", sgt=500)
    site = site_of(("monitor", "monitor"), {("a", "b"): "enforce", ("b", "b"): "enforce", ("b", "a"): "monitor"})
    found = stages_of(replace(site, postures={"cut": posture}), Situation(postures=("cut",)))
    assert {pair: stage for pair, stage in found.items() if "cut" in pair} == {
        ("cut", "a"): "monitor", ("cut", "b"): "enforce", ("cut", "cut"): "enforce", ("a", "cut"): "monitor", ("b", "cut"): "monitor",
    }  # fmt: skip
    assert site.assignments["a"].stage == "monitor" and effective_site(site) is site


def test_the_meaning_of_a_stage_is_what_the_cell_stops() -> None:
    """Enforcing the cell from b to a alone: b opens nothing there but DNS, and a opens nothing to b but HTTPS, by the answers."""
    held, ahead = (site_of(("enforce", "monitor"), {("b", "a"): stage} if stage else {}) for stage in ("", "enforce"))
    assert stages_of(held)["b", "a"] == "monitor"
    states = [State(site, compile_site(site).lists) for site in (held, ahead)]
    closed, opened = change_of_meaning(*states), change_of_meaning(*states[::-1])
    assert {row.change for row in closed.rows} == {"lost"} and {row.change for row in opened.rows} == {"gained"}
    assert {(row.client, row.server) for row in closed.rows} == {("a", "b"), ("b", "a")}
    assert change_of_meaning(states[0], states[0]).is_empty


def test_the_page_of_a_plan_names_cells_of_their_own_and_their_segments_stage() -> None:
    assert "Cells with a stage of their own" not in "".join(
        policy_sections(site_view(site_of(("enforce", "enforce"), {})))
    )
    site = site_of(("enforce", "monitor"), {("b", "a"): "enforce", ("a", "a"): "monitor"})
    assert [(c["source"], c["stage"], c["segments"]) for c in site_view(site)["cells"]] == [
        ("a", "monitor", "enforce"), ("b", "enforce", "monitor"),
    ]  # fmt: skip
    assert "Cells with a stage of their own" in "".join(policy_sections(site_view(site)))
