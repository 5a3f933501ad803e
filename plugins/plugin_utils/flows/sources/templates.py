# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates of NetFlow v9 (RFC 3954) and IPFIX (RFC 7011): what they say, where they are kept between runs.

Some devices send their templates every 10 to 15 minutes only, so templates outlive the process (facts/flows.md section 3). So do the
sampling rates that option records tell, which come as seldom: without them a file between two of these would pass for unsampled.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.files import read_document, write_json
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.sources.sampling import (
    LARGEST_NUMBER,
    LARGEST_RATE,
    of_interface,
)

np = guarded("numpy")

VARIABLE = 0xFFFF
REVERSE = 29305  # RFC 5103: the enterprise number of reverse information elements
SCOPE = -1  # stands for the enterprise number of scope fields, which v9 numbers on their own
MOST_FIELDS = 1024
MOST_TEMPLATES = 2048
MOST_EXPORTERS = 100_000
# Fields of all templates together: some 100 MiB.
MOST_FIELDS_IN_ALL = 1 << 20
MOST_RATES = 4096
MOST_RATES_IN_ALL = 1 << 17
# A rate that was told holds for what is exported within a day of that: devices tell it every half an hour at least.
RATE_HOLDS_US = 86_400_000_000
RATE_STEP_US = 3_600_000_000


@dataclass(frozen=True)
class Field:
    """A field: information element, length in octets (VARIABLE for variable) and enterprise number (0 for IANA's)."""

    element: int
    length: int
    enterprise: int = 0


@dataclass(frozen=True)
class Template:
    """A template's fields in order; ``options`` where it describes option records."""

    fields: tuple[Field, ...]
    options: bool = False

    @cached_property
    def variable(self) -> bool:
        """Return whether a field has variable length."""
        return any(each.length == VARIABLE for each in self.fields)

    @cached_property
    def fixed(self) -> tuple[tuple[int, Field], ...]:
        """Return (offset in the projection, field) of the fields that have a fixed length above zero."""
        made, offset = [], 0
        for each in self.fields:
            if each.length not in (0, VARIABLE):
                made.append((offset, each))
                offset += each.length
        return tuple(made)

    @cached_property
    def size(self) -> int:
        """Return the octets of a record's fixed fields."""
        return sum(each.length for each in self.fields if each.length != VARIABLE)

    @cached_property
    def smallest(self) -> int:
        """Return the octets of the smallest record: padding is shorter."""
        return sum(1 if each.length == VARIABLE else each.length for each in self.fields)

    @cached_property
    def dtype(self) -> Any:
        """Return the numpy type of a record's fixed fields, which are named by position."""
        names, formats, offsets = [], [], []
        for position, (offset, each) in enumerate(self.fixed):
            names.append(str(position))
            formats.append(f">u{each.length}" if each.length in (1, 2, 4, 8) else f"V{each.length}")
            offsets.append(offset)
        return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": self.size})

    def project(self, data: bytes) -> tuple[bytes, int]:
        """Return (fixed fields of the records one after the other, number of records) of a data set's body.

        Octets after the last whole record are padding.
        """
        if not self.size and not self.variable:
            return b"", 0
        if not self.variable:
            count = len(data) // self.size
            return data[: count * self.size], count
        kept: list[bytes] = []
        count, offset = 0, 0
        while offset + self.smallest <= len(data):
            row: list[bytes] = []
            for each in self.fields:
                length = each.length
                if length == VARIABLE:
                    length = data[offset] if offset < len(data) else 1 << 30
                    offset += 1
                    if length == 255 and offset + 2 <= len(data):
                        length = int.from_bytes(data[offset : offset + 2], "big")
                        offset += 2
                    offset += length
                else:
                    row.append(data[offset : offset + length])
                    offset += length
                if offset > len(data):
                    return b"".join(kept), count
            kept.extend(row)
            count += 1
        return b"".join(kept), count


class TemplateError(ValueError):
    """A template set that cannot be read."""


def templates_of_set(body: bytes, version: int, options: bool) -> Iterator[tuple[int, Template | None]]:
    """Yield (template number, template) of a template set's body, None for a withdrawal; raises TemplateError."""
    offset = 0
    while offset + 4 <= len(body):
        number, second = struct.unpack_from(">HH", body, offset)
        offset += 4
        if number < 256:
            if not any(body[offset - 4 :]):
                return  # padding
            raise TemplateError(f"template number {number}")
        if not options:
            count, scopes = second, 0
        elif version == 9:
            if offset + 2 > len(body):
                raise TemplateError("cut")
            scopes, count = second // 4, (second + struct.unpack_from(">H", body, offset)[0]) // 4
            offset += 2
        elif second == 0:
            count = scopes = 0
        else:
            if offset + 2 > len(body):
                raise TemplateError("cut")
            count, scopes = second, struct.unpack_from(">H", body, offset)[0]
            offset += 2
        if count == 0:
            yield number, None
            continue
        if count > MOST_FIELDS:
            raise TemplateError(f"{count} fields")
        fields = []
        for position in range(count):
            if offset + 4 > len(body):
                raise TemplateError("cut")
            element, length = struct.unpack_from(">HH", body, offset)
            offset += 4
            enterprise = 0
            if version == 10 and element & 0x8000:
                if offset + 4 > len(body):
                    raise TemplateError("cut")
                element, enterprise = element & 0x7FFF, struct.unpack_from(">I", body, offset)[0]
                offset += 4
            if version == 9 and position < scopes:
                enterprise = SCOPE
            fields.append(Field(element, length, enterprise))
        yield number, Template(tuple(fields), options)


Domain = tuple[str, int, int]


@dataclass
class Templates:
    """Templates by (exporter address, version, observation domain) and number; kept in a JSON file between runs.

    ``rates``: sampling rates by domain and by what they hold for (``sampling.py``), each with the moment when it was told last.
    """

    known: dict[Domain, dict[int, Template]] = field(default_factory=dict)
    changed: bool = False
    field_count: int = 0
    rates: dict[Domain, dict[int, tuple[int, int]]] = field(default_factory=dict)
    rate_count: int = 0

    def get(self, domain: Domain, number: int) -> Template | None:
        """Return a template or None."""
        return self.known.get(domain, {}).get(number)

    def put(self, domain: Domain, number: int, template: Template | None) -> bool:
        """Keep a template, or forget it for None; returns whether it is new or differs."""
        if domain not in self.known and len(self.known) >= MOST_EXPORTERS:
            return False
        own = self.known.setdefault(domain, {})
        if template is None:
            gone = own.pop(number, None)
            self.field_count -= len(gone.fields) if gone else 0
            self.changed |= gone is not None
            return False
        if own.get(number) == template or (number not in own and len(own) >= MOST_TEMPLATES):
            return False
        before = own.get(number)
        added = len(template.fields) - (len(before.fields) if before else 0)
        if self.field_count + added > MOST_FIELDS_IN_ALL:
            return False
        self.field_count += added
        own[number] = template
        self.changed = True
        return True

    def tell_rate(self, domain: Domain, key: int, rate: int, moment_us: int) -> None:
        """Keep a sampling rate that an exporter told at a moment (its own clock, microseconds since 1970 UTC)."""
        own = self.rates.get(domain, {})
        before = own.get(key)
        if before is None:
            if len(own) >= MOST_RATES or self.rate_count >= MOST_RATES_IN_ALL:
                return
            self.rate_count += 1
        elif before[0] == rate and abs(moment_us - before[1]) < RATE_STEP_US:
            return
        self.rates.setdefault(domain, own)[key] = (rate, moment_us)
        self.changed = True

    def rates_at(self, domain: Domain, moment_us: int) -> dict[int, int]:
        """Return the sampling rates of a domain that hold at a moment."""
        own = self.rates.get(domain)
        if not own:
            return {}
        return {key: rate for key, (rate, told_us) in own.items() if abs(moment_us - told_us) < RATE_HOLDS_US}

    @classmethod
    def read(cls, path: Path) -> Templates:
        """Return the templates of a file; none where it is absent or damaged, since exporters send them again."""
        made = cls()
        if not path.exists():
            return made
        try:
            document = read_document(path, "flow-templates", 1)
            for each in document["domains"]:
                domain = (str(each["exporter"]), int(each["version"]), int(each["domain"]))
                own = made.known.setdefault(domain, {})
                for number, value in each["templates"].items():
                    fields = tuple(Field(int(a), int(b), int(c)) for a, b, c in value["fields"])
                    own[int(number)] = Template(fields, bool(value["options"]))
                    made.field_count += len(fields)
                for key, (rate, told_us) in each.get("sampling", {}).items():
                    if abs(int(key)) > abs(of_interface(LARGEST_NUMBER)) or made.rate_count >= MOST_RATES_IN_ALL:
                        raise ValueError(key)
                    made.rates.setdefault(domain, {})[int(key)] = (min(max(1, int(rate)), LARGEST_RATE), int(told_us))
                    made.rate_count += 1
        except (FindingError, KeyError, TypeError, ValueError, AttributeError):
            return cls()
        return made

    def write(self, path: Path) -> None:
        """Write the templates where they have changed."""
        if not self.changed:
            return
        domains = []
        for domain in sorted({*self.known, *self.rates}):
            (exporter, version, number), own = domain, self.known.get(domain, {})
            kept = {
                str(key): {
                    "fields": [[f.element, f.length, f.enterprise] for f in each.fields],
                    "options": each.options,
                }
                for key, each in sorted(own.items())
            }
            made: dict[str, Any] = {"exporter": exporter, "version": version, "domain": number, "templates": kept}
            if domain in self.rates:
                made["sampling"] = {str(key): list(each) for key, each in sorted(self.rates[domain].items())}
            domains.append(made)
        write_json(path, {"kind": "flow-templates", "schema_version": "1.1", "domains": domains})
        self.changed = False
