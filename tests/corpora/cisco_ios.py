"""IOS and IOS-XE in the table of access list lines."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.dialects.model import Opaque, ParsedAcl
from tests.corpora.acl_table import Family, Source

# Lists that the platform shows and no packet field can hold, and words that IOS does not accept: opaque on purpose.
FOREIGN_WORDS = ("net-group", "port-group", "icmpv6", "router", "mldv2")


def _foreign(item: ParsedAcl, line: Opaque, text: str) -> bool:
    words = text.split()
    return (
        any(word in words for word in FOREIGN_WORDS)
        or (words[0] == "access-list" and ("extended" in words or "standard" in words))
        or item.kind.startswith(("foreign: ip", "foreign: ipv6"))
        or "outside of its list" in line.reason
        or any("/" in word and "." in word for word in words)
    )


FORMS = {
    "FQDN list: the device resolves names": lambda item, _line, _text: "FQDN" in item.kind,
    "MAC list": lambda item, _line, text: "mac" in item.kind.lower() or "access-list 700" in text or "access-list 1199" in text,
    "reflexive entries of a running device": lambda _item, _line, text: "(time left" in text,
    "port words that IOS does not have (ssh, http)": lambda _item, line, _text: "'ssh'" in line.reason or "'http'" in line.reason,
    "syntax of ASA, NX-OS, IOS-XR or EOS in an IOS file": _foreign,
    "an option that stands twice, which IOS refuses": lambda _item, line, _text: "stands twice" in line.reason,
}  # fmt: skip

FAMILIES = (
    Family(
        "cisco_ios",
        (
            Source("show access-lists", "ios", ("device-outputs/cisco_ios/show_access-list*/*.txt",)),
            Source("show ip access-lists", "ios", ("device-outputs/cisco_ios/show_ip_access-lists/*.txt",)),
            Source("show ipv6 access-list", "ios", ("device-outputs/cisco_ios/show_ipv6_access-lists/*.txt",)),
            Source("show running-config partition", "ios", ("device-outputs/cisco_ios/show_running-config_partition*/*.txt",)),
            Source("running-config", "ios", ("device-outputs/cisco_ios/running-config/*.txt",)),
            Source(
                "Batfish configurations", "ios",
                (
                    "policy-corpora/batfish-configs/networks/**/*.cfg",
                    "policy-corpora/batfish-configs/grammar/cisco/**/*",
                    "policy-corpora/batfish-configs/grammar/aws/**/cisco_host",
                    "policy-corpora/batfish-configs/dataplane/ibdp/**/advertiser",
                    "policy-corpora/batfish-configs/tests/parsing-tests/networks/unit-tests/configs/cisco_*",
                    "policy-corpora/batfish-configs/tests/parsing-tests/networks/unit-tests/configs/tcpflags",
                    "policy-corpora/batfish-configs/tests/parsing-tests/networks/example-juniper/configs/*",
                ),
            ),
            Source(
                "Aerleon, generator cisco", "ios",
                (
                    "policy-corpora/aerleon-reference-outputs/cisco/*",
                    "policy-corpora/aerleon-samples/*/rendered/*.acl",
                ),
            ),
        ),
        FORMS,
    ),
    Family(
        "cisco_iosxe",
        (
            Source("show access-lists", "ios", ("device-outputs/cisco_iosxe/show_access-lists/*.txt",)),
            Source("show ip access-lists", "ios", ("device-outputs/cisco_iosxe/show_ip_access-list*/*.txt",)),
            Source("show ipv6 access-list", "ios", ("device-outputs/cisco_iosxe/show_ipv6_access-list/*.txt",)),
            Source("show cts rbacl", "sgacl", ("device-outputs/cisco_iosxe/show_cts_rbacl/*.txt",)),
        ),
        FORMS,
    ),
)  # fmt: skip
