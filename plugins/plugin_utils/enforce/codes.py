# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of the enforce room (SW3000 to SW3099)."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code

EMPTY_END = Code(
    "SW3001",
    "warning",
    "a rule has no addresses on one side",
    "run collect and refresh the membership, or remove the rule",
)
NOT_EXPRESSIBLE = Code(
    "SW3002", "warning", "a point cannot express a rule", "enforce the rule at a point that sees addresses"
)
OVER_BUDGET = Code(
    "SW3003",
    "error",
    "a list exceeds its budget",
    "merge addresses into networks, use fewer services, or raise the budget",
)
NEAR_BUDGET = Code(
    "SW3004", "warning", "a list uses most of its budget", "plan for fewer entries before the list grows"
)
UNSUPPORTED_POINT = Code(
    "SW3005",
    "error",
    "an enforcement point has a kind or platform that is not supported",
    "use firewall, dacl, sgacl, port_acl or router_acl",
)
NO_INTERFACES = Code(
    "SW3006",
    "error",
    "a port list has nowhere to be attached",
    "collect device facts so that the members' ports are known",
)
SAME_SUBNET = Code(
    "SW3007",
    "info",
    "a rule stays inside one subnet and is not seen by the firewall",
    "add a point at the access port where it must be limited",
)
PORT_SHARED = Code(
    "SW3008",
    "error",
    "a port would be filtered by the wrong list",
    "move the device, or use a DACL, which follows the device",
)
OBJECT_CONFLICT = Code(
    "SW3009", "error", "two points want different contents for one object", "give the points different hosts or tables"
)
MATRIX_TOO_LARGE = Code(
    "SW3010", "warning", "a matrix may not fit a switch", "assign fewer segments to the matrix, or merge segments"
)
IPV6_NOT_FILTERED = Code(
    "SW3011",
    "warning",
    "the cells of a matrix do not filter IPv6",
    "where every switch enforces cells for IPv6, say ipv6: true at the point; else give the segment a DACL or port ACL, or a firewall",
)
CELL_WIDER = Code(
    "SW3012",
    "warning",
    "a cell permits more than a rule",
    "make a segment of the addresses, or enforce the rule at a point that sees addresses",
)
UNKNOWN_PATH = Code(
    "SW3013",
    "warning",
    "it is not known which points a conversation crosses",
    "say it in enforcement.yml (tags, paths.outside, paths.routes), or collect where the devices are attached",
)
GROUP_ANSWERS = Code(
    "SW3014",
    "info",
    "answers to a rule for multicast or broadcast have no lines",
    "where devices answer, write a rule from their segment back, or one to them by name",
)
INBOUND_NOT_SEEN = Code(
    "SW3015",
    "info",
    "a list on the port sees nothing of what is sent to the device",
    "add a firewall, a router_acl or a matrix for the segment where strangers must not reach its devices",
)
UNTAGGED = Code(
    "SW3016",
    "info",
    "a matrix does not judge conversations without two tags",
    "assign the server's segment to the matrix, or enforce the client at a point that sees addresses",
)
WIDER_DEVICES = Code(
    "SW3017",
    "warning",
    "a list permits a rule to more devices than it names",
    "make a segment of the devices, or enforce the rule at a firewall, router_acl or port_acl, which see addresses",
)
MEMBERS_ELSEWHERE = Code(
    "SW3018",
    "warning",
    "a gateway does not see some devices of a segment that is assigned to it",
    "add the interface of their subnet to the point, or assign another point",
)
ANSWERS_OPEN = Code(
    "SW3019",
    "info",
    "answers over UDP cannot be told from new packets by a stateless list",
    "a server may send from the service's port to any port of its clients: pin client_ports in the service, or add a firewall on the way",
)
HARDWARE_FULL = Code(
    "SW3020",
    "error",
    "a switch cannot hold its lists",
    "use networks in place of host lines, fewer segments at the switch, or tell what is in use; what does not fit is dropped or passed",
)
HARDWARE_NEAR = Code(
    "SW3021",
    "warning",
    "a switch has little room for its lists",
    "replace lists one at a time outside hours, and plan for fewer entries before they grow",
)
RADIUS_PACKETS = Code(
    "SW3022",
    "info",
    "a downloadable list takes several RADIUS answers",
    "each is asked for and may be lost by itself; below about 3,500 bytes one is enough",
)
EXTRA_TRAFFIC = Code(
    "SW3023",
    "warning",
    "a list names addresses beyond those of devices",
    "reserve the prefix for the segment, or lower budgets.extra_traffic",
)
HOST_LINES = Code(
    "SW3024",
    "info",
    "a change of membership rewrites downloadable lists",
    "reserve a prefix for the segment so that its devices fill it; each new version of a list costs re-authentications",
)
ANSWERS_WIDER = Code(
    "SW3025",
    "info",
    "a downloadable list passes answers of more devices than a rule names",
    "make a segment of the devices, or enforce them at a port_acl, which names them; over TCP no new connection passes by it",
)
LAYER_TWO = Code(
    "SW3026",
    "info",
    "a service below IP is seen by no enforcement point",
    "keep its senders in a VLAN of their own, filter by MAC access list or port at the switch, or protect links by MACsec (IEEE 802.1AE)",
)
LAYER_TWO_APART = Code(
    "SW3027",
    "warning",
    "a service below IP cannot pass between its ends",
    "name ends in one subnet, or a variant of the service that is routed, such as R-GOOSE or PTP over UDP",
)
NO_MAC = Code(
    "SW3028",
    "warning",
    "a device cannot be assigned to its group in ISE",
    "give it its MAC address as id, or let ISE profile the group (authorization.endpoints: profiled)",
)
FIGURES_OLD = Code(
    "SW3029",
    "warning",
    "what a switch said of its hardware is old",
    "collect the device facts again before lists grow",
)
FIGURES_UNSURE = Code(
    "SW3030",
    "warning",
    "what a switch said of its hardware was not understood whole",
    "report the line; the limits of its platform class are used",
)
