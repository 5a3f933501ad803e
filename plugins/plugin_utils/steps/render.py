# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render: what every enforcement point must hold, as text, offline."""

from __future__ import annotations

from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.budget import size_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.desired import rendered
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.arguments import moment_of, paths_of, today_of
from ansible_collections.segwright.microseg.plugins.plugin_utils.steps.site import proved_with_postures, sound_site


def run_render(values: dict[str, Any]) -> dict[str, Any]:
    """Return the lists and desired objects of the policy directory, with the postures of the argument pulled.

    With postures the lists are proved as ``validate`` and ``plan`` prove them; an error ends it.
    """
    postures = values.get("postures") or ()
    sound = sound_site(paths_of(values), today_of(values), moment_of(values), postures=postures)
    proved = proved_with_postures(sound.site, sound.situation, sound.compiled)
    lists = [
        {
            "point": item.point,
            "kind": item.kind,
            "platform": item.platform,
            "host": item.host,
            "name": item.name,
            "stage": item.stage,
            "segment": item.segment,
            "peer": item.peer,
            "interfaces": list(item.interfaces),
            "content": rendered(item),
            "size": size_of(item),
        }
        for item in sound.compiled.lists
    ]
    targets = [
        {
            "host": t.host,
            "platform": t.platform,
            "objects": [{"kind": o.kind, "name": o.name, "body": dict(o.body)} for o in t.objects],
        }
        for t in sound.compiled.targets
    ]
    return {
        "changed": False,
        "lists": lists,
        "targets": targets,
        "postures": list(sound.situation.postures),
        "warnings_found": [f.as_dict() for f in [*sound.findings, *proved]],
    }
