# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenAPI: policy sets, authorization rules, library conditions and the pick lists of network access.

Shapes: Cisco's description of the Policy OpenAPI. Ranks are dense and start at 0; a lower rank is matched first; the
default rule stands last, always. Authentication rules and exceptions are not emulated: exceptions read as empty lists.
"""

from __future__ import annotations

import copy
import json
import re
from typing import Any
from urllib.parse import unquote

from tests.lab.ise.messages import Request, Response, jackson, not_found, ok, openapi_error
from tests.lab.ise.store import Object, Refused, Store

PREFIX = "/api/v1/policy/network-access/"
OPERATORS = (
    "contains", "endsWith", "equals", "greaterOrEquals", "greaterThan", "in", "ipEquals", "ipGreaterThan",
    "ipLessThan", "ipNotEquals", "lessOrEquals", "lessThan", "macContains", "macEndsWith", "macEquals", "macIn",
    "macNotContains", "macNotEndsWith", "macNotEquals", "macNotIn", "macNotStartsWith", "macStartsWith", "matches",
    "notContains", "notEndsWith", "notEquals", "notIn", "notStartsWith", "startsWith",
)  # fmt: skip
RULE_CONDITIONS = ("ConditionAttributes", "ConditionReference", "ConditionAndBlock", "ConditionOrBlock")
LIBRARY_CONDITIONS = ("LibraryConditionAttributes", "LibraryConditionAndBlock", "LibraryConditionOrBlock")
STATES = ("enabled", "disabled", "monitor")
NAME = r"[A-Za-z0-9_\-. ()]+"


def handle(store: Store, request: Request) -> Response:
    parts = [unquote(part) for part in request.path[len(PREFIX) :].split("/")]
    try:
        if not request.accepts("application/json", "*/*"):
            raise Refused(406, "Not Acceptable")
        answer = _route(store, request, parts)
    except Refused as refused:
        return openapi_error(refused.status, refused.title or "Internal error")
    return answer or not_found(request.path)


def _route(store: Store, request: Request, parts: list[str]) -> Response | None:
    method = request.method
    if method != "GET" and not store.is_primary(request.node):
        raise Refused(400, "This node is not the primary administration node")
    if parts == ["authorization-profiles"] and method == "GET":
        return _plain(store.objects["authorizationprofile"], ("id", "name"))
    if parts == ["security-groups"] and method == "GET":
        return _plain(store.objects["sgt"], ("id", "name"))
    if parts[0] == "condition" and method == "GET":
        if len(parts) == 1 or parts[1] in ("authorization", "authentication", "policyset"):
            return _answer([_condition_shown(each) for each in _sorted(store, "condition")])
        if len(parts) == 2:
            return _answer(_condition_shown(_found(store, "condition", parts[1])))
    if parts == ["condition"] and method == "POST":
        return _create_condition(store, request)
    if parts[0] != "policy-set":
        return None
    if parts[1:] == ["global-exception"] and method == "GET":
        return _answer([])
    if len(parts) <= 2:
        return _policy_sets(store, request, parts[1:])
    policy = _found(store, "policyset", parts[1])
    if parts[2] == "exception" and len(parts) == 3 and method == "GET":
        return _answer([])
    if parts[2] == "authorization" and len(parts) <= 4:
        return _rules(store, request, policy, parts[3:])
    return None


# -- policy sets


def _policy_sets(store: Store, request: Request, rest: list[str]) -> Response | None:
    method = request.method
    if not rest:
        if method == "GET":
            return _answer([_set_shown(request, each) for each in ordered(store, "policyset")])
        if method != "POST":
            return None
        item = _policy_set(store, _body(request), None)
        store.put("policyset", item)
        _place(store, "policyset", item, item["rank"])
        rule = {
            "id": store.new_id(), "name": "Default", "_policy": item["id"], "default": True, "rank": 0,
            "state": "enabled", "condition": None, "profile": ["DenyAccess"], "securityGroup": None, "hitCounts": 0,
        }  # fmt: skip
        store.put("authorizationrule", rule)
        return _created(request, f"policy-set/{item['id']}", _set_shown(request, item))
    policy = _found(store, "policyset", rest[0])
    if method == "GET":
        return _answer(_set_shown(request, policy))
    if method == "PUT":
        if policy["default"]:
            raise Refused(400, "The default policy set cannot be changed")
        item = _policy_set(store, _body(request), policy)
        store.put("policyset", item)
        _place(store, "policyset", item, item["rank"])
        return _answer(_set_shown(request, item))
    if method == "DELETE":
        if policy["default"]:
            raise Refused(400, "The default policy set cannot be deleted")
        for rule in rules_of(store, policy["id"]):
            store.drop("authorizationrule", rule["id"])
        store.drop("policyset", policy["id"])
        _renumber(store, "policyset", None)
        return ok({"id": policy["id"]})
    return None


def _policy_set(store: Store, body: dict[str, Any], old: Object | None) -> Object:
    allowed = {
        "condition", "default", "description", "hitCounts", "id", "isProxy", "link", "name", "rank", "serviceName",
        "state",
    }  # fmt: skip
    _only(body, allowed)
    name = _name(body.get("name"))
    other = store.by_name("policyset", name)
    if other is not None and (old is None or other["id"] != old["id"]):
        raise Refused(400, f"Policy set {name} already exists")
    if not body.get("serviceName"):
        raise Refused(400, "serviceName is mandatory")
    return {
        "id": old["id"] if old else store.new_id(),
        "name": name,
        "description": body.get("description") or "",
        "default": False,
        "rank": _rank(store, body.get("rank"), old),
        "state": _state(body.get("state", "enabled")),
        "condition": _condition(store, body.get("condition"), RULE_CONDITIONS),
        "serviceName": body["serviceName"],
        "isProxy": bool(body.get("isProxy", False)),
        "hitCounts": old["hitCounts"] if old else 0,
    }


# -- authorization rules


def _rules(store: Store, request: Request, policy: Object, rest: list[str]) -> Response | None:
    method, where = request.method, f"policy-set/{policy['id']}/authorization"
    if not rest:
        if method == "GET":
            return _answer([_rule_shown(request, where, each) for each in rules_of(store, policy["id"])])
        if method != "POST":
            return None
        item = add_rule(store, policy["id"], _body(request))
        return _created(request, f"{where}/{item['id']}", _rule_shown(request, where, item))
    rule = _found(store, "authorizationrule", rest[0])
    if rule["_policy"] != policy["id"]:
        raise Refused(404, "Rule not found")
    if method == "GET":
        return _answer(_rule_shown(request, where, rule))
    if method not in ("PUT", "DELETE"):
        return None
    if rule["default"]:
        raise Refused(400, "The default rule cannot be changed or deleted")
    if method == "PUT":
        item = _rule(store, policy, _body(request), rule)
        store.put("authorizationrule", item)
        _place(store, "authorizationrule", item, item["rank"])
        return _answer(_rule_shown(request, where, item))
    store.drop("authorizationrule", rule["id"])
    _renumber(store, "authorizationrule", policy["id"])
    return ok({"id": rule["id"]})


def add_rule(store: Store, policy_id: str, body: dict[str, Any]) -> Object:
    """Create an authorization rule; returns it as stored. Raises Refused."""
    item = _rule(store, _found(store, "policyset", policy_id), body, None)
    store.put("authorizationrule", item)
    _place(store, "authorizationrule", item, item["rank"])
    return item


def _rule(store: Store, policy: Object, body: dict[str, Any], old: Object | None) -> Object:
    _only(body, {"rule", "profile", "securityGroup", "link"})
    rule = body.get("rule")
    if not isinstance(rule, dict):
        raise Refused(400, "rule is mandatory")
    _only(rule, {"condition", "default", "hitCounts", "id", "name", "rank", "state"})
    if old is not None and rule.get("id") not in (None, old["id"]):
        raise Refused(400, "The id of the body differs from the id of the URL")
    name = _name(rule.get("name"))
    for each in rules_of(store, policy["id"]):
        if each["name"].casefold() == name.casefold() and (old is None or each["id"] != old["id"]):
            raise Refused(400, f"Authorization rule {name} already exists")
    profiles = body.get("profile") or []
    if not isinstance(profiles, list) or any(not isinstance(each, str) for each in profiles):
        raise Refused(400, "profile must be a list of names")
    for profile in profiles:
        if store.by_name("authorizationprofile", profile) is None:
            raise Refused(400, f"Authorization profile {profile} does not exist")
    group = body.get("securityGroup") or None
    if group is not None and store.by_name("sgt", group) is None:
        raise Refused(400, f"Security group {group} does not exist")
    if not profiles and group is None:
        raise Refused(400, "A rule needs a profile or a security group")
    return {
        "id": old["id"] if old else store.new_id(),
        "name": name,
        "_policy": policy["id"],
        "default": False,
        "rank": _rank(store, rule.get("rank"), old),
        "state": _state(rule.get("state", "enabled")),
        "condition": _condition(store, rule.get("condition"), RULE_CONDITIONS),
        "profile": list(profiles),
        "securityGroup": group,
        "hitCounts": old["hitCounts"] if old else 0,
    }


def rules_of(store: Store, policy_id: str) -> list[Object]:
    """The authorization rules of a policy set in the order they are matched, the default rule last."""
    return ordered(store, "authorizationrule", policy_id)


def ordered(store: Store, path: str, policy_id: str | None = None) -> list[Object]:
    found = [each for each in store.objects[path].values() if policy_id is None or each["_policy"] == policy_id]
    return sorted(found, key=lambda each: (each["default"], each["rank"]))


def _rank(store: Store, given: Any, old: Object | None) -> int:
    if given is None:
        if old is not None:
            return int(old["rank"])
        return 0 if store.settings["new_rule_rank"] == "top" else 10**6
    if not isinstance(given, int) or isinstance(given, bool) or given < 0:
        raise Refused(400, "rank must be a number of 0 or more")
    return given


def _place(store: Store, path: str, item: Object, rank: int) -> None:
    """Put the item at the rank; the others move. A rank past the end is the last before the default."""
    others = [each for each in ordered(store, path, item.get("_policy")) if each["id"] != item["id"]]
    numbered = [each for each in others if not each["default"]]
    numbered.insert(min(rank, len(numbered)), item)
    for number, each in enumerate([*numbered, *(each for each in others if each["default"])]):
        each["rank"] = number


def _renumber(store: Store, path: str, policy_id: str | None) -> None:
    for number, each in enumerate(ordered(store, path, policy_id)):
        each["rank"] = number


# -- conditions


def _condition(store: Store, given: Any, kinds: tuple[str, ...]) -> dict[str, Any]:
    """The condition as it is stored and read: with the empty fields that ISE adds. Raises Refused."""
    if not isinstance(given, dict):
        raise Refused(400, "condition is mandatory")
    kind = given.get("conditionType")
    if kind not in kinds:
        raise Refused(400, f"conditionType {kind} is not allowed here")
    negated = given.get("isNegate", False)
    if not isinstance(negated, bool):
        raise Refused(400, "isNegate must be a boolean")
    common: dict[str, Any] = {"link": None, "conditionType": kind, "isNegate": negated}
    if kind == "ConditionReference":
        _only(given, {"conditionType", "isNegate", "id", "link", "name", "description"})
        library = store.objects["condition"].get(str(given.get("id")))
        if library is None:
            raise Refused(400, f"Condition {given.get('id')} does not exist")
        return {**common, "name": library["name"], "id": library["id"], "description": library["description"]}
    if kind.endswith("Attributes"):
        inner = {"dictionaryName", "attributeName", "operator", "attributeValue"}
        named = {"name", "description", "id"} if kind.startswith("Library") else set()
        _only(given, {"conditionType", "isNegate", "link", "dictionaryValue", *inner, *named})
        for key in sorted(inner):
            if not isinstance(given.get(key), str) or not given[key]:
                raise Refused(400, f"{key} is mandatory")
        if given["operator"] not in OPERATORS:
            raise Refused(400, f"operator {given['operator']} is not known")
        return {
            **common, **{key: given[key] for key in sorted(inner)}, "dictionaryValue": given.get("dictionaryValue"),
        }  # fmt: skip
    _only(given, {"conditionType", "isNegate", "link", "children", "name", "description", "id"})
    children = given.get("children")
    if not isinstance(children, list) or len(children) < 2:
        raise Refused(400, "children must hold two conditions at least")
    return {**common, "children": [_condition(store, each, RULE_CONDITIONS) for each in children]}


def _create_condition(store: Store, request: Request) -> Response:
    body = _body(request)
    name = _name(body.get("name"))
    if store.by_name("condition", name) is not None:
        raise Refused(400, f"Condition {name} already exists")
    item = {
        **_condition(store, body, LIBRARY_CONDITIONS), "id": store.new_id(), "name": name,
        "description": body.get("description") or "",
    }  # fmt: skip
    store.put("condition", item)
    return _created(request, f"condition/{item['id']}", _condition_shown(item))


# -- what is shown


def _set_shown(request: Request, item: Object) -> dict[str, Any]:
    return {**copy.deepcopy(item), "link": _link(request, f"policy-set/{item['id']}")}


def _rule_shown(request: Request, where: str, item: Object) -> dict[str, Any]:
    rule = {key: item[key] for key in ("default", "id", "name", "hitCounts", "rank", "state", "condition")}
    return {
        "rule": copy.deepcopy(rule),
        "profile": list(item["profile"]),
        "securityGroup": item["securityGroup"],
        "link": _link(request, f"{where}/{item['id']}"),
    }


def _condition_shown(item: Object) -> dict[str, Any]:
    return copy.deepcopy(item)


def _plain(objects: dict[str, Object], keys: tuple[str, ...]) -> Response:
    rows = [{key: each[key] for key in keys} for each in objects.values()]
    return Response(200, jackson(sorted(rows, key=lambda row: str(row["name"]))))


def _sorted(store: Store, path: str) -> list[Object]:
    return sorted(store.objects[path].values(), key=lambda each: str(each["name"]))


# -- small things


def _found(store: Store, path: str, identifier: str) -> Object:
    if identifier not in store.objects[path]:
        raise Refused(404, f"{path} {identifier} not found")
    return store.objects[path][identifier]


def _body(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise Refused(415, "Unsupported Media Type")
    try:
        value = json.loads(request.body)
    except ValueError:
        raise Refused(400, "Malformed JSON request") from None
    if not isinstance(value, dict):
        raise Refused(400, "Malformed JSON request")
    return value


def _only(given: dict[str, Any], allowed: set[str]) -> None:
    unknown = sorted(set(given) - allowed)
    if unknown:
        raise Refused(400, f"Unknown property {unknown[0]}")


def _name(given: Any) -> str:
    if not isinstance(given, str) or not re.fullmatch(NAME, given):
        raise Refused(400, f"Invalid name {given!r}")
    return given


def _state(given: Any) -> str:
    if given not in STATES:
        raise Refused(400, f"state must be one of {', '.join(STATES)}")
    return str(given)


def _link(request: Request, path: str) -> dict[str, str]:
    return {"rel": "self", "href": f"{request.origin}{PREFIX}{path}", "type": "application/json"}


def _answer(value: Any) -> Response:
    return ok({"version": "1.0.0", "response": value})


def _created(request: Request, path: str, shown: dict[str, Any]) -> Response:
    location = (("Location", f"{request.origin}{PREFIX}{path}"),)
    return Response(201, jackson({"version": "1.0.0", "response": shown}), "application/json", location)
