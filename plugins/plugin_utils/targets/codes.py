# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of the targets room (SW4200 to SW4499)."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code

BAD_SPEC = Code(
    "SW4200",
    "error",
    "a target is not described well enough to connect",
    "set the variables named in the message in the inventory",
)
UNSUPPORTED_PLATFORM = Code(
    "SW4201", "error", "a target has a platform that cannot be changed", "use ise, ios, nxos, asa or nftables"
)
UNREACHABLE = Code("SW4202", "error", "a target cannot be reached", "check address, port and network path")
LOGIN_REFUSED = Code(
    "SW4203",
    "error",
    "a target refuses the login",
    "correct the credentials; nothing more was tried, to not lock the account",
)
NOT_AUTHORIZED = Code(
    "SW4204", "error", "the account may not do this", "give the account the rights named in the documentation"
)
HOST_KEY = Code(
    "SW4205",
    "error",
    "a host key is unknown or has changed",
    "compare the key with the device's own, then put it into the known hosts file",
)
CERTIFICATE = Code(
    "SW4206",
    "error",
    "a server certificate cannot be verified",
    "give the certificate authority's file; verification is never turned off",
)
ENABLE_REFUSED = Code("SW4207", "error", "the enable secret is refused", "correct the enable secret")
NO_ANSWER = Code(
    "SW4208",
    "error",
    "a target gave no answer",
    "the state of the object named is not known; run verify, then plan again",
)
BAD_ANSWER = Code(
    "SW4209", "error", "a target gave an answer that makes no sense", "check what answers at this address"
)
RATE_LIMITED = Code("SW4210", "error", "a target limits the rate of requests", "try again later, or lower the rate")
REFUSED = Code("SW4211", "error", "a target refuses a change", "the message holds the target's reason")
SERVER_FAILED = Code(
    "SW4212", "error", "a target failed to carry out a request", "look into its own log; run verify, then plan again"
)

NOT_OURS = Code("SW4220", "error", "an object in the way is not ours", "rename it, or allow adopting it")
NOT_UNDERSTOOD = Code(
    "SW4221",
    "error",
    "a live list has lines that are not understood",
    "it is never replaced automatically; look at the lines named",
)
CHANGED_MEANWHILE = Code(
    "SW4222", "error", "an object changed between the check and the write", "nothing was written to it; plan again"
)
READ_BACK = Code(
    "SW4223",
    "error",
    "an object reads back differently from what was written",
    "look at the difference; run rollback to go back",
)
NOT_HELD = Code("SW4224", "error", "a target does not hold what was applied", "run verify")
IN_USE = Code(
    "SW4225",
    "error",
    "an object cannot be removed because others use it",
    "remove what uses it first; it is never removed with its users",
)
BAD_BODY = Code("SW4226", "error", "a desired object cannot be written to this target", "see the message")
MISSING_REFERENCE = Code(
    "SW4227",
    "error",
    "an object names another one that does not exist on the target",
    "plan again, so that it is created first",
)
READ_AGAIN = Code(
    "SW4228",
    "info",
    "switches were read again, because what they showed differed at first",
    "hardware is programmed after the download that ISE reports as done; an error stays where it still differs",
)

SGT_VALUE_TAKEN = Code(
    "SW4240", "error", "an SGT value is used by another group", "choose another value, or use that group's name"
)
IP_VERSION_FIXED = Code(
    "SW4241",
    "error",
    "the IP version of an SGACL cannot be changed",
    "devices do not follow such a change; use another name",
)
MULTIPLE_MATRICES = Code(
    "SW4242",
    "error",
    "ISE is in a mode in which the matrix cannot be written",
    "leave multiple matrices and the approval workflow off, or change by hand",
)
PUSH_UNAVAILABLE = Code(
    "SW4243",
    "warning",
    "this ISE has no interface to push the matrix",
    "devices fetch the change when their timer ends; push in the GUI",
)
PUSH_FAILED = Code(
    "SW4244",
    "error",
    "a device did not take over the pushed matrix",
    "look at the device report in ISE; the old matrix may still be in force there",
)
NOTHING_TO_PUSH = Code("SW4245", "info", "there was nothing to push", "nothing to do")
SESSIONS_KEEP_OLD = Code(
    "SW4246",
    "info",
    "running sessions keep the old downloadable ACL",
    "they take the new one when they authenticate again",
)
NOT_PRIMARY = Code("SW4247", "error", "this ISE node does not take writes", "address the primary administration node")

SEVERAL_SGACLS = Code(
    "SW4320",
    "error",
    "a cell has several SGACLs and this ISE allows one",
    "allow multiple SGACLs in the TrustSec settings of ISE, or write one list",
)
SGT_CASCADE = Code(
    "SW4321",
    "error",
    "deleting an SGT would take others' objects with it",
    "remove what uses it first, or name its cells in cascade",
)

CLI_ERROR = Code(
    "SW4260", "error", "a device refuses a configuration line", "the old list is still in force; see the message"
)
SESSION_LOST = Code("SW4261", "error", "the session to a device was lost", "run verify; the message says what was done")
NOT_PROVED = Code(
    "SW4262", "error", "a new list reads back with another meaning", "it was removed; the old list is still in force"
)
MANAGEMENT_CUT = Code(
    "SW4263", "error", "a list would cut management access", "permit the controller in the policy's management flows"
)
NOT_CONFIRMED = Code(
    "SW4264",
    "error",
    "a new connection could not confirm a change",
    "the change was taken back if the device could be reached",
)
UNOWNED_ATTACHMENT = Code(
    "SW4265", "error", "an interface has a list that is not ours", "remove it by hand, or allow adopting it"
)
COMMAND_FAILED = Code("SW4266", "warning", "a show command failed", "facts from it are missing")
NOT_SAVED = Code(
    "SW4267",
    "error",
    "the running configuration was not saved",
    "save it by hand; a reload would bring the old list back",
)
LEFT_BEHIND = Code(
    "SW4268", "warning", "a list that is not in force was left", "it is removed by the next apply, or by hand"
)

NXOS_NO_ROOM = Code(
    "SW4420",
    "error",
    "a list does not fit into the switch's hardware beside the one in force",
    "nothing was written; shorten the list, or carve a larger region",
)
NXOS_NOT_COMMITTED = Code(
    "SW4421", "error", "a configuration session was not committed", "nothing of it is live; see the message"
)
NXOS_NOT_ATOMIC = Code(
    "SW4422",
    "error",
    "the switch would drop packets while it updates a list",
    "turn on hardware access-list update atomic; until then no list is changed here",
)
NXOS_OPEN_UPDATE = Code(
    "SW4423",
    "warning",
    "the switch lets every packet pass while it updates a list",
    "turn on hardware access-list update atomic",
)
NXOS_NO_WAY_BACK = Code(
    "SW4424",
    "error",
    "no way back could be armed where management arrives",
    "nothing was changed; allow the account feature scheduler and scheduler jobs",
)
NXOS_WENT_BACK = Code(
    "SW4425",
    "error",
    "the switch took a change back by itself",
    "the new list cut the way to the switch; correct the policy's management flows",
)
NXOS_IDLE_PLACE = Code(
    "SW4426",
    "error",
    "a list would not filter at its place",
    "use port_acl for layer 2 ports and router_acl for routed interfaces",
)

NFT_REFUSED = Code("SW4280", "error", "the kernel refuses a ruleset", "nothing was changed; see the message")
NFT_NOT_ROOT = Code(
    "SW4281", "error", "the account may not change nftables", "log in as root, or as a user who may run nft"
)
REVERTED = Code(
    "SW4282",
    "error",
    "a ruleset was taken back by its own timer",
    "the new ruleset cut the way to the firewall; correct the policy",
)
CONNTRACK_MISSING = Code(
    "SW4283",
    "warning",
    "established connections cannot be dropped",
    "install conntrack on the firewall; until then old connections go on",
)
TABLE_NOT_OURS = Code(
    "SW4284",
    "error",
    "the table on the firewall was not written by us",
    "remove it, choose another table name, or allow adopting it",
)

FACTS_FAILED = Code(
    "SW4300", "warning", "facts of a host could not be read", "facts from it are missing; see the message"
)
XML_REFUSED = Code("SW4301", "warning", "an XML answer cannot be read", "facts from it are missing")

ISE_VERSION = Code(
    "SW4302",
    "error",
    "this version of ISE or of its SDK is not supported",
    "set microseg_ise_version to the version of the deployment, 3.1 to 3.5",
)
ISE_API_OFF = Code(
    "SW4304",
    "error",
    "an API of ISE is turned off",
    "turn on ERS (read/write) and Open API under Administration, Settings, API Settings",
)
ISE_SECONDARY = Code(
    "SW4305", "error", "this ISE node does not take writes", "address the primary administration node named here"
)
ISE_ROLE = Code(
    "SW4306",
    "error",
    "the account may not read or write what is needed",
    "put it into the group ERS Admin, or Super Admin for the Open API",
)
ISE_WORKFLOW = Code(
    "SW4307",
    "error",
    "ISE's own approval workflow for the matrix is on",
    "turn it off: the review of the policy takes its place, and cells written now would wait in a staging matrix",
)
ISE_MATRICES = Code(
    "SW4308",
    "error",
    "ISE keeps several matrices, which this version cannot serve through ERS",
    "go back to a single matrix, or update to 3.4 patch 2",
)
ISE_VERSION_DIFFERS = Code(
    "SW4309", "warning", "ISE has another version than the inventory says", "correct microseg_ise_version"
)
ISE_CLOCK = Code(
    "SW4310",
    "warning",
    "ISE's clock differs from this controller's",
    "give both the same time source: ages of sessions, pushes and revisions are judged by it",
)
ISE_CSRF = Code(
    "SW4311", "info", "ISE checks tokens against cross-site requests", "nothing to do: they are fetched and renewed"
)
ISE_CERTIFICATE = Code(
    "SW4312", "error", "ISE's certificate is not accepted", "the message says why; verification is never turned off"
)
ISE_UNKNOWN_STATE = Code(
    "SW4313",
    "warning",
    "something that the preflight asks could not be learnt",
    "the run goes on without it; see the message",
)
ISE_SNAPSHOT = Code("SW4314", "error", "a snapshot file cannot be used", "write it anew with ise_info")
ISE_OFFLINE = Code(
    "SW4315",
    "info",
    "live state is that of a snapshot file",
    "it is as old as the message says; apply reads ISE itself",
)
ISE_NOT_EXPORTED = Code(
    "SW4316",
    "warning",
    "something in ISE cannot be said as policy",
    "it stays as it is in ISE; decide by hand what is to become of it",
)

PUSH_REFUSED = Code(
    "SW4350", "error", "a device refuses the push", "the old matrix is still in force there; see what to do next"
)
PUSH_NO_ANSWER = Code(
    "SW4351",
    "error",
    "a device does not answer the push",
    "the old matrix may still be in force there; see what to do next",
)
PUSH_DOWNLOAD_FAILED = Code(
    "SW4352",
    "error",
    "a device failed to download the matrix",
    "the old matrix may still be in force there; see what to do next",
)
PUSH_TIMED_OUT = Code(
    "SW4353", "error", "a device did not finish the push in time", "run verify, then apply again where it still differs"
)
PUSH_NOT_REPORTED = Code(
    "SW4354", "error", "ISE reports nothing of the push for a device", "check the device's TrustSec settings in ISE"
)
NO_TRUSTSEC_DEVICE = Code(
    "SW4355",
    "warning",
    "ISE knows no TrustSec device to push to",
    "add TrustSec settings to the network devices in ISE; until then no switch enforces the matrix",
)
PUSH_BUSY = Code("SW4356", "error", "another push keeps ISE busy", "apply the same plan again: it owes only the push")
PUSH_NOT_STARTED = Code(
    "SW4357",
    "error",
    "ISE refuses to push",
    "look into ISE's own log, then apply the same plan again: it owes only the push",
)
CONFIRM_BY_SWITCH = Code(
    "SW4358",
    "warning",
    "ISE holds it, but does not say which device took it over",
    "run verify with the switches in the inventory; nothing else shows what they hold",
)
MATRIX_WIDE = Code(
    "SW4362",
    "error",
    "a request on the whole matrix is refused",
    "cells are changed one by one; the whole matrix only by a named emergency posture with a reason",
)
NO_EMERGENCY = Code(
    "SW4363", "error", "an emergency has no name or no reason", "name the posture and say in some words why"
)
ISE_DECIDE = Code(
    "SW4364",
    "warning",
    "the export of ISE needs a person's decision",
    "decide, and write it into the exported policy before it is enforced",
)
ISE_EXPORT_DIFFERS = Code(
    "SW4365",
    "error",
    "the exported policy compiles to another list than ISE has",
    "do not plan with it; report the list and both texts",
)
CREATED_BY_OTHERS = Code(
    "SW4303",
    "error",
    "a create got no answer, and another object stands there now",
    "nothing was overwritten; look at the object, then plan again",
)

# -- many devices, and switches as targets (SW4400 to SW4419)
NOT_BEGUN = Code(
    "SW4400", "error", "a device was not begun", "nothing was sent to it; run the same task again for these hosts"
)
INTERRUPTED = Code(
    "SW4401",
    "error",
    "the run was interrupted",
    "every device that was begun was brought to an end, the others were not begun; run the same task again",
)
NO_RESULT = Code(
    "SW4402",
    "error",
    "there is no result of a device",
    "its journal says whether anything was begun; run the same task again",
)
UNFINISHED = Code(
    "SW4403",
    "error",
    "a run ended while it worked on a device",
    "the device holds its old list or its new one, whole; run the same task again, which also clears what is left",
)
CONFIG_LOCKED = Code(
    "SW4404",
    "error",
    "somebody else has locked the configuration of a device",
    "nothing was written; run again when the lock is gone",
)
NO_ROOM = Code(
    "SW4405",
    "error",
    "the hardware has no room for the old and the new list together",
    "nothing was written; shorten the list, use object groups or another template, or detach lists that are not needed",
)
ROOM_UNKNOWN = Code(
    "SW4406",
    "info",
    "a device does not tell how much room its hardware has for lists",
    "the log is read after the change; a list that does not fit is taken back",
)
NOT_IN_HARDWARE = Code(
    "SW4407", "error", "a device could not load a list into its hardware", "the old list was put back; see the message"
)
NOT_ARMED = Code(
    "SW4408",
    "error",
    "no way back could be armed on a device before a change that could cut its management",
    "nothing was written; the device needs EEM applets, or an archive path for its revert timer",
)
REVERT_ARCHIVE = Code(
    "SW4409",
    "warning",
    "the way back of a change is the archive's revert timer",
    "if it strikes it also takes back what other people changed meanwhile",
)
TAKEN_BACK = Code(
    "SW4410",
    "error",
    "the armed way back struck: the device holds its old list again",
    "the new list cuts the controller off; correct it",
)
STILL_ARMED = Code(
    "SW4411",
    "error",
    "a way back may still be armed on a device",
    "it puts the old list back when its time is over; run the same task again after that",
)
NEIGHBOURS_CUT = Code(
    "SW4412",
    "error",
    "an IPv6 list would cut neighbour discovery",
    "permit icmp any any nd-ns and nd-na before the line that denies everything; without them no device finds another",
)

# -- what manages a device (SW4460 to SW4469)
MANAGEMENT_UNKNOWN = Code(
    "SW4460",
    "error",
    "an address is not known, so that a list cannot be proved to let management pass",
    "nothing was written; log in without what hides the address, or put it into the configuration (a source interface's address)",
)
MANAGEMENT_WAY = Code(
    "SW4461",
    "warning",
    "a device does not tell by which port the answers of a server come in",
    "see that the list permits them, or let the device's ARP and routing tables name the port",
)
SERVICE_CUT = Code(
    "SW4462",
    "warning",
    "a list would cut what a device itself uses",
    "permit it in the list, or in the policy's management flows",
)
DHCP_CUT = Code(
    "SW4463",
    "error",
    "a list would cut devices off from DHCP",
    "permit UDP 68 to 67 where clients ask a relay, and UDP 67 to 68 where the answers of servers come in",
)
NO_LIBSSH = Code(
    "SW4464",
    "error",
    "a target cannot be changed over libssh",
    "take microseg_transport and microseg_ssh_legacy off this host; docs/old-gear.md says what is supported",
)

ASA_STANDBY = Code(
    "SW4435",
    "error",
    "this firewall is the standby unit of a pair",
    "address the active unit; a change here is not replicated and is lost at the next synchronization",
)
ASA_CONTEXT = Code(
    "SW4436",
    "error",
    "this firewall has contexts, and the login leads to another one than the inventory names",
    "log in to the context, and name it in microseg_asa_context",
)
ASA_INTERFACE_LIST = Code(
    "SW4438",
    "warning",
    "an interface has a list of its own, which decides before the global one",
    "packets that its entries match never reach the policy's list; take its rules into the policy and remove it",
)
ASA_NOT_TRANSACTIONAL = Code(
    "SW4439",
    "warning",
    "changed rules take effect while they are compiled",
    "set asp rule-engine transactional-commit access-group, so that the old rules hold until the new ones are ready",
)
ASA_TRACE = Code(
    "SW4440",
    "error",
    "packet-tracer decides otherwise than the list that is in force",
    "the change was taken back; look at what else decides on the way of this packet",
)
ASA_NO_TRACE = Code(
    "SW4441",
    "warning",
    "packet-tracer gave no verdict of the list",
    "something before it ended the packet's way, such as a missing route; the list itself is proved",
)
ASA_NOT_ARMED = Code(
    "SW4442",
    "warning",
    "no way back could be armed",
    "the event manager is not there (it is for single context only); the change is confirmed from a new login all the same",
)
ASA_CAPACITY = Code(
    "SW4443",
    "error",
    "there is not enough memory for the new list beside the old one",
    "make the list shorter, or free memory; nothing was written",
)
ASA_CONNECTIONS_CLEARED = Code(
    "SW4444",
    "info",
    "connections that the new list denies were cleared",
    "nothing to do; those that it permits were left alone",
)
ASA_CONNECTIONS_GO_ON = Code(
    "SW4445",
    "warning",
    "connections may go on that the new list denies",
    "look at show conn; clear conn ends them, a reload does as well",
)
ASA_OVERRIDE = Code(
    "SW4446",
    "error",
    "a firewall's place has a list that gives way to lists of users",
    "take per-user-override off by hand, or leave the place to whoever set it; nothing was written",
)
ASA_TO_THE_BOX = Code(
    "SW4447",
    "info",
    "lists that filter packets to the firewall itself are left alone and not judged",
    "nothing to do; see that they permit the controller",
)

# -- ways back that stand armed, and what else may take a change back (SW4476 to SW4485)
ANOTHERS_WAY_BACK = Code(
    "SW4476", "error", "another run is at work on the device", "nothing was written; run again when that run has ended"
)
WAY_BACK_TAKEN_OVER = Code(
    "SW4477", "warning", "another run's way back was taken away after its time", "look at what that run has done"
)
ARCHIVE_COUNTS = Code(
    "SW4478",
    "error",
    "somebody's revert timer of the archive counts on a device",
    "when it strikes it takes back what anybody changed; nothing was written: confirm it (configure confirm), or wait until it is over",
)
SERVER_NAME = Code(
    "SW4479",
    "error",
    "a device knows a server by a name, and does not tell its address",
    "nothing was written: configure the address itself, or ip host NAME ADDRESS, or permit answers from every address",
)

NO_CLAIM = Code(
    "SW4480",
    "warning",
    "a device cannot keep a claim, so nothing on it holds a second controller off before that one types",
    "let one controller at a time write to it, or let all share one state directory, or have an ISE in the play",
)
CLAIM_GONE = Code(
    "SW4481",
    "error",
    "the claim of a run was gone from a device before its new lists came into force",
    "the old lists are in force; see who removed it, or whether the change takes longer than the claim lasts, and run again",
)

ECHO_LOST = Code(
    "SW4414",
    "error",
    "a device did not take a line as it was typed",
    "the session is too fast for the device: set microseg_block_lines to 1 for it",
)
FINISHED = Code("SW4415", "info", "what an interrupted run changed is saved now", "nothing to do")
NOT_FORESEEN = Code(
    "SW4470", "error", "the lines of a change could not be told before it", "report it with the line; nothing was written"
)  # fmt: skip
