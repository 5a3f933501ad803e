"""Aerleon's renderings against the policies they come from, and Batfish's answers on unreachable filter lines against ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
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
