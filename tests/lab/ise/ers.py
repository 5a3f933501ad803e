# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ERS: /ers/config/<resource>, the create-read-update-delete API (facts/ise.md sections 1.1 to 1.6)."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any
from urllib.parse import unquote, urlencode

from tests.lab.ise import anc, bulk, deploy
from tests.lab.ise.cells import cell_filter_fields, read_form
from tests.lab.ise.deployment import ers_nodes
from tests.lab.ise.messages import Request, Response, ers_error, not_found, ok
from tests.lab.ise.resources import PRODUCTION_MATRIX, RESOURCES, SGT_ANY, Resource
from tests.lab.ise.rules import MAPPINGS, create, delete, mapping_sgt, update
from tests.lab.ise.store import Object, Refused, Store
from tests.lab.ise.versions import has

PREFIX = "/ers/config/"
OPERATIONS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
STATUS_WORDS = {"ENABLE": "ENABLED", "DISABLE": "DISABLED", "MONITOR": "MONITOR"}
OPERATORS = ("EQ", "NEQ", "GT", "LT", "STARTSW", "NSTARTSW", "ENDSW", "NENDSW", "CONTAINS", "NCONTAINS")
VALIDATION = "Application resource validation exception"


def handle(store: Store, request: Request) -> Response:
    parts = [unquote(part) for part in request.path[len(PREFIX) :].split("/")]
    resource = RESOURCES.get(parts[0])
    if resource is None or not all(parts):
        return not_found(request.path)
    operation = f"{request.method}-{OPERATIONS.get(request.method, 'unknown')}-{resource.path}"
    try:
        if resource.path == "node":
            store.objects["node"] = ers_nodes(store)
        _check_media(request)
        answer = _route(store, request, resource, parts[1:])
    except Refused as refused:
        return ers_error(request, operation, refused.status, refused.title, refused.code)
    return answer or not_found(request.path)


def _check_media(request: Request) -> None:
    if not request.accepts("application/json"):
        if request.accepts("application/xml"):
            raise Refused(406, "This server has JSON representations only", "Media type exception")
        raise Refused(415, "Accept must be application/json or application/xml", "Media type exception")
    if request.method in ("POST", "PUT", "PATCH") and request.body:
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(415, f"Content-Type {kind or 'missing'} is not supported", "Media type exception")
    media = request.headers.get("ers-media-type")
    if media is not None and not re.fullmatch(r"[a-z]+(\.[a-z]+)*\.\d+\.\d+", media):
        raise Refused(415, f"ERS-Media-Type {media} is not supported", "Media type exception")


def _route(store: Store, request: Request, resource: Resource, rest: list[str]) -> Response | None:
    """None: no such path."""
    method = request.method
    if method != "GET" and not store.is_primary(request.node):
        raise Refused(400, "This node is not the primary administration node", "CRUD operation exception")
    if method == "PATCH" and not has(store.settings, "patch"):
        raise Refused(400, f"Method {method} is not supported by {resource.path}", "Unsupported operation exception")
    for special in (anc, deploy, bulk):
        answer = special.route(store, request, resource, rest)
        if answer is not None:
            return answer
    slash = store.settings["trailing_slash"]
    if not rest and slash != "both" and request.slash is not (slash == "required"):
        return None
    if rest == ["versioninfo"]:
        return _version_info(request, resource) if method == "GET" else None
    if resource.path == "egressmatrixcell" and method == "PUT":
        if rest == ["clearallmatrixcells"]:
            for identifier in _own_cells(store):
                delete(store, resource.path, identifier)
            return Response(204)
        if len(rest) == 2 and rest[0] == "status":
            return _set_all(store, rest[1])
        if len(rest) == 6 and (rest[0], rest[2], rest[4]) == ("clonecell", "srcSgt", "dstSgt"):
            return _clone(store, rest[1], rest[3], rest[5])
    if len(rest) == 2 and rest[0] == "name" and resource.by_name:
        if method != "GET":
            return None
        item = store.by_name(resource.path, rest[1])
        if item is None:
            raise Refused(404, f"Resource with name {rest[1]} does not exist", "Resource not found exception")
        return _item(store, request, resource, item)
    if len(rest) > 1:
        return None
    verbs = {"GET", "POST"} if not rest else {"GET", "PUT", "PATCH", "DELETE"}
    if method not in verbs & resource.verbs:
        raise Refused(400, f"Method {method} is not supported by {resource.path}", "Unsupported operation exception")
    if not rest:
        return _list(store, request, resource) if method == "GET" else _create(store, request, resource)
    identifier = rest[0]
    if method == "GET":
        return _item(store, request, resource, store.get(resource.path, identifier))
    if store.settings["if_match"] and method in ("PUT", "PATCH", "DELETE"):
        wanted = request.headers.get("if-match")
        if wanted is not None and wanted not in ("*", _tag(store, request, resource, identifier)):
            raise Refused(412, "The resource was changed meanwhile", "Precondition failed exception")
    if method == "DELETE":
        delete(store, resource.path, identifier)
        return Response(204)
    body = _body(request, resource)
    fields = update(store, resource.path, identifier, body, partial=method == "PATCH")
    return ok({"UpdatedFieldsList": {"updatedField": fields}})


def _own_cells(store: Store) -> list[str]:
    """Those of the production matrix, its default cell left out: what the verbs on all cells change (assumed)."""
    return [
        key
        for key, cell in store.objects["egressmatrixcell"].items()
        if cell["sourceSgtId"] != SGT_ANY and cell["matrixId"] == PRODUCTION_MATRIX
    ]


def _set_all(store: Store, word: str) -> Response:
    if word not in STATUS_WORDS:
        raise Refused(400, f"status {word} is not known", VALIDATION)
    for identifier in _own_cells(store):
        update(
            store, "egressmatrixcell", identifier,
            {"id": identifier, "matrixCellStatus": STATUS_WORDS[word]}, partial=True,
        )  # fmt: skip
    return Response(204)


def _body(request: Request, resource: Resource) -> dict[str, Any]:
    try:
        value = json.loads(request.body)
    except ValueError:
        raise Refused(400, "The request body is not valid JSON", "Conversion exception") from None
    if not isinstance(value, dict) or set(value) != {resource.wrapper} or not isinstance(value[resource.wrapper], dict):
        raise Refused(400, f"The request body must hold {resource.wrapper}", "Conversion exception")
    body: dict[str, Any] = value[resource.wrapper]
    return body


def _create(store: Store, request: Request, resource: Resource) -> Response:
    item = create(store, resource.path, _body(request, resource))
    location = f"{request.origin}{PREFIX}{resource.path}/{item['id']}"
    return Response(201, b"", "application/json", (("Location", location),))


def _shown(store: Store, request: Request, resource: Resource, item: Object) -> dict[str, Any]:
    if resource.path == "egressmatrixcell":
        item = read_form(store, item)
    if resource.path in MAPPINGS and item.get("sgt"):
        item = {**item, "sgt": mapping_sgt(store, item)}
    body = {key: value for key, value in item.items() if not key.startswith("_")}
    body["link"] = {
        "rel": "self",
        "href": f"{request.origin}{PREFIX}{resource.path}/{item['id']}",
        "type": "application/json",
    }
    return {resource.wrapper: body}


def _clone(store: Store, identifier: str, source: str, destination: str) -> Response:
    """A cell with the lists, rule and status of another one. The answer is assumed to be that of a create."""
    cell = store.get("egressmatrixcell", identifier)
    kept = ("matrixCellStatus", "defaultRule", "sgacls", "description")
    body = {**{key: cell[key] for key in kept}, "sourceSgtId": source, "destinationSgtId": destination}
    create(store, "egressmatrixcell", body)
    return Response(204)


def _tag(store: Store, request: Request, resource: Resource, identifier: str) -> str:
    return dict(_item(store, request, resource, store.get(resource.path, identifier)).headers)["ETag"]


def _item(store: Store, request: Request, resource: Resource, item: Object) -> Response:
    answer = ok(_shown(store, request, resource, item))
    tag = hashlib.md5(answer.body, usedforsecurity=False).hexdigest().upper()
    return Response(200, answer.body, answer.content_type, (("ETag", f'"{tag}"'),))


def _version_info(request: Request, resource: Resource) -> Response:
    return ok(
        {
            "VersionInfo": {
                "currentServerVersion": "1.2",
                "supportedVersions": "1.0,1.1,1.2",
                "link": {"rel": "self", "href": request.url, "type": "application/json"},
            }
        }
    )


# -- lists


def _list(store: Store, request: Request, resource: Resource) -> Response:
    filters: list[tuple[str, str, str]] = []
    numbers = {"page": 1, "size": 20}
    sort, descending, either = "name", False, False
    for name, value in request.query:
        if name in numbers:
            if not value.isdigit() or int(value) < 1 or (name == "size" and int(value) > 100):
                raise Refused(400, f"Invalid value for {name}: {value}", VALIDATION)
            numbers[name] = int(value)
        elif name == "filter":
            filters.append(_filter(store, resource, value))
        elif name == "filtertype":
            if value.lower() not in ("and", "or"):
                raise Refused(400, f"filtertype {value} is not known", VALIDATION)
            either = value.lower() == "or"
        elif name in ("sortasc", "sortdsc"):
            if value not in ("name", "description", *resource.filters):
                raise Refused(400, f"sorting by {value} is not supported", VALIDATION)
            sort, descending = value, name == "sortdsc"
        else:
            raise Refused(400, f"query parameter {name} is not known", VALIDATION)
    asked = tuple(item for item in request.query if item[0] not in numbers)

    def listed() -> list[Object]:
        return _listed(store, resource, filters, (sort, descending, either))

    items = listed() if resource.path == "node" else store.remember(("list", resource.path, asked), listed)
    return _page(request, resource, items, numbers["page"], numbers["size"])


def _listed(
    store: Store, resource: Resource, filters: list[tuple[str, str, str]], how: tuple[str, bool, bool]
) -> list[Object]:
    """The objects that the filters leave, sorted. ``how``: sorted by which field, descending, any of the filters."""
    sort, descending, either = how
    found = []
    for item in store.objects[resource.path].values():
        if item["id"] == SGT_ANY:
            continue  # readable by id, but hidden from the list
        if not_in_scope(store, resource, item, filters):
            continue
        fields = _filter_fields(store, resource, item) if filters or sort != "name" else item
        hits = [_test(fields.get(field), operator, value) for field, operator, value in filters]
        if not hits or (any(hits) if either else all(hits)):
            found.append((str(fields.get(sort, "")).casefold(), item))
    found.sort(key=lambda pair: pair[0], reverse=descending)
    return [item for _key, item in found]


def not_in_scope(store: Store, resource: Resource, item: Object, filters: list[tuple[str, str, str]]) -> bool:
    """Cells of other matrices are listed only when asked for, unless the setting says all."""
    return (
        resource.path == "egressmatrixcell"
        and store.settings["matrix_list_scope"] == "production"
        and item["matrixId"] != PRODUCTION_MATRIX
        and all(field != "matrixId" for field, _operator, _value in filters)
    )


def _page(request: Request, resource: Resource, items: list[Object], page: int, size: int) -> Response:
    if page > 1 and (page - 1) * size >= len(items):
        raise Refused(400, f"The page {page} does not exist. Please refine your query.", "Page not exists exception")
    result: dict[str, Any] = {
        "total": len(items),
        "resources": [
            {
                "id": item["id"],
                "name": item["name"],
                "description": item.get("description", ""),
                "link": {
                    "rel": "self",
                    "href": f"{request.origin}{PREFIX}{resource.path}/{item['id']}",
                    "type": "application/json",
                },
            }
            for item in items[(page - 1) * size : page * size]
        ],
    }
    others = [(name, value) for name, value in request.query if name not in ("page", "size")]
    for rel, number in (("next", page + 1), ("previous", page - 1)):
        if number >= 1 and (number - 1) * size < len(items):
            query = urlencode([*others, ("size", size), ("page", number)])
            href = f"{request.origin}{PREFIX}{resource.path}?{query}"
            result[f"{rel}Page"] = {"rel": rel, "href": href, "type": "application/json"}
    return ok({"SearchResult": result})


def _filter(store: Store, resource: Resource, text: str) -> tuple[str, str, str]:
    parts = text.split(".", 2)
    if len(parts) != 3 or parts[1].upper() not in OPERATORS:
        raise Refused(400, f"Illegal filter: {text}", VALIDATION)
    if parts[0] not in resource.filters or (parts[0] == "matrixId" and not has(store.settings, "matrix_id")):
        raise Refused(400, f"Filtering by {parts[0]} is not supported by {resource.path}", VALIDATION)
    return parts[0], parts[1].upper(), parts[2]


def _filter_fields(store: Store, resource: Resource, item: Object) -> dict[str, Any]:
    if resource.path == "egressmatrixcell":
        return cell_filter_fields(store, item)
    if resource.path == "networkdevice":
        groups = item.get("NetworkDeviceGroupList", [])
        return {
            **item,
            "ipaddress": next((each["ipaddress"] for each in item.get("NetworkDeviceIPList", [])), ""),
            "location": next((each for each in groups if each.startswith("Location#")), ""),
            "type": next((each for each in groups if each.startswith("Device Type#")), ""),
        }
    if resource.path == "sgmappinggroup":
        return {**item, "sgtName": item.get("sgt")}
    if resource.path == "sgmapping":
        return {**item, "ip": item.get("hostIp"), "sgtName": item.get("sgt"), "groupName": item.get("mappingGroup")}
    return item


def _test(value: Any, operator: str, wanted: str) -> bool:
    text = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
    if operator in ("GT", "LT"):
        if text.lstrip("-").isdigit() and wanted.lstrip("-").isdigit():
            return int(text) > int(wanted) if operator == "GT" else int(text) < int(wanted)
        return text > wanted if operator == "GT" else text < wanted
    negative = operator.startswith("N")
    hit = {
        "EQ": text == wanted,
        "STARTSW": text.startswith(wanted),
        "ENDSW": text.endswith(wanted),
        "CONTAINS": wanted in text,
    }[operator[1:] if negative else operator]
    return hit is not negative
