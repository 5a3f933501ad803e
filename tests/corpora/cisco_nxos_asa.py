"""NX-OS and ASA in the table of access list lines."""

from __future__ import annotations

from tests.corpora.acl_table import Family, Source

# Lists that no packet field can hold, and words on whose meaning the sources differ: opaque on purpose.
NXOS_FORMS = {
    "MAC list": lambda item, _line, _text: "mac" in item.kind.lower(),
    "an IPv6 address without a length": lambda item, line, _text: "is not an IPv6 address" in line.reason,
    "protocol nos: 4 in one source, 94 in another": lambda _item, _line, text: " nos " in text,
}

FAMILIES = (
    Family(
        "cisco_nxos",
        (
            Source("show access-lists", "nxos", ("device-outputs/cisco_nxos/show_access-list*/*.txt",)),
            Source("running-config", "nxos", ("device-outputs/cisco_nxos/running-config/*.txt",)),
            Source("Batfish configurations", "nxos", ("policy-corpora/batfish-configs/vendor/cisco_nxos/**/*",)),
            Source("Aerleon, generator cisconx", "nxos", ("policy-corpora/aerleon-samples/*/rendered/*.nxacl",)),
        ),
        NXOS_FORMS,
    ),
    Family(
        "cisco_asa",
        (
            Source("show access-list", "asa", ("device-outputs/cisco_asa/show_access-list*/*.txt",)),
            Source("running-config", "asa", ("device-outputs/cisco_asa/running-config/*.txt",)),
            Source("Batfish configurations", "asa", ("policy-corpora/batfish-configs/grammar/cisco_asa/**/*",)),
            Source("Aerleon, generator ciscoasa", "asa", ("policy-corpora/aerleon-samples/*/rendered/*.asa",)),
        ),
        {},
    ),
)  # fmt: skip
