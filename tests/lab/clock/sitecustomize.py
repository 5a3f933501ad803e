# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another time of day for one run: SEGWRIGHT_LAB_CLOCK holds seconds that are added to every clock of Python.

Python imports this by itself where its folder is in PYTHONPATH. Certificates and keys are judged by other clocks and stay valid.
"""

import datetime
import os
import time

_SHIFT = float(os.environ.get("SEGWRIGHT_LAB_CLOCK") or 0)

if _SHIFT:
    _real, _time = datetime.datetime, time.time

    class _Known(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, _real)

        def __subclasscheck__(cls, kind: type) -> bool:
            return issubclass(kind, _real)

    class _Shifted(_real, metaclass=_Known):
        def __new__(cls, *words: object, **more: object) -> datetime.datetime:  # type: ignore[misc]
            return _real(*words, **more)  # type: ignore[arg-type]

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
            return _real.now(tz) + datetime.timedelta(seconds=_SHIFT)

        @classmethod
        def utcnow(cls) -> datetime.datetime:  # type: ignore[override]
            return _real.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(seconds=_SHIFT)

    for _name in ("fromisoformat", "fromtimestamp", "strptime", "combine"):
        setattr(_Shifted, _name, staticmethod(getattr(_real, _name)))
    datetime.datetime = _Shifted  # type: ignore[misc]
    time.time = lambda: _time() + _SHIFT
