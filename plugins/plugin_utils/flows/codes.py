# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of the flows room: sources, the store, binding (SW1400 to SW1499)."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code

INPUT_MISSING = Code("SW1401", "error", "an input does not exist", "check the path or the pattern")
INPUT_KIND = Code(
    "SW1402",
    "error",
    "an input is of no kind that is read here",
    "name its kind, or see docs/flow-sources.md for what is read",
)
INPUT_EMPTY = Code("SW1403", "warning", "an input has no flow in it", "check that the capture or export saw IP traffic")
CAPTURE_CUT = Code(
    "SW1404",
    "warning",
    "a capture file ends before its last packet does",
    "the part before is kept; copy the file again if you can",
)
CAPTURE_DAMAGED = Code(
    "SW1405",
    "warning",
    "a capture file is damaged",
    "the part before the damage is kept; record or copy it again if you can",
)
CAPTURE_LINK = Code(
    "SW1406",
    "warning",
    "a capture has a link type that is not read here",
    "record on an Ethernet, Linux cooked or raw IP interface",
)
PACKETS_CUT = Code(
    "SW1407", "warning", "packets are cut before their ports", "record with a snapshot length of at least 96 bytes"
)
FRAGMENTS_LOST = Code("SW1408", "info", "fragments came without their first part", "their bytes are not counted")
INPUT_LINES = Code(
    "SW1409", "warning", "lines of an input cannot be read", "the others are kept; look at the line that is named"
)
CAPTURE_TUNNELS = Code(
    "SW1410",
    "info",
    "packets carry other packets",
    "the outer conversation is kept; record inside the tunnel to learn what it carries",
)
CAPTURE_DROPPED = Code(
    "SW1417",
    "warning",
    "an interface dropped packets of a capture",
    "traffic of that time may be missing; record less or faster",
)
EXPORT_DAMAGED = Code(
    "SW1411",
    "warning",
    "export datagrams are damaged",
    "the records before the damage are kept; check the exporter's version",
)
EXPORT_TEMPLATES = Code(
    "SW1412",
    "warning",
    "export data came without its template",
    "listen or record for longer than the exporter's template interval",
)
EXPORT_GAP = Code(
    "SW1413",
    "warning",
    "export datagrams were lost",
    "traffic of that time may be missing; raise the receive buffer or find the loss",
)
EXPORT_SAMPLED = Code(
    "SW1414", "info", "an exporter samples", "absence of a flow proves nothing; export unsampled where you can"
)
EXPORT_TIME = Code(
    "SW1415",
    "warning",
    "export records carry impossible times",
    "the datagram's own time is used; check the exporter's clock",
)
EXPORT_CLOCK = Code(
    "SW1418",
    "warning",
    "an exporter's clock is off",
    "set its clock by NTP; addresses may be bound to the wrong device until then",
)
EXPORT_FIELDS = Code(
    "SW1416", "info", "export records have no addresses", "they are left out; these are not flows of hosts"
)
EXPORT_COUNTERS = Code(
    "SW1420",
    "warning",
    "records have counters that no link can have",
    "they are left out; the file is damaged, or the exporter is: check its version",
)
INPUT_GROWING = Code(
    "SW1419",
    "info",
    "files that may still be written to were left for the next import",
    "nothing; or set settle lower, or have a marker NAME.done written",
)
INPUT_UNREADABLE = Code(
    "SW1425",
    "warning",
    "files or folders below an input cannot be read",
    "let the import read them, or leave them out of what is named; nothing of them was imported",
)
INPUT_CHANGED = Code(
    "SW1426",
    "warning",
    "an input was replaced while it was read",
    "nothing of it was imported; import again, and name files that are rotated already, or set settle",
)
INPUT_TIMES = Code(
    "SW1428",
    "warning",
    "an input's times are before 2000 or have not come yet",
    "set the clock of what recorded it, or for logs their year and offset; its flows count on the days that they name",
)
STORE_FORMAT = Code(
    "SW1421", "error", "a file of the store has a newer format", "upgrade the collection or use another data directory"
)
STORE_DAMAGED = Code(
    "SW1422",
    "error",
    "a file of the store cannot be read",
    "of a rollup, remove its folder: it is made again; else restore it, or import its inputs again into a fresh data directory",
)
STORE_OLDER = Code(
    "SW1424",
    "error",
    "a file of the store lacks columns that are asked for",
    "an earlier version wrote it: import its inputs again into a fresh data directory",
)
STORE_ROOM = Code(
    "SW1427",
    "error",
    "there is no room for what an import or a question needs",
    "make room on the disk of the data directory, or ask for fewer days; the store itself is whole",
)
STORE_CHANGED = Code(
    "SW1429",
    "error",
    "a file of the store went while it was read",
    "ask again: an import or retention was at work; where it stays away, import its inputs again into a fresh data directory",
)
STORE_BUSY = Code("SW1423", "error", "another process is writing to the store", "wait until it has ended")
ENGINE_UNKNOWN = Code(
    "SW1491",
    "error",
    "a flow engine is not known",
    "set microseg_flow_engine to duckdb, spark-local or spark://HOST:PORT",
)
ENGINE_JAVA = Code(
    "SW1492",
    "error",
    "Spark needs Java and there is none",
    "install a JDK, for example: apt-get install openjdk-17-jre-headless",
)
ENGINE_FAILED = Code(
    "SW1493",
    "error",
    "the flow engine failed",
    "check that the Spark master and its workers run and read the same paths",
)
LATE_ROWS = Code(
    "SW1494",
    "warning",
    "flows of days that are past their retention were left out",
    "import sooner, or raise microseg_flow_retention_days",
)
QUESTION_INVALID = Code(
    "SW1496",
    "error",
    "a question to the flow store cannot be answered",
    "give addresses or networks, YYYY-MM-DD, names or numbers of protocols, names of services or PROTOCOL/PORT",
)
RETENTION_INVALID = Code("SW1495", "error", "the retention is not a number of days", "give 1 or more, or 0 to keep all")
HINT_INVALID = Code(
    "SW1431", "error", "a direction hint cannot be used", "give address or network, protocol and ports of a server"
)
LISTEN_REFUSED = Code(
    "SW1441",
    "warning",
    "datagrams came from a source that is not allowed",
    "add the exporter's address to the allowed sources if it is one",
)
LISTEN_BIND = Code("SW1442", "error", "the listening socket cannot be opened", "choose a free address and port")
LISTEN_NOTHING = Code(
    "SW1443", "warning", "nothing was received", "check the exporter's destination address, port and path"
)
LISTEN_LOST = Code(
    "SW1445",
    "warning",
    "the system dropped datagrams before they were read",
    "raise net.core.rmem_max, or run the listener as a user that may pass it",
)
LISTEN_FULL = Code(
    "SW1446",
    "warning",
    "datagrams were discarded since the listener's spool was full",
    "what they told is missing; send less to one listener, or give it more processors",
)
SOURCE_PLUGIN = Code(
    "SW1451", "error", "a source module cannot be used", "give a Python file with a KIND, see docs/flow-sources.md"
)
SOURCE_OPTION = Code(
    "SW1452", "error", "an option of a source is not known", "give options by the names of docs/flow-sources.md"
)
LISTEN_SOURCES = Code(
    "SW1447", "error", "the sources that may send are not described well", "give addresses or networks of the exporters"
)
LISTEN_LIMIT = Code("SW1444", "error", "listening has no bound", "give a time or a number of datagrams")
TEXT_CUT = Code(
    "SW1462",
    "warning",
    "a compressed text input is cut or damaged",
    "the part before is kept; copy the file again if you can",
)
TEXT_LAYOUT = Code(
    "SW1463", "error", "the layout of a text input is not understood", "name the kind, its options or a mapping file"
)
ROWS_NO_IP = Code("SW1464", "info", "rows are not of IP", "they are left out; these are not flows of hosts")
MAPPING_INVALID = Code(
    "SW1465", "error", "a mapping file cannot be used", "see docs/formats/flow-mapping.md for the keys and an example"
)
DENIES_LOST = Code(
    "SW1466",
    "warning",
    "a device logged fewer denials than there were",
    "raise the device's logging rate; absence proves nothing",
)
DENIES_UNTOLD = Code(
    "SW1467",
    "warning",
    "messages of access lists do not say whether the packets were denied",
    "they count as nothing; on NX-OS set 'logging ip access-list detailed', or log entries that deny only",
)
THREATS_INVALID = Code(
    "SW1471", "error", "a threat list cannot be used", "give a STIX 2.1 bundle, or CSV with address and valid_from"
)
THREATS_LEFT_OUT = Code(
    "SW1472",
    "info",
    "indicators of a threat list are left out",
    "only plain addresses and networks with a date are looked at",
)
COLLECTOR_INVALID = Code(
    "SW1481",
    "error",
    "a collector host is not described well",
    "give host, user and path, and where needed port, pattern and key",
)
COLLECTOR_UNREACHABLE = Code(
    "SW1482",
    "error",
    "a collector host cannot be read",
    "check its address, its key in the known hosts, the login and the folder; nothing was imported from it",
)
COLLECTOR_FILE = Code(
    "SW1483", "warning", "a file of a collector was left out", "it is tried again with the next import"
)
