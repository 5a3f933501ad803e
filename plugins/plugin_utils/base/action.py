# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How every action plugin runs its engine function: arguments in, plain results or findings out, never a traceback.

Nothing of Ansible is imported here; the action hands itself in.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import codes, progress
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.findings import Finding, FindingError, Location
from ansible_collections.segwright.microseg.plugins.plugin_utils.base.redact import redact_text

# Faults of a disk, which name no file where it was open.
_DISK = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO))


def failure(findings: tuple[Finding, ...] | list[Finding], /, **content: Any) -> dict[str, Any]:
    """Return the failed result for findings: the first as message, all of them as ``errors``; ``content`` may name ``findings``."""
    errors = [finding for finding in findings if finding.severity == "error"] or list(findings)
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    hint = f" [{first.hint}]" if first.hint else ""
    result = {"failed": True, "msg": f"{first}{hint}{more}", "errors": [finding.as_dict() for finding in errors]}
    return {**result, **content}


def run_action(
    action: Any, argument_spec: Mapping[str, Any], engine: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """Validate an action's arguments, call the engine with them, and turn findings into a failed result.

    ``action`` is an ``ActionBase``; ``engine`` takes the validated arguments with ``check_mode`` and ``diff_mode`` added and
    returns the result. A file that cannot be written or read becomes finding SW0010, any other unexpected fault SW0099, which names
    its type, without a traceback and without its arguments, which could hold a credential.
    """
    _validation, arguments = action.validate_argument_spec(argument_spec=dict(argument_spec))
    secrets = [
        str(arguments[name]) for name, spec in argument_spec.items() if spec.get("no_log") and arguments.get(name)
    ]
    values = {**arguments, "check_mode": bool(action._task.check_mode), "diff_mode": bool(action._task.diff)}
    display = getattr(action, "_display", None)
    shown = progress.SHOW.set(display.display if display is not None else None)
    try:
        return engine(values)
    except FindingError as error:
        return failure(list(error.findings))
    except Exception as error:
        if isinstance(error, OSError) and (error.filename or error.errno in _DISK):
            return failure([codes.FILE_UNUSABLE.at(error.strerror or "", Location(str(error.filename or "")))])
        place = _place(error)
        text = redact_text(f"{type(error).__name__} in {place}: {error}", secrets)
        return failure([codes.INTERNAL.at(text)])
    finally:
        progress.SHOW.reset(shown)


def _place(error: BaseException) -> str:
    """Return the room and line where an unexpected fault was raised, for the report to its authors."""
    trace = error.__traceback__
    place = "unknown"
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if "plugin_utils" in name:
            place = f"{name.rsplit('plugin_utils/', maxsplit=1)[-1]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
