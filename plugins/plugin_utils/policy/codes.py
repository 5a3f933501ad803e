# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of the policy room (SW2000 to SW2999), numbered by topic.

SW20xx files and schema, SW21xx site, zones and conduits, SW22xx segments and identity, SW23xx rules, SW24xx services and
networks, SW25xx enforcement, SW26xx guardrails, expectations and workflows, SW27xx exceptions, conditions, postures and
templates. SW29xx approvers and calendar. SW9001 to SW9999 are the numbers of a site's own rules (``site_rules.py``).
"""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code

NO_DIRECTORY = Code("SW2001", "error", "a policy directory or file is absent", "give the directory that holds site.yml")
UNKNOWN_KEY = Code(
    "SW2002",
    "error",
    "a key is not known",
    "remove the key or correct its spelling; docs/policy/reference.md lists the keys",
)
MISSING_KEY = Code(
    "SW2003", "error", "a required key is absent", "add the key; docs/policy/reference.md says what it holds"
)
WRONG_TYPE = Code("SW2004", "error", "a value has the wrong type", "docs/policy/reference.md says what the key holds")
WRONG_VALUE = Code("SW2005", "error", "a value is not allowed", "docs/policy/reference.md lists the values")
UNSAFE_TEXT = Code(
    "SW2006", "error", "a text has invisible or control characters", "remove the character; a reviewer cannot see it"
)
UNKNOWN_FILE = Code(
    "SW2007", "warning", "a file is not read", "correct its name, or move it out of the policy directory"
)
NO_LOCK = Code(
    "SW2008",
    "warning",
    "there is no members.lock.json",
    "run propose, which resolves the members queries and writes the lock",
)
OUTSIDE = Code(
    "SW2009",
    "error",
    "a file is no regular file below the policy directory",
    "put the file itself there instead of a link or device",
)
TOO_MANY_FILES = Code(
    "SW2010",
    "error",
    "a policy directory holds too many files",
    "give the directory that holds site.yml and nothing else",
)
BAD_SITE_RULE = Code(
    "SW2011",
    "error",
    "a rule of the site's own is not usable",
    "docs/policy/reference.md lists the fields of each kind; numbers are SW9001 to SW9999 and stand once",
)

BAD_PREFIX = Code(
    "SW2101",
    "error",
    "a prefix or address is not valid",
    "write CIDR notation without host bits, for example 100.64.10.0/24",
)
ZONE_OVERLAP = Code("SW2102", "error", "two zones share addresses", "give each address to one zone only")
UNKNOWN_ZONE = Code("SW2103", "error", "a zone is not defined", "add the zone to site.yml or correct its name")
DUPLICATE_CONDUIT = Code("SW2104", "error", "a conduit stands twice", "keep one of the two")
UNKNOWN_INFRASTRUCTURE = Code(
    "SW2105",
    "error",
    "a default of site.yml names something undefined",
    "add it to networks.yml or as a segment, or correct its name",
)
NO_CONDUIT = Code(
    "SW2106",
    "error",
    "a rule crosses zones without a conduit",
    "add a conduit in the direction of the opener to site.yml, with its owner's approval",
)
BAD_TIME_ZONE = Code("SW2107", "error", "a time zone is not known", "use an IANA name like Europe/Vienna")
UNUSED_CONDUIT = Code(
    "SW2108", "info", "a conduit is used by no rule", "remove the conduit unless it is being prepared"
)
CONDUIT_LEVEL = Code(
    "SW2109",
    "warning",
    "a conduit's security level target is lower than its server zone's",
    "raise the conduit's security_level_target, or have the zone's owner say why the path may be weaker",
)

DUPLICATE_SEGMENT = Code("SW2201", "error", "a segment or name stands twice", "rename one of the two")
SGT_RANGE = Code("SW2202", "error", "an SGT is out of range", "use a value from 3 to 65519")
SGT_RESERVED = Code(
    "SW2203",
    "error",
    "an SGT is reserved",
    "use a value from 3 to 65519; 0, 1, 2 and 65520 to 65535 have a meaning of their own",
)
SGT_SHARED = Code("SW2204", "error", "two segments have the same SGT", "give each segment its own SGT")
WRONG_DIRECTORY = Code(
    "SW2205", "error", "a segment's file stands in the wrong place", "a segment is kept in ZONE/SEGMENT.yml"
)
AMBIGUOUS_NAME = Code("SW2206", "error", "a name is ambiguous or reserved", "rename one of the two; any is reserved")
MEMBER_OUTSIDE = Code(
    "SW2207",
    "error",
    "a device's address lies outside its segment's zone",
    "correct the zone's subnets, the members query or the device's network",
)
DEVICE_TWICE = Code(
    "SW2208", "error", "a device is in more than one segment", "make the members queries exclude each other"
)
ADDRESS_TWICE = Code("SW2209", "error", "two devices hold the same address", "collect anew and write the lock again")
UNPROTECTED = Code(
    "SW2210",
    "error",
    "a life-support segment has no guardrail or workflow",
    "name it in guardrails.yml (must: always) or put its rules into workflows.yml",
)
NO_OWNER = Code("SW2211", "error", "a segment has no owner", "name the team that answers for it")
NO_DEVICES = Code(
    "SW2212",
    "info",
    "a segment has no devices in the lock",
    "run propose to refresh the lock, or correct the members query",
)
STALE_LOCK = Code(
    "SW2213", "warning", "the lock names a segment that is not defined", "run propose to write the lock again"
)
UNKNOWN_FACT = Code(
    "SW2214",
    "warning",
    "a query uses a fact that collect does not gather",
    "use one of the facts in docs/policy/reference.md",
)
SGT_SHIPPED = Code(
    "SW2215", "warning", "Cisco ISE ships with another group of this SGT", "use a value above 255 or one from 16 to 254"
)
BAD_ADDRESS = Code("SW2216", "error", "an address in the lock is not valid", "run propose to write the lock again")
SGT_NAME_ALONE = Code(
    "SW2217", "error", "a segment names a security group without its tag", "give the group's value as sgt as well"
)

DUPLICATE_RULE = Code("SW2301", "error", "a rule id stands twice", "give each rule its own id")
UNKNOWN_TARGET = Code(
    "SW2302",
    "error",
    "a rule names an end that is not defined",
    "add the segment or the network set, or correct its name",
)
UNKNOWN_SERVICE = Code(
    "SW2303", "error", "a service is not defined", "add the service to services.yml or correct its name"
)
EMPTY_SERVICES = Code("SW2304", "error", "a rule has no services", "name at least one service, or remove the rule")
EXPIRED = Code(
    "SW2305",
    "warning",
    "a rule has expired and is in no list any more",
    "remove the rule, or have its new expiry approved",
)
INCOMPLETE_EXCEPTION = Code(
    "SW2306",
    "error",
    "an exception lacks its expiry or ticket",
    "give expires and ticket; an exception is for a limited time and approved",
)
BAD_DATE = Code("SW2307", "error", "a date is not valid", "write YYYY-MM-DD")
TOO_WIDE = Code(
    "SW2308", "error", "a rule permits any service to any address", "name the services and the network that are needed"
)
REPEATED_PERMISSION = Code("SW2309", "info", "two rules permit the same", "remove the service from one of them")
EXPIRES_SOON = Code("SW2310", "info", "a rule expires within 14 days", "ask its owner whether it is still needed")
WIDE = Code(
    "SW2311",
    "warning",
    "a rule permits every port or every address",
    "name the services and the network that are needed",
)

PORT_RANGE = Code(
    "SW2401", "error", "a port is out of range", "use ports from 1 to 65535, and ranges that begin with the lower port"
)
SERVICE_FIELDS = Code(
    "SW2402",
    "error",
    "a service mixes fields of different protocols",
    "ports belong to tcp and udp, icmp_type to icmp and icmpv6",
)
UNUSED_SERVICE = Code("SW2403", "info", "a service is used nowhere", "remove the service unless it is being prepared")
UNUSED_NETWORK = Code(
    "SW2404", "info", "a network set is used nowhere", "remove the network set unless it is being prepared"
)
EMPTY_NETWORK = Code(
    "SW2405", "error", "a network set or service holds nothing", "give it at least one entry, or remove it"
)
BAD_ETHERTYPE = Code(
    "SW2407",
    "error",
    "an ethertype cannot be that of a service",
    "give IP as protocol, leave VLAN tags out, and use numbers from 0x0600",
)
FRAMES_TO_ADDRESSES = Code(
    "SW2408",
    "error",
    "a rule leads to addresses by a service that has none",
    "name the segment of the receivers: what is below IP reaches devices of the sender's subnet only",
)
NETWORK_OF_DEVICES = Code(
    "SW2409",
    "error",
    "a network set opens connections and holds devices of segments",
    "write the rule in the devices' segment, or leave their addresses out of the set",
)
NETWORK_TO_NETWORK = Code(
    "SW2410",
    "error",
    "a rule of a network set leads to no segment",
    "name the segment of the servers; what goes from addresses to addresses is no matter of this policy",
)
STALE_NAME = Code(
    "SW2406",
    "warning",
    "a resolved host name is old",
    "resolve the name again and write its addresses with the day",
)

UNKNOWN_POINT = Code(
    "SW2501", "error", "an enforcement point is not defined", "add the point to enforcement.yml or correct its name"
)
UNKNOWN_SEGMENT = Code("SW2502", "error", "a segment is not defined", "add the segment's file or correct the name")
CANNOT_FILTER = Code(
    "SW2503",
    "error",
    "a point cannot filter a segment that is assigned to it",
    "assign the segment to a point on its way, or collect where its devices are attached",
)
NO_SGT = Code(
    "SW2504", "error", "a segment at a matrix has no SGT", "give the segment an SGT, or enforce it at another point"
)
BAD_POINT = Code(
    "SW2505",
    "error",
    "an enforcement point's fields do not fit its kind",
    "docs/policy/reference.md says which fields belong to which kind",
)
NOTHING_ALLOWED = Code(
    "SW2506",
    "warning",
    "a segment is enforced and no rule concerns it",
    "its devices would reach nothing and nobody would reach them; learn first or keep it at observe",
)
NOT_ASSIGNED = Code("SW2507", "info", "a segment is enforced nowhere", "assign it in enforcement.yml when it is ready")
NO_MANAGEMENT = Code(
    "SW2508",
    "warning",
    "a firewall has no management flows",
    "add management to the point, so that the way back is never cut",
)
RING = Code(
    "SW2509",
    "error",
    "a ring is not consistent",
    "each ring needs an id of its own, each segment stands in one ring at most, and what a ring names must be known",
)
UNKNOWN_MANAGEMENT = Code(
    "SW2510",
    "error",
    "a management flow names something undefined",
    "add the network set or service, or correct its name",
)
PARTLY_FILTERED = Code(
    "SW2511",
    "warning",
    "a port list does not reach every device of its segment",
    "add a point for the other switch, or collect where the devices are attached",
)

UNKNOWN_PATH_END = Code(
    "SW2512",
    "error",
    "a way names something undefined",
    "define the segment, network set or zone, or correct its name",
)
UNKNOWN_HARDWARE = Code(
    "SW2513",
    "error",
    "a switch has hardware that is not known",
    "take a platform class that acl_check knows; the nearest smaller one where yours is absent",
)
PLACE = Code(
    "SW2514",
    "error",
    "a place is not consistent",
    "name places that are defined under places of enforcement.yml, none within itself, and switches of the inventory",
)
CELL_TWICE = Code("SW2515", "error", "a cell has two stages", "give each cell of enforcement.yml one entry")
CELL_NOT_MONITORED = Code(
    "SW2516",
    "error",
    "no matrix can monitor a cell that has a stage of its own",
    "assign both segments to one sgacl point that their tags reach, or remove the cell's entry",
)
CELL_AHEAD = Code(
    "SW2517",
    "error",
    "a cell is written although a segment of it is only observed",
    "raise the segment to monitor first: its devices carry no tag until then; or remove the cell's entry",
)
CELL_NEEDED = Code(
    "SW2518",
    "error",
    "a cell that a life-critical workflow uses is not written, so that the ANY-ANY cell decides",
    "hold it at monitor, which forwards and counts, or remove the cell's entry",
)

DUPLICATE_ID = Code("SW2601", "error", "an id stands twice", "give each guardrail, workflow and expectation its own id")
GUARDRAIL_UNKNOWN = Code("SW2602", "error", "a guardrail names something undefined", "correct the name, or define it")
CONTRADICTION = Code(
    "SW2603", "error", "two guardrails contradict each other", "no policy can keep both; remove or narrow one of them"
)
WORKFLOW_RULE = Code(
    "SW2604",
    "error",
    "a workflow names a rule that does not exist",
    "restore the rule or correct its id; a workflow's rules can never be dropped",
)
EXPECTATION_END = Code(
    "SW2605",
    "error",
    "an expectation names an unknown end",
    "use an address, a device of members.lock.json or a segment",
)
EXPECTATION_CLASH = Code("SW2606", "error", "two expectations contradict each other", "correct one of them")

OWNER_WITHOUT_PEOPLE = Code(
    "SW2901", "error", "an owner has no people who could approve", "give the team its people in approvers.yml"
)
UNKNOWN_CALENDAR_ZONE = Code(
    "SW2902", "error", "the calendar names a zone that does not exist", "use a zone of site.yml, or all"
)
EMPTY_TIME = Code("SW2903", "error", "a window or freeze holds no time", "let it begin before it ends")
ZONE_WITHOUT_WINDOW = Code(
    "SW2904", "warning", "no change window will ever open for a zone", "give the zone a window in calendar.yml"
)
TOO_FEW_PEOPLE = Code(
    "SW2905",
    "error",
    "more approvers are asked for than there are",
    "name more people in approvers.yml, or ask for fewer",
)
EXCEPTION_EXPIRED = Code(
    "SW2701",
    "warning",
    "an exception has expired",
    "it is in no list any more; remove it, or have a new one approved",
)
EXCEPTION_ENDS_SOON = Code(
    "SW2702", "info", "an exception expires within 14 days", "ask its owner whether it is still needed"
)
EXCEPTION_NOT_BEGUN = Code(
    "SW2703", "info", "an exception has not begun", "nothing is to be done; it is in the lists from its first day"
)
EXCEPTION_TIME = Code(
    "SW2704", "error", "an exception ends before it begins", "correct valid_from or expires; both days are included"
)
EXCEPTION_TOO_LONG = Code(
    "SW2705",
    "error",
    "an exception holds too long",
    "shorten it, write a rule instead, or have defaults.exceptions.maximum_days in site.yml raised",
)
UNKNOWN_CLIENT = Code(
    "SW2706", "error", "an exception's client is not defined", "add the segment's file or correct the name"
)
UNKNOWN_DEVICE = Code(
    "SW2707",
    "error",
    "an exception names a device that is in neither of its segments",
    "use an id or name of members.lock.json, of the client's or the server's segment",
)
ALONE_IN_SEGMENT = Code(
    "SW2708",
    "error",
    "an exception within one segment names one device only and so permits nothing",
    "name the devices at both ends, lead the exception to another segment, or leave devices out for all of the segment",
)
BAD_WINDOW = Code(
    "SW2711",
    "error",
    "a time window is empty or ambiguous",
    'let start and end differ; the whole day is "00:00" to "24:00"',
)
UNKNOWN_POSTURE = Code(
    "SW2712", "error", "a condition names an undefined posture", "add it to postures.yml or correct its name"
)
CRITICAL_CONDITION = Code(
    "SW2713",
    "error",
    "a workflow on which lives or a process depend rests on a rule that does not always hold",
    "give the workflow a rule without window, posture and expiry",
)
WORKFLOW_CONDITION = Code(
    "SW2714",
    "warning",
    "a workflow rests on a rule that does not always hold",
    "have the workflow's owner agree to the window, posture or expiry, or give it a rule without",
)
POSTURE_END = Code(
    "SW2721",
    "error",
    "a posture is about something undefined",
    "use a segment, or a device of members.lock.json",
)
POSTURE_KEEPS = Code(
    "SW2722", "error", "a posture keeps something undefined", "use ids of rules and workflows that exist"
)
SUSPENDS_UNKNOWN = Code(
    "SW2723", "error", "a posture suspends an undefined workflow", "use the id of a workflow of workflows.yml"
)
POSTURE_CUTS = Code(
    "SW2724",
    "error",
    "an isolation cuts a workflow without saying so",
    "keep the workflow, or list it under suspends with its owner's consent and an expiry",
)
NO_CONSENT = Code(
    "SW2725",
    "error",
    "a suspension lacks the consent of the workflow's owner",
    "have the owner that workflows.yml names agree",
)
CONSENT_EXPIRED = Code(
    "SW2726", "error", "a consent to suspend a workflow has expired", "ask the workflow's owner again"
)
CONSENT_ENDS_SOON = Code(
    "SW2727", "info", "a consent to suspend a workflow expires within 14 days", "ask the workflow's owner again"
)
CONSENT_TIME = Code(
    "SW2728", "error", "a consent ends before it was given", "correct consent_date or expires; both days are included"
)
NOT_ISOLATABLE = Code(
    "SW2729",
    "warning",
    "an isolation has no enforcement point",
    "assign the segment in enforcement.yml; pulling the posture would change no list",
)
RELAXES_NOTHING = Code(
    "SW2730",
    "warning",
    "a relaxation opens nothing",
    "give rules this posture as their condition, or set opens: all for a segment that is enforced",
)
BAD_POSTURE = Code(
    "SW2731",
    "error",
    "a posture's fields do not fit its kind",
    "keeps, suspends, sgt and device belong to isolate, opens and ask_after_minutes to relax",
)
UNKNOWN_TEMPLATE = Code("SW2741", "error", "a template is not defined", "add it to templates.yml or correct its name")
TEMPLATE_PARAMETERS = Code(
    "SW2742",
    "error",
    "a template's parameters and its use do not fit",
    "give each parameter of the template a value, and declare each that its rules use",
)
BAD_TEMPLATE_RULE = Code(
    "SW2743", "error", "a template makes a rule that is not legal", "correct the parameter's value or the template"
)
UNUSED_TEMPLATE = Code(
    "SW2744", "info", "a template is used nowhere", "remove the template unless it is being prepared"
)
