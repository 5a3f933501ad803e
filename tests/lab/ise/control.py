# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's side channel: plain HTTP on loopback, JSON, no login. Tests, the emulated switches and the demo use it.

==========================================  ============================================================
GET  /health                                {"ok": true, "base_url": ..., "ca_file": ...}
GET, DELETE /counters                       what was asked; set back to zero
GET  /requests                              the last 2,000 requests: method, path, status
GET, PUT /state                             whole state as canonical JSON; restore it
GET, PUT /settings                          see store.SETTINGS; PUT changes the given ones
GET, POST, DELETE /faults                   list; schedule one or a list (see faults.py); forget all
GET  /changes?since=N                       {"last": M, "changes": [...]}, for polling
GET  /sessions[/MAC]                        what each port enforces now
POST /sessions                              start a session
PUT  /sessions/MAC                          change what the rules give (authorization_profile, sgt) or the address
DELETE /sessions/MAC                        end it
POST /sessions/MAC/reauthenticate           as the CoA does
GET  /dacl?name=REVISION                    lines of one DACL revision, by the name that a switch asks for
GET  /devices                               the device report
GET  /devices/NAME/matrix, GET /matrix      what the device enforces; what is configured
GET, POST /objects/RESOURCE                 all objects; create as a person in the GUI
GET, PATCH, DELETE /objects/RESOURCE/NAME   by name or id; the GUI refuses to delete a tag in use (409)
==========================================  ============================================================
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, unquote

from tests.lab.ise.app import IseApp, Receive, Send
from tests.lab.ise.cells import download_matrix, read_form
from tests.lab.ise.pushes import device_matrix, download, held, report
from tests.lab.ise.resources import RESOURCES
from tests.lab.ise.rules import create, delete, update
from tests.lab.ise.sessions import add_session, change_session, effective_sessions, end_session, reauthenticate
from tests.lab.ise.store import Refused, canonical_json


class ControlApp:
    def __init__(self, ise: IseApp, about: dict[str, str]) -> None:
        self.ise, self.store, self.about = ise, ise.store, about

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        parts = [unquote(part) for part in scope["raw_path"].decode("latin-1").strip("/").split("/")]
        query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
        try:
            status, value = 200, self._answer(scope["method"], parts, query, json.loads(body) if body else None)
        except Refused as refused:
            status, value = refused.status, {"error": refused.title or refused.code}
        except (ValueError, KeyError, TypeError) as error:
            status, value = 400, {"error": f"{type(error).__name__}: {error}"}
        if value is NotImplemented:
            status, value = 404, {"error": "no such control path"}
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": canonical_json(value).encode()})

    def _answer(self, method: str, parts: list[str], query: dict[str, str], body: Any) -> Any:
        """NotImplemented: no such path."""
        what = f"{method} {parts[0]}"
        store, ise = self.store, self.ise
        if len(parts) == 1:
            if what == "GET health":
                return {"ok": True, **self.about}
            if what == "GET counters":
                return ise.counters.as_dict()
            if what == "DELETE counters":
                ise.counters.reset()
                ise.failed_by_user.clear()
                return {}
            if what == "GET requests":
                return list(ise.counters.log)
            if what == "GET state":
                return store.dump()
            if what == "PUT state":
                store.restore(body)
                return {}
            if what in ("GET settings", "PUT settings"):
                if method == "PUT":
                    store.change_settings(body)
                return store.settings
            if what in ("GET faults", "POST faults", "DELETE faults"):
                if method == "DELETE":
                    ise.faults.clear()
                for each in (body if isinstance(body, list) else [body]) if method == "POST" else []:
                    ise.faults.schedule(each)
                return [fault.as_dict() for fault in ise.faults.faults]
            if what == "GET changes":
                return store.changes_since(int(query.get("since", "0")))
            if what == "GET dacl":
                name = query["name"].replace("xACSACLx-", "#ACSACL#-")
                if name not in store.revisions:
                    raise Refused(404, f"no DACL revision {name}")
                kept = store.revisions[name]
                return {"name": name, "type": kept["type"], "lines": kept["dacl"].splitlines()}
            if what == "GET devices":
                return report(store)
            if what == "GET matrix":
                return download_matrix(store)
        if parts[0] == "devices" and len(parts) == 3 and parts[2] == "matrix" and method == "GET":
            return device_matrix(store, parts[1])
        if parts[0] == "devices" and len(parts) == 3 and parts[2] == "download" and method == "GET":
            return download(store, parts[1])
        if parts[0] == "devices" and len(parts) == 4 and parts[2] == "held" and method == "PUT":
            return held(store, parts[1], parts[3])
        if parts[0] == "sessions":
            return self._sessions(method, parts[1:], body)
        if parts[0] == "objects" and len(parts) > 1 and parts[1] in RESOURCES:
            return self._objects(method, parts[1], parts[2:], body)
        return NotImplemented

    def _sessions(self, method: str, rest: list[str], body: Any) -> Any:
        if not rest:
            if method == "GET":
                return effective_sessions(self.store)
            return add_session(self.store, body) if method == "POST" else NotImplemented
        mac = rest[0].upper()
        if len(rest) == 2 and rest[1] == "reauthenticate" and method == "POST":
            return reauthenticate(self.store, mac)
        if len(rest) != 1:
            return NotImplemented
        if method == "GET":
            found = effective_sessions(self.store)
            if mac not in found:
                raise Refused(404, f"no session for {mac}")
            return found[mac]
        if method == "PUT":
            return change_session(self.store, mac, body)
        if method == "DELETE":
            end_session(self.store, mac)
            return {}
        return NotImplemented

    def _objects(self, method: str, path: str, rest: list[str], body: Any) -> Any:
        store = self.store
        if not rest:
            if method == "GET":
                return sorted(store.objects[path].values(), key=lambda item: str(item["name"]))
            return create(store, path, body) if method == "POST" else NotImplemented
        if len(rest) != 1:
            return NotImplemented
        item = store.find(path, rest[0])
        if method == "GET":
            return read_form(store, item) if path == "egressmatrixcell" else item
        if method == "PATCH":
            return update(store, path, item["id"], body, partial=True)
        if method == "DELETE":
            return [gone["name"] for gone in delete(store, path, item["id"], cascade=False)]
        return NotImplemented
