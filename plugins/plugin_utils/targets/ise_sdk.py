# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ciscoisesdk, whose names of families and methods depend on its version and on ISE's (facts/ise.md section 2.2).

The SDK is imported when the first client is made, and sparingly (``ise_sdk_import.py``): runs that do not touch ISE do not pay
for it.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import FindingError
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import deferred, require
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets import codes
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_sdk_import import NoValidator, sparing
from ansible_collections.segwright.microseg.plugins.plugin_utils.targets.ise_wire import OnceAdapter

ciscoisesdk = deferred("ciscoisesdk")

SESSIONS = ("_session", "_session_ers", "_session_ui", "_session_mnt", "_session_px_grid")
_VERSION = re.compile(r"(\d)\.(\d+)(?:\.(\d+))?(?:[ ._-]?(?:patch|p)[ ._-]?(\d+)|_beta)?(?:\.\d+)?", re.I)


@dataclass(frozen=True)
class IseVersion:
    """A version of ISE, 3.1 to 3.5, and the name that the SDK has for it."""

    minor: int
    patch: int
    sdk: str

    @property
    def pushes_with_report(self) -> bool:
        """Whether matrices are pushed by the Open API, with a report of each device (3.4 patch 2; facts/ise.md section 1.7)."""
        return (self.minor, self.patch) >= (4, 2)

    def __str__(self) -> str:
        return f"3.{self.minor}" + (f" patch {self.patch}" if self.patch else "")


def ise_version(text: str) -> IseVersion:
    """Return the version that a text stands for: ``3.4``, ``3.5.0``, ``3.3_patch_1``, ``3.4p2``. FindingError SW4302 for others.

    The SDK has no 3.4, whose interfaces are those of 3.3; its 3.1.1 is deprecated in favour of 3.1_Patch_1.
    """
    found = _VERSION.fullmatch(text.strip())
    minor = int(found[2]) if found and found[1] == "3" else 0
    if not found or not 1 <= minor <= 5:
        raise FindingError(
            codes.ISE_VERSION.at(f"version {text[:40]!r}; 3.1 to 3.5 are supported, as 3.4 or 3.4_patch_2")
        )
    patch = int(found[4] or 0) or (int(found[3] or 0) if minor == 1 else 0)
    names = {1: "3.1_Patch_1" if patch else "3.1.0", 2: "3.2_beta", 3: "3.3_patch_1", 4: "3.3_patch_1", 5: "3.5.0"}
    return IseVersion(minor, patch, names[minor])


@dataclass(frozen=True)
class Resource:
    """A kind of object: key that wraps its body, and the names of its family and methods in all versions of the SDK.

    Names are written without underscores, in which versions differ (facts/ise.md section 2.2).
    """

    wrapper: str
    families: tuple[str, ...]
    items: tuple[str, ...]
    item: tuple[str, ...]
    create: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()


def _resource(wrapper: str, families: tuple[str, ...], *stems: str, many: tuple[str, ...] = ()) -> Resource:
    return Resource(
        wrapper,
        families,
        tuple(f"get{stem}" for stem in (*many, *stems)),
        tuple(f"get{stem}byid" for stem in stems),
        tuple(f"create{stem}" for stem in stems),
        tuple(f"update{stem}byid" for stem in stems),
        tuple(f"delete{stem}byid" for stem in stems),
    )


RESOURCES: Mapping[str, Resource] = {
    "sgt": _resource("Sgt", ("sgt", "securitygroups"), "sgt", "securitygroup", many=("securitygroups",)),
    "sgacl": _resource("Sgacl", ("sgacl", "securitygroupsacls"), "sgacl", "securitygroupsacl"),
    "downloadable_acl": _resource("DownloadableAcl", ("downloadableacl",), "downloadableacl"),
    "authorization_profile": _resource(
        "AuthorizationProfile", ("authorizationprofile",), "authorizationprofile", many=("authorizationprofiles",)
    ),
    "egress_matrix_cell": _resource("EgressMatrixCell", ("egressmatrixcell",), "egressmatrixcell"),
    "endpoint": _resource("ERSEndPoint", ("endpoint",), "endpoint", many=("endpoints",)),
    "endpoint_group": _resource(
        "EndPointGroup", ("endpointgroup", "endpointidentitygroup"), "endpointgroup", many=("endpointgroups",)
    ),
    "anc_policy": _resource("ErsAncPolicy", ("ancpolicy",), "ancpolicy"),
    "ip_sgt_mapping": _resource("SGMapping", ("sgmapping", "iptosgtmapping"), "sgmapping", "iptosgtmapping"),
    "profiler_profile": _resource(
        "ProfilerProfile", ("profilerprofile",), "profilerprofile", many=("profilerprofiles",)
    ),
    "network_device": _resource("NetworkDevice", ("networkdevice",), "networkdevice", many=("networkdevices",)),
    "network_device_group": _resource("NetworkDeviceGroup", ("networkdevicegroup",), "networkdevicegroup"),
}


def make_sdk(base_url: str, version: IseVersion, adapter: OnceAdapter) -> Any:
    """Return an object of the SDK that sends through the adapter only; MissingDependency where the SDK is not installed.

    Every argument is given: the SDK takes what is absent from IDENTITY_SERVICES_ENGINE_* variables, and for the address then
    from Cisco's demonstration cloud. It never sees the credentials, which the adapter adds.
    """
    with sparing():
        require(ciscoisesdk)
    # The SDK logs what it sends, in old versions with the credentials (facts/ise.md section 2.4).
    logging.getLogger("ciscoisesdk").setLevel(logging.WARNING)
    urls = dict.fromkeys(("base_url", "ui_base_url", "ers_base_url", "mnt_base_url", "px_grid_base_url"), base_url)
    given: dict[str, Any] = {
        **urls,
        "username": "none",
        "password": "none",
        "encoded_auth": "bm9uZTpub25l",
        "uses_api_gateway": True,
        "single_request_timeout": max(1, int(adapter.wire.timeout)),
        "wait_on_rate_limit": False,
        "verify": adapter.wire.verify,
        "client_cert": "",
        "client_key": "",
        "version": version.sdk,
        "debug": False,
        "uses_csrf_token": False,
        "validator": NoValidator,
    }
    known = inspect.signature(ciscoisesdk.IdentityServicesEngineAPI.__init__).parameters
    api = ciscoisesdk.IdentityServicesEngineAPI(**{name: value for name, value in given.items() if name in known})
    logging.getLogger("ciscoisesdk.restsession").setLevel(logging.WARNING)
    sessions = (getattr(api, name, None) for name in SESSIONS)
    adapter.mount_on(session._req_session for session in sessions if session is not None)
    return api


def sdk_method(api: Any, kind: str, operation: str) -> Callable[..., Any]:
    """Return the SDK's method for an operation (items, item, create, update, delete) on a kind of object."""
    resource = RESOURCES[kind]
    found: Callable[..., Any] = _member(
        _member(api, resource.families, kind), getattr(resource, operation), f"{operation} of {kind}"
    )
    return found


def _member(owner: Any, names: tuple[str, ...], what: str) -> Any:
    """Return the member with one of the names, the first name first."""
    members = {each.replace("_", ""): each for each in sorted(dir(owner), reverse=True) if not each.startswith("_")}
    for name in names:
        if name in members and getattr(owner, members[name]) is not None:
            return getattr(owner, members[name])
    raise FindingError(codes.ISE_VERSION.at(f"this version of ciscoisesdk has no {what}"))
