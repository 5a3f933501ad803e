# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What "cut by enforcing the proposal" means, in two readings, with figures: for the benchmark's page and for docs/propose.md."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.truth.blueprints import types_of
from tests.truth.judge import LATER, LITTLE, NEVER, SAFE, TRACED, UNRECORDED, UNSAFE
from tests.truth.records import SAMPLED

# ruff: noqa: E501 - sentences of the page stand in one line each
BEGIN, END = "<!-- figures: tests.truth.document -->", "<!-- end of figures -->"
EVERY = "*all segments*"
# What enforcement waits for, in a word or two: by what propose's sentence has in it.
WAITS = (
    ("more days of recordings", "days"),
    ("more days with traffic", "days"),
    ("a week of the segment", "traffic"),
    ("any traffic of the segment", "traffic"),
    ("fewer new uses", "estimate"),
    ("of each permission", "rare permissions"),
    ("that may open to it", "critical openers"),
    ("which have said nothing", "silent devices"),
    ("questions to the owner", "questions to owners"),
    ("a decision about traffic", "queue"),
    ("an account of network sets", "network sets"),
    ("the right segment of its", "holds devices"),
    ("recordings of every packet", "sampled"),
    ("a second ", "calendar"),
    ("the end of a month", "calendar"),
)


def life_safety(row: Mapping[str, Any]) -> int:
    """Return how many life-safety uses lose something, those of devices with a wrong profile among them."""
    return int(row["life_safety_cut"]) + int(row.get("life_safety_cut_by_wrong_profiles", 0))


def columns(made: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], float]]:
    """Return the ways to enforce: title, figures, share of the legitimate flows that is enforced."""
    policies, offered = made["policies"], made["enforced_as_offered"]
    return [
        ("what is offered, nobody asked", offered["first"], offered["first"]["flows_enforced"]),
        ("what is offered, questions answered", offered["answered"], offered["answered"]["flows_enforced"]),
        ("everything, nobody asked", policies["proposal"], 1.0),
        ("everything, questions answered", policies["proposal, answered"], 1.0),
    ]


def readings(
    made: Mapping[str, Any], fresh: Mapping[str, Any], seeds: Sequence[int], fresh_seeds: Sequence[int]
) -> list[str]:
    """Return the section with both readings, each on the seeds of evaluation and on fresh ones."""
    told = (("", seeds, made), ("fresh ", fresh_seeds, fresh))
    titles = [title for title, _row, _share in columns(made)]
    lines = [
        "## What enforcing a proposal cuts",
        "",
        "Two readings, and both are measured. *What is offered*: the segments are put into force whose enforcement the proposal offers"
        " (`enforcement`), and no other, as"
        " who follows its advice does. A proposal is not to be enforced below the site's threshold, so this is what the tool asks anybody"
        " to do; it is easily met by"
        " offering little, so how much it offers stands beside it. *Everything*: every segment is put into force at once on day 30, against"
        " the advice. That is the severe"
        " reading; it says how good the rules are by themselves. Each before anybody has answered what the proposal asks, and after.",
        "",
        "| | seeds | " + " | ".join(titles) + " |",
        "| --- | --- |" + " --- |" * len(titles),
    ]
    rows = (
        ("share of legitimate flows that is enforced", lambda _row, share: f"{100 * share:.1f} %"),
        ("of these cut, all devices", lambda row, _share: f"{100 * row['cut_flows']:.3f} %"),
        (
            "segments of which more than 1 % of conversations are cut",
            lambda row, _share: str(row["segments_above_one_percent"]),
        ),
        ("... that the recordings hold a trace of", lambda row, _share: _traced(row, "segments_above_one_percent")),
        ("life-safety uses of which something is cut", lambda row, _share: str(life_safety(row))),
        ("... that the recordings hold a trace of", lambda row, _share: _traced(row, "life_safety_cut")),
    )
    for title, cell in rows:
        for name, own, figures in told:
            shown = " | ".join(cell(row, share) for _title, row, share in columns(figures))
            lines.append(f"| {title} | {name}{own[0]} to {own[-1]} | {shown} |")
    lines += ["", " ".join(f"{_above(figures, name)}" for name, _own, figures in told), ""]
    return [
        *lines,
        "Devices with a wrong profile are among all devices. For *everything* segments are counted by the right-profile devices of a type"
        " and what they"
        " open, for *what is offered* by whatever meets a list in force at either end. Who belongs to which segment is what the written"
        " lock of members says,"
        " holding segments included: where ISE tags devices by profile, those with a wrong one are held out once the lock drives their assignment,"
        " and until then they lose what the page showed before holding segments (4.6 % of all legitimate flows, everything enforced).",
        "",
    ]


def _traced(row: Mapping[str, Any], name: str) -> str:
    """Return how many of what is cut the recordings hold a trace of; of nothing that is cut they hold none."""
    return str(row.get(f"{name}_traced", 0 if not row[name] else "not told"))


def no_trace(made: Mapping[str, Any]) -> list[str]:
    """Return what nobody can learn from the recordings, of all that is cut: by what the days learnt hold of a use."""
    uses = [
        (_sampled(name, site, use), cause, use not in site["cut_uses_unasked"])
        for name, site in made["sites"].items()
        for use, cause in site["causes"].items()
        if use in site["cut_uses"]
    ]
    floor, proposal = made["floor"], made["policies"]["proposal"]
    return [
        "## What no recording shows",
        "",
        "Held against the proposal is *any trace*: a policy by somebody who knows each device's type and each use of the site, and permits a"
        " use between its two types for a single record of it in the days learnt, whoever sent it, in whichever direction. What it cuts can"
        " be learnt from these recordings by nobody: the use did not happen in those days, or no exporter recorded a packet of it. It cuts"
        f" {100 * floor['cut_flows']:.3f} % of the flows (the proposal {100 * proposal['cut_flows']:.3f} %), more than 1 % of"
        f" {floor['segments_above_one_percent']} segments (the proposal of {proposal['segments_above_one_percent']}; of"
        f" {proposal['segments_above_one_percent_traced']} by what left a trace alone) and something of"
        f" {floor['life_safety_cut'] + floor['life_safety_cut_by_wrong_profiles']} life-safety uses (the proposal of {life_safety(proposal)},"
        f" {proposal['life_safety_cut_traced']} of which left a trace). A trace is less than evidence: one packet of one device on one day is how an"
        " intruder begins as well.",
        "",
        "| uses cut, right profiles | in all | recorded by an exporter that samples | asked about by name |",
        "| --- | --- | --- | --- |",
        *(
            f"| {cause} in the days learnt | {len(own)} | {sum(sampled for sampled, _asked in own)} | {sum(asked for _sampled, asked in own)} |"
            for cause in (NEVER, UNRECORDED, TRACED)
            for own in ([(sampled, asked) for sampled, each, asked in uses if each == cause],)
        ),
        "",
    ]


def _sampled(name: str, site: Mapping[str, Any], use: str) -> bool:
    """Return whether an exporter that samples tells of what a use's client opens."""
    zones = {each.name: each.zone for each in types_of(name.rpartition("-")[0], 1.0)}
    return bool(site["observers"][zones[use.split(" > ", maxsplit=1)[0]]] == SAMPLED)


def _above(made: Mapping[str, Any], name: str) -> str:
    policies = made["policies"]
    parts = []
    for when, _policy, text in (("first", "proposal", "nobody asked"), ("answered", "proposal, answered", "answered")):
        segments = [(site, segment) for site in made["sites"].values() for segment in above(site, when)]
        free = sum(not site["waits"][when].get(segment, ["unknown"]) for site, segment in segments)
        parts.append(f"of the {len(segments)} segments above 1 % ({text}) the proposal offers {free} for enforcement")
    return f"{name.capitalize() or 'On the seeds of evaluation '}({policies['proposal']['segments']} segments): {'; '.join(parts)}."


def above(site: Mapping[str, Any], when: str) -> Mapping[str, float]:
    """Return the segments of a site of which more than one per cent is cut, with the share."""
    row = site if when == "first" else site["answered"]
    return dict(row["segments_above_one_percent"])


def reasons(*made: Mapping[str, Any]) -> list[str]:
    """Return what enforcement waits for, by what enforcing the segments that wait for it would have cut."""
    sites = [site for each in made for site in each["sites"].values()]
    classes = (SAFE, LATER, LITTLE, UNSAFE)
    lines = [
        "## What enforcement waits for, and whether it would have been safe",
        "",
        f"Each segment of {len(sites)} sites (those of evaluation and the fresh ones), enforced on day 30 by itself: does it cut *nothing*"
        f" of the next 30 days"
        " at either end, of all devices; only conversations of *newcomers* (devices that came after the days learnt with a wrong profile: no"
        " evidence tells of them, and no waiting helps); a *little* (at most 1 % of its conversations, no life-safety use); or *more*? By what the proposal"
        " says that its enforcement waits for, mostly several things at once; *by itself* are the segments that wait for nothing else. Holding segments,"
        " which are never enforced, are left out. A reason that holds back many segments of which enforcing cuts nothing costs time; one"
        " that holds back those of"
        " which it cuts more earns it.",
    ]
    for when, title in (("first", "Before any answer"), ("answered", "Answered")):
        counts: Counter[tuple[str, str]] = Counter()
        single: Counter[tuple[str, str]] = Counter()
        for _name, cut, waits in (row for site in sites for row in site["held_back"][when]):
            if any("the right segment of its" in text for text in waits):
                continue
            words = {next((word for part, word in WAITS if part in text), text) for text in waits} or {"**offered**"}
            counts.update((word, cut) for word in words)
            counts[EVERY, cut] += 1
            single.update((word, cut) for word in words if len(words) == 1)
        found = sorted({word for word, _cut in counts}, key=lambda word: (word != EVERY, -counts[word, SAFE], word))
        lines += [
            "",
            f"| {title} | " + " | ".join(classes) + " | by itself: " + " | ".join(classes) + " |",
            "| --- |" + " --- |" * 2 * len(classes),
            *(
                f"| {word} | "
                + " | ".join(
                    str(each[word, cut]) if word != EVERY or each is counts else ""
                    for each in (counts, single)
                    for cut in classes
                )
                + " |"
                for word in found
            ),
        ]
    # Of the last table.
    risky = counts[EVERY, UNSAFE] + counts[EVERY, LITTLE]
    lines += [
        "",
        f"Of the {risky} segments of which enforcing would cut something that evidence could tell of, answered,"
        f" {counts['sampled', UNSAFE] + counts['sampled', LITTLE]} wait for"
        f" recordings of every packet, and {counts['**offered**', UNSAFE] + counts['**offered**', LITTLE]} are offered.",
    ]
    return [*lines, ""]


def waiting(told: Sequence[tuple[str, int, Mapping[str, Any]]]) -> list[str]:
    """Return how much is offered after how many days, by site: of ``offered_later``."""
    lines = [
        "## How long a site waits",
        "",
        "Sites that rules were tuned on, learnt for 30, 60 and 90 days and answered in up to three rounds, since an answer may raise a"
        " question; judged by the 30 days"
        " that follow.",
        "",
        "| site | days | segments offered | legitimate flows enforced | of these cut | conversations cut, of newcomers and of others |"
        " segments above 1 % | life-safety uses cut |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, days, row in told:
        lines.append(
            f"| {name} | {days} | {row['segments_offered']} of {row['segments']} | {100 * row['flows_enforced']:.1f} % |"
            f" {100 * row['cut_flows']:.3f} % | {row['cut_conversations_of_newcomers']}, {row['cut_conversations_of_others']} |"
            f" {', '.join(row['segments_above_one_percent']) or 'none'} | {', '.join(row['life_safety_cut']) or 'none'} |"
        )
    last = {name: row for name, _days, row in told}
    for name, row in last.items():
        words = Counter(next((word for part, word in WAITS if part in text), text) for text in row["waits"].elements())
        words.pop("holds devices", None)
        lines += [
            "",
            f"Left to wait for in {name}: {', '.join(f'{word} ({count})' for word, count in words.most_common())}.",
        ]
    return [*lines, ""]


def held_back(made: Mapping[str, Any]) -> list[str]:
    """Return each segment above one per cent with what is cut of it and why its enforcement is not offered."""
    lines = [
        "Segments of which more than one per cent of conversations are cut, everything enforced: what is cut (*unasked*: nobody is asked"
        " about it) and what the days learnt hold of it, and what their"
        " enforcement waits for.",
        "",
        "| site | segment | cut | answered | uses | enforcement waits for | answered |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, site in made["sites"].items():
        first, later = above(site, "first"), above(site, "answered")
        for segment in sorted({*first, *later}):
            uses = [use for use in site["cut_uses"] if use.startswith(f"{segment} > ")]
            shown = "; ".join(
                ", ".join(
                    (
                        use.partition(" > ")[2] + (" unasked" if use in site["cut_uses_unasked"] else ""),
                        site["causes"][use],
                    )
                )
                for use in uses
            )
            waits = [short(site["waits"][when].get(segment)) for when in ("first", "answered")]
            lines.append(
                f"| {name} | {segment} | {_share(first.get(segment))} | {_share(later.get(segment))} | {shown} | {waits[0]} | {waits[1]} |"
            )
    lines += [
        "",
        "Life-safety uses of which something is cut, everything enforced and nobody asked, with what the segments at both ends wait for:",
        "",
        "| site | use | cut | in the days learnt | enforcement waits for |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, site in made["sites"].items():
        for key, text in (
            ("life_safety_cut", "right profiles"),
            ("life_safety_cut_by_wrong_profiles", "wrong profiles only"),
        ):
            for use in site[key]:
                ends = dict.fromkeys(use.rpartition(" ")[0].split(" > "))
                waits = [
                    f"{end}: {short(site['waits']['first'][end])}" for end in ends if end in site["waits"]["first"]
                ]
                cause = next(cause for each, cause in site["causes"].items() if each.startswith(f"{use} ("))
                lines.append(f"| {name} | {use} | {text} | {cause} | {'; '.join(waits)} |")
    return [*lines, ""]


def _share(value: float | None) -> str:
    return f"{100 * value:.1f} %" if value else ""


def short(waits: Sequence[str] | None) -> str:
    """Return what enforcement waits for in few words; empty where that was not asked, *offered* where it waits for nothing."""
    if waits is None:
        return ""
    found = []
    for text in waits:
        word = next((word for part, word in WAITS if part in text), text.split(" (", 1)[0])
        kinds = text.rpartition("): ")[2] if word == "queue" else ""
        number = re.match(r"\d+", text).group() if word == "questions to owners" else ""
        found.append(" ".join(each for each in (number, word, f"({kinds})" if kinds else "") if each))
    return ", ".join(found) or "**offered**"


def sentences(
    made: Mapping[str, Any], fresh: Mapping[str, Any], seeds: Sequence[int], fresh_seeds: Sequence[int]
) -> str:
    """Return both readings in a few sentences, fresh seeds in brackets."""

    def pair(place: int, shown: Any) -> str:
        one, two = (columns(each)[place] for each in (made, fresh))
        return f"{shown(one)} ({shown(two)})"

    def cut(way: Any) -> str:
        return f"{100 * way[1]['cut_flows']:.3f} %"

    def segments(way: Any) -> str:
        return str(way[1]["segments_above_one_percent"])

    def lives(way: Any) -> str:
        return str(life_safety(way[1]))

    def traced(name: str) -> Any:
        return lambda way: _traced(way[1], name)

    def share(way: Any) -> str:
        return f"{100 * way[2]:.1f} %"

    return (
        f"Measured on {len(made['sites'])} made-up sites whose truth is known (seeds {seeds[0]} to {seeds[-1]}; in brackets"
        f" {fresh_seeds[0]} to {fresh_seeds[-1]}, drawn once when"
        " the code stood), 30 days learnt, the next 30 judged, devices with wrong profiles and new ones included. **Who enforces what is"
        " offered**, and nothing else, loses"
        f" {pair(1, cut)} of the legitimate flows in force, {pair(1, segments)} segments lose more than 1 % of their conversations and"
        f" {pair(1, lives)} life-safety uses anything; that puts"
        f" {pair(0, share)} of all flows under enforcement before any answer and {pair(1, share)} once people have answered what is asked."
        f" **Who enforces every segment on day 30**, against the advice and before any answer, loses {pair(2, cut)} of all legitimate"
        f" flows, {pair(2, segments)} of"
        f" {made['policies']['proposal']['segments']} segments lose more than 1 % of their conversations and {pair(2, lives)} life-safety"
        f" uses something; {pair(2, traced('segments_above_one_percent'))} of these segments and {pair(2, traced('life_safety_cut'))} of the uses"
        " by what the recordings hold any trace of, the others by what no recording shows;"
        f" once answered {pair(3, cut)}, {pair(3, segments)} segments and {pair(3, lives)} life-safety uses. What is cut, and why, stands"
        f" in the [benchmark](propose-benchmark.md)."
    )


def with_sentences(text: str, told: str) -> str:
    """Return a page's text with the sentences between its marks. ValueError where it has none."""
    head, begin, rest = text.partition(BEGIN)
    _old, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no {BEGIN} in the page")
    return f"{head}{BEGIN}\n{told}\n{END}{tail}"
