# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of the devices room: register, sources, classification, address intervals, parsers of show output (SW1300 to SW1399)."""

from __future__ import annotations

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code

OBSERVATION_INVALID = Code("SW1301", "warning", "an observation names no device", "give the MAC address of one device")
FACT_INVALID = Code("SW1302", "warning", "a fact has a value that cannot be", "correct the source that says so")
FACT_CONFLICT = Code(
    "SW1303",
    "warning",
    "two sources disagree about a device",
    "find out which is right; the surer and newer one is used until then",
)
PLACE_CONFLICT = Code(
    "SW1304", "warning", "a device is seen at two places at one time", "look for a duplicated MAC address or a loop"
)
ADDRESS_CONFLICT = Code(
    "SW1305",
    "warning",
    "two devices claim one address at one time",
    "traffic of that time is bound to neither; find the duplicate address",
)
ADDRESS_INVALID = Code("SW1306", "warning", "an address of a device cannot be used", "correct the source that says so")
REGISTER_DAMAGED = Code("SW1311", "error", "the register cannot be read", "collect the device facts again")
LINE_UNKNOWN = Code(
    "SW1321", "warning", "a line of show output was not understood", "report the line; the facts of the others are used"
)
OUTPUT_REFUSED = Code(
    "SW1322", "error", "a device refused a show command", "check the command, the platform and the account's privileges"
)
OUTPUT_EMPTY = Code(
    "SW1323", "warning", "a show command gave nothing that was expected", "check the command and the platform"
)
OUTPUT_CUT = Code("SW1324", "error", "show output ends too early", "raise the read time-out and the terminal length")
VALUE_INVALID = Code("SW1325", "warning", "a value in show output cannot be", "report the line; its entry is left out")
SWITCH_FACTS_DAMAGED = Code(
    "SW1371",
    "warning",
    "the facts of a switch cannot be read",
    "collect the device facts again; limits count until then",
)
HARDWARE_UNKNOWN = Code(
    "SW1372",
    "info",
    "a switch does not say what its hardware holds",
    "name its platform class in enforcement.yml (switches), whose limits count then",
)
TYPE_CHANGED = Code(
    "SW1340",
    "warning",
    "a device became another kind of device: a security event",
    "find out whether the MAC was taken over or the device replaced; decide in classification.yml under devices",
)
TYPE_CONTRADICTED = Code(
    "SW1341",
    "warning",
    "what a device is said to be and what it was seen to be contradict each other",
    "look at the device; correct the source that is wrong, or decide in classification.yml under devices",
)
DECISION_CONTRADICTED = Code(
    "SW1342",
    "warning",
    "what a person decided about a device contradicts what was seen",
    "look at the device: the record may be old, or the MAC taken over",
)
RULE_INVALID = Code("SW1343", "error", "a classification rule cannot be used", "correct the rule")
DECISION_UNKNOWN = Code(
    "SW1344", "warning", "a decision names a device that the register does not have", "correct or remove it"
)
SOURCE_INVALID = Code(
    "SW1350", "error", "a source of devices cannot be used", "correct microseg_device_sources (docs/register.md)"
)
SOURCE_FAILED = Code("SW1351", "error", "a source of devices cannot be read", "correct the source; the others are used")
SOURCE_ENTRY = Code("SW1352", "warning", "entries of a source were not understood", "correct them; the others are used")
SOURCE_PLUGIN = Code("SW1353", "error", "a module of a source cannot be used", "docs/register.md says what it declares")
OUI_FILE = Code(
    "SW1354", "error", "a table of OUIs cannot be read", "give IEEE's CSV files or Wireshark's manuf (docs/register.md)"
)
NO_MAC = Code(
    "SW1355",
    "warning",
    "addresses have facts and no MAC",
    "they are members of no segment; add the MAC, or name their network in networks.yml",
)
COLUMNS_IGNORED = Code(
    "SW1356", "info", "columns of a table are not used", "name the facts they hold under columns, if they hold any"
)
READINESS_UNKNOWN = Code(
    "SW1373",
    "info",
    "nobody knows whether a switch is ready",
    "collect device facts with an account that may read its configuration",
)
NOT_AUTHENTICATING = Code(
    "SW1374",
    "warning",
    "a port authenticates nobody",
    "no list or tag is assigned there; configure 802.1X or MAB, or filter it by a port_acl",
)
NO_AUTHORIZATION = Code(
    "SW1375",
    "warning",
    "a switch takes no network authorization from RADIUS",
    "configure aaa authorization network; without it downloaded lists are ignored or authorization fails",
)
NO_TRACKING = Code(
    "SW1376",
    "warning",
    "device tracking is not active where a downloaded list shall filter",
    "attach a device-tracking policy; the switch writes the address that it learns into each entry",
)
NO_COA = Code(
    "SW1377",
    "warning",
    "a switch takes no change of authorization",
    "configure aaa server radius dynamic-author; without it neither a new list nor its removal reaches running sessions",
)
OPEN_BEFORE = Code(
    "SW1378",
    "info",
    "before authentication a port lets everything through",
    "attach a static list that permits what devices need to authenticate and start",
)
CLOSED_WITHOUT_LIST = Code(
    "SW1379",
    "warning",
    "a closed port has no static list",
    "attach a static list, so that addresses are written into the first host's list too",
)
LIST_MISSING = Code(
    "SW1380", "warning", "a port names a list that is not there", "create the list; until then everything passes"
)
NO_ENFORCEMENT = Code(
    "SW1381",
    "warning",
    "cells are not enforced where they shall filter",
    "configure cts role-based enforcement, for the switch and for its VLANs",
)
NO_FALLBACK = Code(
    "SW1382",
    "warning",
    "a switch has no cell of its own for the time before ISE answers",
    "configure local cells that permit the path to ISE and what must never be cut",
)
UNREACHABLE_CUTS = Code(
    "SW1383",
    "warning",
    "while no RADIUS server answers, a port cuts its device off",
    "configure critical authentication, or accept it with the device's owner",
)
UNREACHABLE_OPENS = Code(
    "SW1384",
    "info",
    "while no RADIUS server answers, a port lets everything through",
    "attach a static list to the port or to the critical template",
)
NO_DEAD_CRITERIA = Code(
    "SW1385",
    "warning",
    "a switch has no rule when a RADIUS server counts as dead",
    "configure radius-server dead-criteria and deadtime; until a server is dead nothing critical happens",
)
CLOCK_OFF = Code("SW1386", "warning", "a switch's clock is wrong", "configure NTP; logs and counters are dated by it")
CONFIGURATION_DEVIATES = Code(
    "SW1387",
    "warning",
    "a configuration differs from its known-good state",
    "look at the lines; sign the state of now where it is meant, or put the lines back",
)
BASELINE_REFUSED = Code(
    "SW1388",
    "warning",
    "a known-good configuration is not used",
    "sign it as docs/devices-configuration.md says, with a key of the allowed-signers file",
)
BASELINE_MISSING = Code(
    "SW1389",
    "info",
    "a switch has no known-good configuration",
    "sign the kept one where it is good; without it no deviation shows",
)
NOT_CENTRAL = Code(
    "SW1390",
    "warning",
    "a downloadable ACL is assigned where access points switch traffic themselves",
    "switch these networks at the controller, or use cells; Cisco documents downloadable ACLs for central switching only",
)
NO_OVERRIDE = Code(
    "SW1391",
    "warning",
    "a policy profile does not take what ISE assigns",
    "configure aaa-override and nac in the profile (shut it down for the change); without them lists and tags are ignored",
)
