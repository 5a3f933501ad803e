#!/usr/bin/python
# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: flow_import
short_description: Import captures of traffic and of flow exports
version_added: 1.0.0
description:
  - Reads pcap and pcapng files of traffic, or of NetFlow v5, NetFlow v9 and IPFIX datagrams, puts the two directions of each
    conversation together, decides which end is the client, and adds the connections to the flow store and its daily rollup.
  - An input counts once, whatever its name, so that importing it again changes nothing. One in which nothing was found is read again where
    another kind or other options are given.
  - Conversations that several taps or exporters saw are counted once in the rollup.
author:
  - Segwright contributors (@segwright)
options:
  paths:
    description:
      - Files, folders or patterns. Of folders, what is of a known kind in and below them is read; what cannot be looked into is named in a
        warning.
    type: list
    elements: str
  collectors:
    description:
      - Hosts whose rotated flow files are fetched over SSH and imported, each file once. Host keys must be known; nothing is written there.
      - Taken is a file that is complete, that is one with a marker C(NAME.done) beside it, one that a later file of its series follows (the
        same name but for the last number or time in it, and not changed before it), or one that has not changed for O(collectors[].settle)
        seconds. A fetch that was cut goes on where it ended, and a file counts only when its SHA-256 is the host's.
    type: list
    elements: dict
    suboptions:
      host:
        description:
          - Name or address.
        type: str
        required: true
      user:
        description:
          - Who logs in, with a key.
        type: str
        required: true
      path:
        description:
          - Folder with the files; those of folders below it are not looked at.
        type: str
        required: true
      pattern:
        description:
          - Pattern of the files' names.
        type: str
        default: "*"
      port:
        description:
          - Port of the SSH server.
        type: int
        default: 22
      private_key_file:
        description:
          - Key to log in with; otherwise the agent's and those of C(~/.ssh).
        type: path
      known_hosts_file:
        description:
          - File with the host's key; otherwise C(~/.ssh/known_hosts).
        type: path
      settle:
        description:
          - Seconds after its last change at which a file counts as complete.
        type: int
        default: 120
      name:
        description:
          - Name under which is kept what was fetched; otherwise made of host, port and path.
        type: str
  kind:
    description:
      - What the files hold. With V(auto) each file is recognised by its beginning; kinds of O(source_plugins) are tried first.
      - V(export_pcap) is export datagrams (NetFlow v5, v9, IPFIX, sFlow v5) in pcap and pcapng files.
      - V(pcap) is packets in pcap and pcapng files.
      - V(nfcapd) is files of nfcapd and nfpcapd (nfdump 1.7; older ones where nfdump is installed).
      - V(zeek_conn) is Zeek conn.log, tab-separated or JSON lines, plain or gzip.
      - V(zeek_dns) is Zeek dns.log, tab-separated or JSON lines, to names of addresses, plain or gzip.
      - V(eve) is Suricata EVE JSON lines (flow, netflow and dns events), plain or gzip.
      - V(argus) is Argus flows as text with a title line (binetflow), commas or tabs, plain or gzip.
      - V(deny_log) is syslog with access-list (IOS, NX-OS), SGACL-hit and ASA denials, and the kernel's packet log, to denied packets,
        plain or gzip.
      - V(mapped) is CSV, JSON lines or Parquet that a mapping file explains; named, never guessed, with source_options.mapping.
    type: str
    default: auto
  source_options:
    description:
      - Options of single kinds, by the names that C(docs/flow-sources.md) gives. One that no kind has is refused, but for kinds of
        O(source_plugins), which may have any.
    type: dict
  source_plugins:
    description:
      - Python files, or folders of such, that each declare a further kind, as C(docs/flow-sources.md) shows.
      - They run with the rights of the import; protect them as playbooks are protected.
    type: list
    elements: str
  exporter:
    description:
      - Name of the tap that made the captures. Files of one tap need one name, so that conversations go on from file to file.
      - Where it is not given, each capture of traffic is a tap of its own.
      - For export datagrams it stands before the address of each exporter.
    type: str
  threat_lists:
    description:
      - Files that name addresses or networks no rule may be learnt for, each with a date. STIX 2.1 bundles, or CSV with the columns
        C(address), C(valid_from), and where known C(valid_until), C(source) and C(reason).
      - They take the place of those that the store has. Conversations with them are flagged and never evidence.
    type: list
    elements: str
  partial:
    description:
      - Whether of a capture that is cut or damaged the part before the damage is imported, with a warning.
      - Otherwise nothing of it is imported, and the task fails with the byte offset of the damage.
    type: bool
    default: false
  reorient:
    description:
      - Whether to orient the whole store again afterwards, with what it knows by then. A conversation turns round only when the new
        reason is stronger than its own.
    type: bool
    default: false
  settle:
    description:
      - Of folders and patterns in O(paths), take only files that nobody writes to any more. A marker C(NAME.done) stands beside such a
        file, or a later file of its series exists, or it has not changed for so many seconds. Others wait for the next import.
      - V(0) takes every file but those whose name says that they grow (C(nfcapd.current)).
    type: int
    default: 0
  retention_days:
    description:
      - For how many days, counted back from the newest, to keep connections, denials and DNS answers. Older ones are removed once their
        rollup is complete, which is kept for good; an answer stays as long as it may still hold.
      - V(0) keeps all. Check mode says what would go.
    type: int
    default: 0
  hints:
    description:
      - Where servers listen, for conversations whose direction the telemetry does not show.
      - A hint yields to a handshake and to a server that was proved by one.
    type: list
    elements: dict
    suboptions:
      address:
        description:
          - Address or network of the servers.
        type: str
        required: true
      protocol:
        description:
          - Name or number of the protocol.
        type: str
        default: tcp
      ports:
        description:
          - Port or range of ports, as V(20000) or V(5000-5010).
        type: str
        required: true
extends_documentation_fragment:
  - segwright.microseg.loop.data
attributes:
  check_mode:
    support: full
    description: Says which inputs would be read, of collectors too, whether options, mappings and lists can be used, and writes nothing.
  diff_mode:
    support: none
    description: Shows the difference where there is one.
requirements:
  - duckdb
  - pyarrow
  - numpy
"""

EXAMPLES = r"""
- name: Import the captures of a folder
  segwright.microseg.flow_import:
    paths:
      - captures
    data_dir: .microseg

- name: Import what a tap recorded, with the direction of a protocol that is not on the list
  segwright.microseg.flow_import:
    paths:
      - /var/captures/closet-3/*.pcap
    exporter: closet-3
    hints:
      - address: 192.0.2.0/24
        protocol: tcp
        ports: 7001-7004
"""

RETURN = r"""
expired:
  description: Days whose connections are past O(retention_days), with the files and bytes that went, or in check mode would go.
  returned: always
  type: dict
  sample: {"days": ["2026-10-01"], "files": 24, "bytes": 61203456}
inputs:
  description: One entry for each file that was found.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: Path as it was found.
      returned: always
      type: str
      sample: captures/clinical.pcap
    sha256:
      description: Hash of the content, by which an input counts once.
      returned: when it could be read
      type: str
      sample: 58885152cc2da1f2c3343db1131a86c34fa4490e1619a758845a61169cee67b0
    kind:
      description: What it was read as.
      returned: when it could be read
      type: str
      sample: pcap
    status:
      description: Whether it was V(imported), was already V(known), is V(new) (check mode), V(changed) (replaced while it was read;
        the next import takes it) or V(failed).
      returned: always
      type: str
      sample: imported
    records:
      description: One-way records read.
      returned: when imported
      type: int
      sample: 287
    denies:
      description: Messages and events about denied packets.
      returned: when imported and there are any
      type: int
      sample: 12
    connections:
      description: Connections written.
      returned: when imported
      type: int
      sample: 152
threats:
  description: How many indicators the threat lists hold, and each list with its hash and when it was read.
  returned: when O(threat_lists) is given
  type: dict
reoriented:
  description: Connections of the store that have a surer direction now.
  returned: when O(reorient=true)
  type: int
  sample: 0
records:
  description: One-way records read from all new inputs.
  returned: always
  type: int
  sample: 287
connections:
  description: Connections written.
  returned: always
  type: int
  sample: 152
days:
  description: Days whose rollup was rebuilt.
  returned: always
  type: list
  elements: str
  sample: ["2026-11-23"]
quality:
  description: What limits the claims that may rest on each new input, by the first 16 hex digits of its hash.
  returned: always
  type: dict
errors:
  description: Findings of severity error. Where there is one, the task fails; what could be read is in the store.
  returned: always
  type: list
  elements: dict
warnings_found:
  description: Findings of lower severity, such as a capture that is cut or an exporter that lost datagrams.
  returned: always
  type: list
  elements: dict
"""
