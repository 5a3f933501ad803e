# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: flows
author:
  - Segwright contributors (@segwright)
version_added: 1.0.0
short_description: Conversations of the flow store
description:
  - Returns rows of the daily rollup, filtered by the options.
options:
  _terms:
    description:
      - Addresses or networks of clients. Rows of any client where there is none.
    type: list
    elements: str
  data_dir:
    description:
      - Directory where the loop keeps flows, register and results.
    type: path
    default: .microseg
  since:
    description:
      - First day, as V(YYYY-MM-DD).
    type: str
    default: ""
  until:
    description:
      - First day that is not returned any more, as V(YYYY-MM-DD).
    type: str
    default: ""
  server:
    description:
      - Address or network of the servers.
    type: str
    default: ""
  protocol:
    description:
      - Name or number of the protocol.
    type: str
    default: ""
  port:
    description:
      - Port of the server.
    type: int
    default: 0
  kind:
    description:
      - V(flows) is conversations of the rollup.
      - V(denies) is packets that devices logged as denied, summed for each source, target, service and entry, most packets first.
        O(_terms) are then the sources, O(server), O(port) and O(service) the targets.
      - V(names) is names that DNS answers gave to addresses, with the time for which each held. O(_terms) are then who asked, O(server)
        the named addresses.
      - V(related) is conversations on ports that a control session between the same hosts agreed on (FTP, RPC, SIP, TFTP, DICOM, SSDP).
      - An option by which rows of a kind are not chosen is refused. Devices, segments, O(bind) and O(order) are of V(flows) alone, and
        V(names) and V(related) are chosen by O(_terms), O(server), O(since) and O(until).
    type: str
    choices: [flows, denies, names, related]
    default: flows
  unanswered:
    description:
      - Whether TCP opens that nobody answered stand among the denials, as platform V(flow). What dropped them, if anything did, is
        not known.
    type: bool
    default: false
  bind:
    description:
      - Whether to add the devices that held the addresses then.
    type: bool
    default: false
  address:
    description:
      - Address or network at either end.
    type: str
    default: ""
  service:
    description:
      - Name of a port of the list, as V(modbus), or protocol and port, as V(tcp/502) or V(udp/5000-5100).
    type: str
    default: ""
  device:
    description:
      - Device at either end, by its id in the register.
    type: str
    default: ""
  client_device:
    description:
      - Device that opened.
    type: str
    default: ""
  server_device:
    description:
      - Device that was opened to.
    type: str
    default: ""
  segment:
    description:
      - Segment at either end, after the membership lock of O(policy_dir).
    type: str
    default: ""
  client_segment:
    description:
      - Segment of the client.
    type: str
    default: ""
  server_segment:
    description:
      - Segment of the server.
    type: str
    default: ""
  order:
    description:
      - What the rows are ordered by before their stable order of day, addresses and port.
    type: str
    choices: [time, bytes, flows, last]
    default: time
  limit:
    description:
      - The most rows to return for each term; V(0) for all.
    type: int
    default: 0
  policy_dir:
    description:
      - Directory of the policy, whose membership lock names the segments.
    type: path
    default: policies
  engine:
    description:
      - Engine that answers; V(duckdb) in this process where not given, V(spark-local), or V(spark://HOST:PORT).
    type: str
    default: ""
    vars:
      - name: microseg_flow_engine
requirements:
  - duckdb
  - pyarrow
  - numpy
"""

EXAMPLES = r"""
- name: Who opened Modbus to the building controllers
  ansible.builtin.debug:
    msg: "{{ query('segwright.microseg.flows', server='192.0.2.0/24', protocol='tcp', port=502) }}"

- name: What the switches refused to the pumps
  ansible.builtin.debug:
    msg: "{{ query('segwright.microseg.flows', '192.0.2.64/26', kind='denies') }}"
"""

RETURN = r"""
_raw:
  description:
    - Rows with client, server, protocol, server_port, service, class, flows, answered_flows, packets, bytes,
      first, last, method and confidence.
    - Of O(kind=denies) rows with source, target, protocol, target_port, service, packets, messages, first, last, platform, point,
      list, entry and, where the message has them, source_sgt and target_sgt.
    - Of O(kind=related) rows with client, server, protocol, server_port and control, the protocol of the control session.
    - Of O(kind=names) rows with address, name, client, from, to, ttl and source.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.denied import deny_rows
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.names import name_rows
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.related import related_rows
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.steps import flow_rows


class LookupModule(LookupBase):
    """Rows of the rollup."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Return the rows of each client in turn."""
        self.set_options(var_options=variables, direct=kwargs)
        kind = self.get_option("kind")
        self._refuse_unread(kind)
        options = {name: self.get_option(name) for name in ("data_dir", "since", "until", "server", "limit")}
        try:
            if kind == "related":
                return [row for term in terms or [""] for row in related_rows(client=term, **options)]
            options["engine"] = self.get_option("engine")
            if kind == "names":
                return [row for term in terms or [""] for row in name_rows(client=term, **options)]
            options.update({name: self.get_option(name) for name in ("protocol", "port", "service")})
            if kind == "denies":
                options.update(address_of_either=self.get_option("address"), unanswered=self.get_option("unanswered"))
                return [row for term in terms or [""] for row in deny_rows(client=term, **options)]
            for name in ("bind", "order", "policy_dir", "address", "device", "segment"):
                options[name] = self.get_option(name)
            for side in ("client", "server"):
                options[f"{side}_device"] = self.get_option(f"{side}_device")
                options[f"{side}_segment"] = self.get_option(f"{side}_segment")
            return [row for term in terms or [""] for row in flow_rows(client=term, **options)]
        except (FindingError, ValueError) as error:
            raise AnsibleError(f"flows: {error}") from error

    def _refuse_unread(self, kind: str) -> None:
        """Raise where an option is given that rows of the kind are not chosen by: all rows would pass for those that were asked for."""
        narrow = ("protocol", "port", "address", "service")
        by_who = tuple(f"{side}{name}" for name in ("device", "segment") for side in ("", "client_", "server_"))
        unread = {
            "flows": ("unanswered",),
            "denies": ("bind", *by_who),
            "names": ("bind", "unanswered", *narrow, *by_who),
        }
        for name in unread.get(kind, unread["names"]):
            if self.get_option(name):
                raise AnsibleError(
                    f"flows: kind={kind} has no {name}: leave it out, or choose among the rows that come"
                )
        if self.get_option("limit") < 0:
            raise AnsibleError("flows: a limit is 0 or more")
        if kind != "flows" and self.get_option("order") != "time":
            raise AnsibleError(f"flows: kind={kind} has an order of its own: leave order out")
