"""Aerleon's renderings against the policies they come from, and Batfish's answers on unreachable filter lines against ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import ParsedAcl
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.anomalies import REMOVABLE, find_anomalies
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.diagram import (
    PacketSet,
    PacketSpace,
    permitted,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import Box

from .aerleon_policy import Definitions, Filter, NotExpressibleError, filters_of, list_of

# The sample includes a file that the corpora do not hold; its three terms, after their names in every rendering.
INCLUDES = {"includes/untrusted-networks-blocking.inc": """
term deny-from-bogons {
  source-address:: BOGON
  action:: deny
}
term deny-from-reserved {
  source-address:: RESERVED
  action:: deny
}
term deny-to-rfc1918 {
  destination-address:: RFC1918
  action:: deny
}
"""}  # fmt: skip
SAMPLES = ("sample_multitarget.pol", "sample_cisconx.pol")
# Target of the policy: (ending of the rendering, platform that reads it, family, name of the list from the target's name)
TARGETS = [
    ("cisco", "acl", "ios", 4, "{}"),
    ("cisco", "acl", "ios_ipv6", 6, "ipv6-{}"),
    ("cisconx", "nxacl", "nxos", 4, "{}"),
    ("ciscoasa", "asa", "asa", 4, "{}"),
]
# How many lists of each target the samples hold.
COUNTS = {("cisco", 4): 2, ("cisco", 6): 2, ("cisconx", 4): 2, ("ciscoasa", 4): 2}
# (target, list): what differs, why. Aerleon writes no option tcp-established for the ASA, which keeps connections itself; but as a
# list the line opens every TCP port of the five hosts to whoever comes, which the policy does not say.
WIDER = {("ciscoasa", "asa_in"): "tcp-established is left out: new TCP connections to five hosts"}


def whole_packets(space: PacketSpace, family: int) -> PacketSet:
    """Return the packets that a policy speaks about: of one family, no later fragments."""
    base = 256 if family == 6 else 0
    return space.from_box(Box(IntervalSet.of((base, base + 255)), fragment=IntervalSet.of(0)))


def rendering(folder: Path, ending: str) -> str:
    found = list((folder / "rendered").glob(f"*.{ending}"))
    return found[0].read_text(encoding="utf-8") if found else ""


def sample_filters(folder: Path) -> list[Filter]:
    (policy,) = (folder / "policy").iterdir()
    return filters_of(policy.read_text(encoding="utf-8"), INCLUDES)


@pytest.mark.corpora
@pytest.mark.parametrize(("target", "ending", "platform", "family", "naming"), TARGETS)
def test_a_rendering_of_aerleon_says_what_its_policy_says(
    corpora: Path, target: str, ending: str, platform: str, family: int, naming: str
) -> None:
    base = corpora / "policy-corpora" / "aerleon-samples"
    names = Definitions((base / "def" / "naming.yaml").read_text(encoding="utf-8"))
    compared = 0
    for sample in SAMPLES:
        text = rendering(base / sample, ending)
        for chosen in sample_filters(base / sample):
            for words in (words for platform_name, words in chosen.targets if platform_name == target):
                name = naming.format(words[0])
                acl = registry.parse_one(platform, text, name)
                assert acl.opaque == ()
                space = PacketSpace()
                scope = whole_packets(space, family)
                intent = permitted(space, list_of(chosen, names, family)) & scope
                told = permitted(space, acl.first_match()) & scope
                compared += 1
                if (target, name) not in WIDER:
                    assert intent == told, (name, (intent ^ told).witness())
                    continue
                assert not intent - told
                extra = told - intent
                assert extra
                hosts = IntervalSet.of((0xC8010101, 0xC8010105))
                opening = IntervalSet.of(*(flags for flags in range(64) if not flags & 20))
                assert extra.is_subset_of(space.from_box(Box(IntervalSet.of(6), opening, destination=hosts)))
    assert compared == COUNTS[target, family]


@pytest.mark.corpora
def test_a_changed_line_of_a_rendering_is_seen(corpora: Path) -> None:
    base = corpora / "policy-corpora" / "aerleon-samples"
    names = Definitions((base / "def" / "naming.yaml").read_text(encoding="utf-8"))
    text = rendering(base / SAMPLES[0], "acl")
    chosen = sample_filters(base / SAMPLES[0])[0]
    space = PacketSpace()
    intent = permitted(space, list_of(chosen, names, 4)) & whole_packets(space, 4)
    for before, after in (("eq 465", "eq 466"), ("host 200.1.1.5 eq 25", "host 200.1.1.6 eq 25"), (" established", "")):
        assert before in text
        acl = registry.parse_one("ios", text.replace(before, after, 1), "edge-inbound")
        assert permitted(space, acl.first_match()) & whole_packets(space, 4) != intent


# Why the other samples have no part here: no Cisco target that the collection reads, or words that no access list has.
NOT_EXPRESSIBLE = {
    "sample_cloudarmor.pol": "cloudarmor: expressions over HTTP",
    "sample_gcp_hf.pol": "gcp_hf: hierarchical firewall with goto_next",
    "sample_k8s.pol": "k8s: labels",
    "sample_nsxt.pol": "nsxt: logical ports and tags",
    "sample_paloalto.pol": "paloalto: zones, applications and URLs",
    "sample_srx.pol": "srx: zones and applications",
}


@pytest.mark.corpora
def test_every_sample_with_a_cisco_target_is_compared(corpora: Path) -> None:
    base = corpora / "policy-corpora" / "aerleon-samples"
    cisco = set()
    for policy in base.glob("*/policy/*.pol"):
        text = policy.read_text(encoding="utf-8")
        if re.search(r"^\s*target::\s*cisco(nx|asa)?\s", text, re.MULTILINE):
            cisco.add(policy.parent.parent.name)
    assert cisco == set(SAMPLES)
    assert {name for name in NOT_EXPRESSIBLE if (base / name).is_dir()} == set(NOT_EXPRESSIBLE)
    with pytest.raises(NotExpressibleError, match="option"):
        list_of(filters_of('header {\n target:: cisco a\n}\nterm x {\n option:: established\n action:: accept\n}\n', {})[0],
                Definitions("networks: {}\nservices: {}\n"), 4)  # fmt: skip


def unreachable(acl: ParsedAcl) -> list[tuple[str, tuple[str, ...], bool]]:
    """Return our answer in the columns of Batfish: unreachable line, blocking lines, different action."""
    found = []
    for item in find_anomalies(acl.first_match()):
        if item.kind != REMOVABLE and item.index < len(acl.aces):
            blocking = tuple(acl.aces[index].raw for index in item.covering)
            found.append((acl.aces[item.index].raw, blocking, item.kind == "contradicting"))
    return found


# What Batfish answers to filterLineReachability on the network "example" (its tests/basic, commit a1bb5696): all of it.
EXAMPLE_ANSWER = {
    ("as2dept1", "RESTRICT_HOST_TRAFFIC_OUT"): [
        ("deny ip 1.128.0.0 0.0.255.255 2.128.0.0 0.0.255.255", ("permit ip any 2.128.0.0 0.0.255.255",), True)
    ],
    ("as2dept1", "RESTRICT_HOST_TRAFFIC_IN"): [("permit icmp any any", ("deny ip any any",), True)],
}  # fmt: skip
# Where our answer says more, and why. Batfish asks only which lines are never reached.
MORE = {
    ("as2dept1", "RESTRICT_HOST_TRAFFIC_IN", "deny ip any any"): "removable: after it comes only what it cancels, then the implicit deny",
}  # fmt: skip


@pytest.mark.corpora
def test_unreachable_lines_of_the_example_network_are_those_of_batfish(corpora: Path) -> None:
    configs = corpora / "policy-corpora" / "batfish-configs" / "networks" / "example" / "live" / "configs"
    ours, more, lists = {}, set(), 0
    for path in sorted(configs.glob("*.cfg")):
        for acl in registry.parse("ios", path.read_text(encoding="utf-8")):
            lists += 1
            found = unreachable(acl)
            if found:
                ours[path.stem, acl.name] = found
            more |= {
                (path.stem, acl.name, acl.aces[item.index].raw)
                for item in find_anomalies(acl.first_match()) if item.kind == REMOVABLE
            }  # fmt: skip
    assert lists >= 25
    assert ours == EXAMPLE_ANSWER
    assert more == set(MORE)


# The cases of Batfish's own test of the question (FilterLineReachabilityTest, commit 28e7cca8) as IOS text, with its answers:
# (name, lines, {unreachable line: (blocking lines, different action)}).
BATFISH_CASES = [
    ("icmp type", ["permit ip host 1.2.3.4 any", "permit icmp host 1.2.3.4 any echo"], {1: ((0,), False)}),
    ("wildcards", ["permit ip 1.2.3.4 0.0.0.3 any", "permit ip host 1.2.3.4 any", "permit ip 1.2.3.0 0.0.0.15 any"], {1: ((0,), False)}),
    ("several cover", ["permit ip host 1.0.0.0 any", "permit ip host 1.0.0.1 any", "permit ip 1.0.0.0 0.0.0.1 any"],
     {2: ((0, 1), False)}),
    ("other action", ["deny ip 1.0.0.0 0.0.0.255 any", "permit ip 1.0.0.0 0.0.0.255 any", "permit ip host 1.0.0.0 any",
     "permit ip host 1.2.3.4 any"], {1: ((0,), True), 2: ((0,), True)}),
]  # fmt: skip
# The rest of them, one by one, and the other answer that the corpora hold.
NOT_COMPARED = {
    "testIndependentlyUnmatchableLines, line 2": "an empty match: no line of an access list can say it (the other lines are above)",
    "testCycleAppearsOnce": "lists that refer to lists: the syntaxes here have none",
    "testCircularReferences": "the same",
    "testUndefinedReference": "the same; a missing object group makes a line opaque",
    "testIndirection": "the same",
    "testOriginalAclNotMutated": "the same; about Batfish's own data",
    "testWithSrcInterfaceReference": "a match on the interface: not a word of these lists",
    "testfilters.ref": "iptables of two hosts, which is not a syntax of this collection",
}


@pytest.mark.parametrize(("name", "lines", "wanted"), BATFISH_CASES)
def test_cases_of_batfish(name: str, lines: list[str], wanted: dict[int, tuple[tuple[int, ...], bool]]) -> None:
    (acl,) = registry.parse("ios", "ip access-list extended A\n" + "\n".join(f" {line}" for line in lines))
    answer = [(lines[index], tuple(lines[other] for other in by), differs) for index, (by, differs) in wanted.items()]
    assert unreachable(acl) == answer
    # NX-OS says the same of the same lines.
    (nexus,) = registry.parse("nxos", "ip access-list A\n" + "\n".join(f"  {line}" for line in lines))
    assert [(place, differs) for place, (_by, differs) in wanted.items()] == [
        (item.index, item.kind == "contradicting") for item in find_anomalies(nexus.first_match()) if item.kind != REMOVABLE
    ]  # fmt: skip


def test_a_line_whose_later_fragments_still_pass_is_not_unreachable() -> None:
    """Where we say less: a deny line with ports stops no later fragment, so a permit line after it is still reached."""
    text = "ip access-list extended A\n deny tcp any host 10.0.0.1 eq 80\n permit tcp any host 10.0.0.1 eq 80\n"
    (acl,) = registry.parse("ios", text)
    assert unreachable(acl) == []
    space = PacketSpace()
    passes = permitted(space, acl.first_match())
    assert passes
    assert passes.is_subset_of(space.from_box(Box(fragment=IntervalSet.of(1))))
