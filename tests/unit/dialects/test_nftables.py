"""Our nftables table, also through the real nft where the machine has one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects import registry
from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Ace, first_match_list
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.compare import compare
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.intervals import IntervalSet, from_wildcard
from ansible_collections.segwright.microseg.plugins.plugin_utils.packets.model import ESTABLISHED

NET, HOSTS = IntervalSet.from_prefix("10.0.0.0/24"), IntervalSet.of(0x0A010001, (0x0A010003, 0x0A010009))
HOLES = from_wildcard(0x0A000100, 0x00FF00FF) or IntervalSet.of()  # 10.0.1.0 0.255.0.255: a mask with a hole
HOLES6 = from_wildcard(0x20010DB8 << 96, 0x3F << 64 | 7) or IntervalSet.of()
ACES = [
    Ace(True, 6, 4, NET, HOSTS, None, IntervalSet.of(443, (5000, 5010)), label="r-1"),
    Ace(
        True,
        17,
        6,
        IntervalSet.from_prefix("2001:db8::/32"),
        None,
        IntervalSet.of((1024, 65535)),
        IntervalSet.of(53),
        label='odd "name"\\',
    ),
    Ace(True, 1, 4, None, NET, detail=IntervalSet.of((2048, 2303), 772, (0, 255)), label="icmp"),
    Ace(True, 58, 6, detail=IntervalSet.of((512, 767), (256, 258)), label="icmp6"),
    Ace(False, 6, 4, detail=ESTABLISHED),
    Ace(False, 6, 4, destination_ports=IntervalSet.of(22), detail=IntervalSet.of(2)),
    Ace(False, 47, 4),
    Ace(False, 6, 6),
    Ace(True, 99, 4),
    Ace(True, 132, 4, destination_ports=IntervalSet.of(2905), log=True),
    Ace(False, 58, 6),
    Ace(False, 1, 4),
    Ace(False, 89, 4),
    Ace(True, None, 4, IntervalSet.from_prefix("172.16.0.0/12")),
    Ace(False, 6, 4, HOLES, None, None, IntervalSet.of(8080)),
    Ace(True, None, 6, HOLES6),
    Ace(False, None, 4, label="default"),
    Ace(False, None, 6, label="default"),
]
TEXT = registry.render("nftables", "segwright", ACES)
WANTED = first_match_list(ACES, fragments_like_ios=False)


def test_text_reads_back() -> None:
    (found,) = registry.parse("nftables", TEXT)
    assert found.opaque == ()
    assert found.attributes == {
        "table": "segwright", "chain": "sw_forward", "policy": "drop", "stateful": True,
    }  # fmt: skip
    assert [ace.label for ace in found.aces if ace.label][:3] == ["r-1", "odd _name__", "icmp"]
    assert compare(WANTED, found.first_match()).equal
    assert registry.round_trip("nftables", TEXT)


def test_text_is_one_transaction_that_touches_one_table() -> None:
    rows = TEXT.splitlines()
    assert rows[:3] == ["table inet segwright", "delete table inet segwright", "table inet segwright {"]
    assert "flush" not in TEXT
    assert "\t\tip saddr & 255.0.255.0 == 10.0.1.0 tcp dport 8080 counter drop" in rows
    assert rows[5:7] == ["\t\tct state established,related accept", "\t\tct state invalid drop"]
    assert (
        '\t\tip saddr 10.0.0.0/24 ip daddr { 10.1.0.1, 10.1.0.3-10.1.0.9 } tcp dport { 443, 5000-5010 } counter accept comment "r-1"'
        in rows
    )


def test_policy_follows_the_last_entry() -> None:
    permissive = registry.render("nftables", "t", [Ace(True, 6, 4), Ace(True, None, 0)])
    assert "policy accept;" in permissive
    assert "invalid" not in permissive
    assert registry.parse("nftables", permissive)[0].default_permit
    assert "policy drop;" in registry.render("nftables", "t", [Ace(True, 6, 4)])
    # All of IPv6 is not all: an accepting chain would let IPv4 through as well.
    assert "policy drop;" in registry.render("nftables", "t", [Ace(True, 6, 4), Ace(True, None, 6)])
    assert "delete" not in registry.render("nftables", "t", [], replace=False)


STATELESS_ACES = [
    *(ace for ace in ACES if not ace.log),
    Ace(True, 17, 4, NET, fragments=True, label="later"),
    Ace(False, 6, 6, None, IntervalSet.from_prefix("2001:db8:1::/48"), fragments=True),
    Ace(True, None, 0, fragments=True),
    Ace(True, 58, 6),
    Ace(True, 58, 6, fragments=True),
    Ace(True, 1, 6, IntervalSet.from_prefix("2001:db8::/32")),
    Ace(True, 6, 6, detail=IntervalSet.of((0, 63))),
    Ace(True, 1, 4, detail=IntervalSet.of((0, 65535))),
]
STATELESS = registry.render("nftables", "segwright", STATELESS_ACES, stateful=False)
STATELESS_WANTED = first_match_list(STATELESS_ACES, fragments_like_ios=False)


def test_the_stateless_form_reads_back() -> None:
    (found,) = registry.parse("nftables", STATELESS)
    assert found.opaque == ()
    assert found.attributes["stateful"] is False
    assert "ct state" not in STATELESS
    assert compare(STATELESS_WANTED, found.first_match()).equal
    assert registry.round_trip("nftables", STATELESS)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("\t\tip saddr", "\t\tct state established,related accept\n\t\tip saddr"),
        ("\t\tip saddr", "\t\tct state invalid drop\n\t\tip saddr"),
        ("frag-off & 8191", "frag-off & 4095"),
        ("frag-off & 8191 != 0", "frag-off & 8191 == 0"),
        ("\t\tfrag frag-off != 0 goto sw_later\n", ""),
        ("frag frag-off != 0 goto", "frag frag-off != 0 jump"),
        ("\t\tfrag frag-off != 0 goto sw_later\n", "\t\tcounter accept\n\t\tfrag frag-off != 0 goto sw_later\n"),
        ("sw_stateless", "sw_forward"),
        ("chain sw_later", "chain other"),
        ("\tchain sw_later {\n", "\tchain sw_later {\n\t\tmeta nfproto ipv4 tcp dport 22 accept\n"),
        ("\tchain sw_later {\n", "\tchain sw_later {\n\t\tfrag frag-off != 0 goto sw_later\n"),
    ],
)
def test_changed_stateless_text_is_opaque(before: str, after: str) -> None:
    assert before in STATELESS
    assert registry.parse("nftables", STATELESS.replace(before, after, 1))[0].opaque


@pytest.mark.parametrize(
    "ace", [Ace(True, 17, 4, destination_ports=IntervalSet.of(53), fragments=True), Ace(True, 1, 0, fragments=True)]
)
def test_what_the_stateless_form_cannot_say(ace: Ace) -> None:
    with pytest.raises(FindingError, match="SW1204"):
        registry.render("nftables", "t", [ace], stateful=False)
    with pytest.raises(FindingError, match="SW1204"):
        registry.render("nftables", "t", [ace])


def through_nft(text: str, *flags: str) -> str:
    """Load a ruleset into a fresh network namespace and return how nft lists it."""
    command = f"nft -f - && nft {' '.join(flags)} list table inet segwright"
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", command], input=text, capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode:
        if "not permitted" in done.stderr or "unshare" in done.stderr or "Could not process rule" in done.stderr:
            pytest.skip(f"no network namespace with nftables here: {done.stderr.strip()[:100]}")
        raise AssertionError(done.stderr)
    return done.stdout


needs_nft = pytest.mark.skipif(
    shutil.which("nft") is None or shutil.which("unshare") is None or os.geteuid() != 0,
    reason="needs nft, unshare and root",
)


@needs_nft
@pytest.mark.parametrize("flags", [("-j",), ("-s",), ("-a",), ("-j", "-n"), ("-s", "-n"), ("-s", "-nn")])
def test_what_the_kernel_holds_means_the_same(flags: tuple[str, ...]) -> None:
    (found,) = registry.parse("nftables", through_nft(TEXT, *flags))
    assert found.opaque == ()
    assert compare(WANTED, found.first_match()).equal


@needs_nft
@pytest.mark.parametrize("flags", [("-j",), ("-s",), ("-j", "-n"), ("-s", "-n")])
def test_what_the_kernel_holds_of_the_stateless_form(flags: tuple[str, ...]) -> None:
    (found,) = registry.parse("nftables", through_nft(STATELESS, *flags))
    assert found.opaque == ()
    assert compare(STATELESS_WANTED, found.first_match()).equal


@needs_nft
@pytest.mark.parametrize(
    ("rule", "understood"),
    [
        ("meta nfproto ipv4 tcp dport 22 accept", True),
        ("ip daddr != 10.0.0.0/8 accept", False),
        ("tcp dport 22 limit rate 5/second accept", False),
        ('iifname "eth0" accept', False),
        ("ip saddr 10.0.0.1 reject", False),
        ("ip saddr 10.0.0.1 jump other", False),
        ("ip dscp ef accept", False),
        ("ct state new accept", False),
        ("tcp dport 22 ct mark 1 accept", False),
        ("ip saddr 10.0.0.1 tcp dport 1-1023 ip saddr 10.0.0.2 accept", False),
        ("tcp flags syn accept", False),
        ("icmp type echo-request accept", True),
        ("ip saddr @blocked drop", False),
        ("ip saddr . tcp dport { 10.0.0.1 . 22 } accept", False),
        ("tcp dport vmap { 22 : accept }", False),
        ("ip saddr 10.0.0.1 mark set 5 accept", False),
        ("meta l4proto icmp drop", False),
        ("ip6 nexthdr 47 accept", False),  # the first header only: not what is behind extension headers
        ("ip6 nexthdr 1 accept", True),  # what the printer writes
    ],
)
def test_foreign_rules_are_opaque_in_every_listing(rule: str, understood: bool) -> None:
    text = (
        "table inet segwright {\n\tset blocked { type ipv4_addr; }\n\tchain other { }\n\tchain sw_forward {\n"
        "\t\ttype filter hook forward priority filter; policy drop;\n\t\tct state established,related accept\n"
        f"\t\t{rule}\n\t}}\n}}\n"
    )
    if "other" not in rule:
        text = text.replace("\tchain other { }\n", "")
    if "blocked" not in rule:
        text = text.replace("\tset blocked { type ipv4_addr; }\n", "")
    for flags in (("-j",), ("-s",)):
        found = registry.parse("nftables", through_nft(text, *flags))[0]
        assert bool(found.opaque) != understood, (flags, found.opaque)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TEXT.replace("\t\tct state established,related accept\n", ""), "established"),
        (TEXT.replace("hook forward", "hook input"), "chain"),
        (TEXT.replace("counter accept", "counter continue"), "continue"),
        (TEXT.replace("table inet segwright {", "table ip segwright {"), "inet"),
        (TEXT.replace("| psh |", "| 010 |"), "flags '010'"),
        (TEXT.replace("tcp dport { 443,", "tcp dport { https,"), "https"),
    ],
)
def test_changed_text_is_opaque(text: str, reason: str) -> None:
    found = registry.parse("nftables", text)[0]
    assert any(reason in f"{line.reason} {line.text}" for line in found.opaque)
    with pytest.raises(FindingError, match="SW1203"):
        found.first_match()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "flush ruleset\n",
        "{",
        '{"nftables": 5}',
        '{"nftables": [{"metainfo": {"json_schema_version": 2}}]}',
        "table inet a {\n",
    ],
)
def test_no_ruleset_at_all(text: str) -> None:
    with pytest.raises(FindingError, match="SW1210"):
        registry.parse("nftables", text)


def test_json_with_foreign_objects() -> None:
    head = [{"metainfo": {"json_schema_version": 1}}, {"table": {"family": "inet", "name": "t"}}]
    chain = {
        "chain": {
            "family": "inet",
            "table": "t",
            "name": "sw_forward",
            "type": "filter",
            "hook": "forward",
            "prio": 0,
            "policy": "drop",
        }
    }
    for extra in (
        {"set": {"family": "inet", "name": "s", "table": "t"}},
        {"rule": {"table": "t", "chain": "else", "expr": []}},
        chain,
    ):
        (found,) = registry.parse("nftables", json.dumps({"nftables": [*head, chain, extra]}))
        assert len(found.opaque) == 2  # the object, and the missing head of established connections


RULES = [
    {"rule": {"family": "inet", "table": "t", "chain": "sw_forward", "handle": 4, "expr": [
        {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}, {"accept": None}]}},
    {"rule": {"family": "inet", "table": "t", "chain": "sw_forward", "handle": 5, "expr": [
        {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 443}}, {"accept": None}]}},
]  # fmt: skip
CHAIN = {
    "family": "inet",
    "table": "t",
    "name": "sw_forward",
    "handle": 1,
    "type": "filter",
    "hook": "forward",
    "prio": 0,
    "policy": "drop",
}


def listing(table: dict[str, object], chain: dict[str, object], rule: dict[str, object]) -> str:
    """Return a listing in JSON with further keys in its objects."""
    return json.dumps({"nftables": [
        {"metainfo": {"json_schema_version": 1}}, {"table": {"family": "inet", "name": "t", "handle": 1, **table}},
        {"chain": {**CHAIN, **chain}}, RULES[0], {"rule": {**RULES[1]["rule"], **rule}},
    ]})  # fmt: skip


def test_a_key_that_is_not_known_may_change_what_an_object_means() -> None:
    (found,) = registry.parse("nftables", listing({}, {}, {}))
    assert (found.opaque, len(found.aces)) == ((), 1)
    for more in (({"flags": ["dormant"]}, {}, {}), ({}, {"dev": "eth0"}, {}), ({}, {}, {"weird": 1})):
        (found,) = registry.parse("nftables", listing(*more))
        assert " with " in found.opaque[0].reason


def test_a_table_that_is_deleted_after_its_rules_is_not_what_runs() -> None:
    text = registry.render("nftables", "seg", [Ace(True, 6, 4, destination_ports=IntervalSet.of(443))])
    assert registry.parse_one("nftables", text).opaque == ()
    for word in ("delete", "destroy"):
        assert "removed later" in registry.parse_one("nftables", f"{text}{word} table inet seg\n").opaque[0].reason
