# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before anything else: is this the node, the account, the version and the mode in which the policy can be written?

Each question is one request; what is wrong is named with what to do. Nothing is changed: the one writing request, asked before
an apply only, deletes an object whose id cannot exist, and what ISE says to it tells role and node.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Code, Finding, FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_client import IseClient, NotFound
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_matrix import FATAL

PROBE = "/ers/config/sgt?size=1&page=1"
VERSION = "/ers/config/op/systemconfig/iseversion"
NODES = "/api/v1/deployment/node"
WORKFLOW = "/api/v1/trustsec/matrix-workflow-settings"
NOBODY = "/ers/config/sgt/00000000-0000-0000-0000-000000000000"
LARGEST_SKEW = 60.0
PRIMARY_ROLES = ("PrimaryAdmin", "Standalone")
# The first version whose matrix has an open interface, several matrices included: 3.4 patch 2.
OPEN_MATRIX = (4, 2)
CERTIFICATE_FAULTS = (
    ("expired", "the certificate has expired; renew it in ISE"),
    ("not yet valid", "the certificate is not valid yet; compare the clocks of ISE and of this controller"),
    ("mismatch", "the certificate is for another name; address ISE by a name that stands in it"),
    ("self-signed", "its authority is not trusted here; give that authority's certificate as microseg_ca_file"),
    ("self signed", "its authority is not trusted here; give that authority's certificate as microseg_ca_file"),
    ("local issuer", "its authority is not trusted here; give that authority's certificate as microseg_ca_file"),
    ("alert", "ISE does not accept our client certificate; see microseg_ise_client_certificate"),
    ("certificate required", "ISE demands a client certificate; see microseg_ise_client_certificate"),
)


@dataclass(frozen=True)
class Preflight:
    """What was found. ``facts`` has node, version, patch, matrix_mode, approval_workflow, csrf, clock_ahead_seconds as far as known."""

    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def preflight(client: IseClient, target: str, *, writing: bool = False) -> Preflight:
    """Return what speaks for and against writing to this ISE; the first of its nodes that is the primary one is used from here on.

    With ``writing`` role and node are tried with a delete of nothing. Raises nothing: every fault is a finding.
    """
    facts: dict[str, Any] = {}
    findings: list[Finding] = []
    for number, url in enumerate(client.nodes):
        if url != client.base_url:
            client.use_node(url)
        try:
            _probe(client, facts)
        except FindingError as error:
            named = [_named(client, finding) for finding in error.findings]
            findings += named
            if any(finding.code in (codes.LOGIN_REFUSED.number, codes.ISE_ROLE.number) for finding in named):
                break
            continue
        wrong = _wrong_node(client)
        if not wrong or number + 1 == len(client.nodes):
            # Nodes that were tried before do not matter once one will do.
            findings = [*([wrong] if wrong else []), *_questions(client, facts, writing and wrong is None)]
            facts["node"] = client.base_url
            break
        findings.append(wrong)
    return Preflight(tuple(replace(each, message=f"{target}: {each.message}") for each in findings), facts)


def _probe(client: IseClient, facts: dict[str, Any]) -> None:
    """Read one object with the request for a token: reachable, trusted, logged in, ERS on, allowed to read."""
    try:
        headers = client.head(PROBE, {"X-CSRF-Token": "fetch"})
    except NotFound:
        text = f"{client.base_url}: there is no ERS at this address"
        raise FindingError(codes.ISE_API_OFF.at(text)) from None
    token = headers.get("x-csrf-token", "")
    facts["csrf"] = bool(token) and token.lower() not in ("fetch", "required")
    if facts["csrf"]:
        client.adapter.csrf = True


def _named(client: IseClient, finding: Finding) -> Finding:
    """Return a fault of the first request as what it means here."""
    text = finding.message.lower()
    if finding.code == codes.CERTIFICATE.number:
        for word, meaning in CERTIFICATE_FAULTS:
            if word in text:
                return codes.ISE_CERTIFICATE.at(f"{client.base_url}: {meaning}")
        return codes.ISE_CERTIFICATE.at(finding.message)
    if finding.code == codes.UNREACHABLE.number and ("timed out" in text or "timeout" in text):
        why = "nothing answers: ERS is off (its port then lets requests time out), or a firewall drops them"
        return codes.ISE_API_OFF.at(f"{client.base_url}: {why}")
    if finding.code == codes.UNREACHABLE.number and "refused" in text:
        return codes.UNREACHABLE.at(f"{client.base_url}: the connection is refused: no ISE listens on this port")
    if finding.code == codes.NOT_AUTHORIZED.number:
        return codes.ISE_ROLE.at(f"{client.base_url}: the account may not read through ERS")
    return finding


def _wrong_node(client: IseClient) -> Finding | None:
    """Return that this node is not the primary one, with the one that is; None where it is, or where ISE does not say."""
    rows = _rows(_asked(client, NODES))
    host = str(urllib.parse.urlsplit(client.base_url).hostname or "").lower()
    primary = [row for row in rows if any(role in PRIMARY_ROLES for role in row.get("roles") or ())]
    own = [row for row in rows if host in _names(row)]
    if not own or not primary or own[0] in primary:
        return None
    names = ", ".join(str(row.get("fqdn") or row.get("hostname") or row.get("ipAddress")) for row in primary)
    role = ", ".join(str(each) for each in own[0].get("roles") or ()) or "no administration"
    return codes.ISE_SECONDARY.at(f"{client.base_url} has the role {role}; the primary administration node is {names}")


def _names(row: Mapping[str, Any]) -> set[str]:
    return {str(row.get(key) or "").lower() for key in ("hostname", "fqdn", "ipAddress")} - {""}


def _questions(client: IseClient, facts: dict[str, Any], writing: bool) -> list[Finding]:
    findings = [*_version(client, facts), *_modes(client, facts), *_clock(client, facts)]
    if facts["csrf"]:
        findings.append(codes.ISE_CSRF.at(client.base_url))
    return [*findings, *(may_write(client) if writing else ())]


def _version(client: IseClient, facts: dict[str, Any]) -> list[Finding]:
    """Compare ISE's own version with the inventory's."""
    result = _asked(client, VERSION).get("OperationResult")
    values = result.get("resultValue") if isinstance(result, dict) else None
    named = {str(item.get("name")): str(item.get("value")) for item in values or () if isinstance(item, dict)}
    found = re.match(r"(\d+)\.(\d+)", named.get("version", ""))
    if not found:
        return [codes.ISE_UNKNOWN_STATE.at(f"{client.base_url}: it does not say its version")]
    patches = [int(each) for each in re.findall(r"\d+", named.get("patch information", ""))]
    facts["version"], facts["patch"] = f"{found[1]}.{found[2]}", max(patches, default=0)
    own = (int(found[1]), int(found[2]))
    if own < (3, 1) or own[0] > 3:
        return [codes.ISE_VERSION.at(f"{client.base_url} is ISE {facts['version']}; 3.1 to 3.5 are supported")]
    if own[1] != client.version.minor:
        text = (
            f"{client.base_url} is ISE {facts['version']} patch {facts['patch']}, the inventory says {client.version}"
        )
        return [codes.ISE_VERSION_DIFFERS.at(text)]
    return []


def _modes(client: IseClient, facts: dict[str, Any]) -> list[Finding]:
    """Look for modes in which cells cannot be written, and for the open interface that pushes need."""
    minor = int(str(facts.get("version") or f"3.{client.version.minor}").split(".")[1])
    try:
        inner = client.open_api("GET", WORKFLOW).get("response")
    except (NotFound, FindingError) as error:
        if isinstance(error, FindingError) and any(each.code in FATAL for each in error.findings):
            return list(error.findings)
        if (minor, int(facts.get("patch", 0))) < OPEN_MATRIX:
            return []
        text = f"{client.base_url}: the Open API does not answer: no push, no device report, no modes of the matrix"
        return [replace(codes.ISE_API_OFF.at(text), severity="warning")]
    settings = inner if isinstance(inner, dict) else {}
    workflow = settings.get("approvalWorkflow")
    states = workflow if isinstance(workflow, dict) else {}
    facts["matrix_mode"] = str(settings.get("matrixMode", ""))
    facts["approval_workflow"] = bool(states.get("enableApprovalWorkflow", states.get("enable")))
    found = []
    if facts["approval_workflow"]:
        found.append(codes.ISE_WORKFLOW.at(client.base_url))
    if facts["matrix_mode"] == "MULTIPLE_MATRICES" and (minor, int(facts.get("patch", 0))) < OPEN_MATRIX:
        found.append(codes.ISE_MATRICES.at(client.base_url))
    return found


def _clock(client: IseClient, facts: dict[str, Any]) -> list[Finding]:
    if client.skew is None:
        return []
    ahead, margin = client.skew
    facts["clock_ahead_seconds"] = round(ahead)
    if abs(ahead) - margin <= LARGEST_SKEW:
        return []
    return [codes.ISE_CLOCK.at(f"{client.base_url}: {abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}")]


def may_write(client: IseClient) -> list[Finding]:
    """Try to delete an object that cannot exist: 404 says that role and node may write.

    What else a real ISE may answer to that is not known; such an answer is told and stops nobody.
    """
    try:
        client.open_api("DELETE", NOBODY)
    except NotFound:
        return []
    except FindingError as error:
        meant: dict[str, Code] = {
            codes.NOT_AUTHORIZED.number: codes.ISE_ROLE,
            codes.NOT_PRIMARY.number: codes.ISE_SECONDARY,
        }
        return [
            meant[each.code].at(f"{client.base_url}: it may not write")
            if each.code in meant
            else each
            if each.code in FATAL
            else codes.ISE_UNKNOWN_STATE.at(f"{client.base_url}: whether it may write: {each.message}")
            for each in error.findings
        ]
    return []


def _asked(client: IseClient, path: str) -> dict[str, Any]:
    """Return an answer, or nothing where this ISE has no such path or does not open it to the account."""
    try:
        return client.open_api("GET", path)
    except NotFound:
        return {}
    except FindingError as error:
        if any(each.code in FATAL for each in error.findings):
            raise
        return {}


def _rows(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = answer.get("response")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
