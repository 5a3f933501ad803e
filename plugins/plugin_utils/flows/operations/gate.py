# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only gate to the data of the flow store: a window of days opened once, and the operations on it.

    with FlowGate(data_dir, since="2026-11-01") as gate:
        gate.bind(intervals, members, networks)
        edges = gate.evidence()

Every answer is an Arrow table in a stable order, the same from each engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ansible_collections.segwright.microseg.plugins.plugin_utils.base.imports import guarded
from ansible_collections.segwright.microseg.plugins.plugin_utils.devices.intervals import read_intervals
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows import kept, store
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.footers import constants, read_footer
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.memory import kept_pages
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations import (
    beside,
    counting,
    learning,
    queries,
    whole,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.daily import of_day
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.edges import (
    KEY,
    MOST_REST,
    Settled,
    Told,
    added,
    named,
    unmatched,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.engine import (
    SQL_TYPES,
    DuckEngine,
    Engine,
    engine_of,
    unreadable,
)
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.operations.talks import activity, talks
from ansible_collections.segwright.microseg.plugins.plugin_utils.flows.schema import CONNECTIONS, arrow_schema

pa = guarded("pyarrow")

MEMBERS = ("device", "segment")
SUMS = "sum(flows)::BIGINT AS flows, sum(weak_flows)::BIGINT AS weak_flows, sum(bytes)::BIGINT AS bytes, max(last_us) AS last_us"
# What edges do not ask of connections, which then are read without it.
UNASKED = {"answered": "false AS answered", "client_port": "0 AS client_port", "confidence": "0::FLOAT AS confidence"}
NETWORKS = ("first_hi", "first_lo", "last_hi", "last_lo", "segment")


class FlowGate:
    """The store's days from ``since`` up to, not including, ``until``. ``engine`` is a setting (see ``engine_of``) or an engine."""

    def __init__(
        self,
        data_dir: str | Path,
        since: store.Moment | None = None,
        until: store.Moment | None = None,
        engine: str | Engine = "",
    ) -> None:
        self.data_dir = Path(data_dir)
        self.since, self.until = store.micros_of(since), store.micros_of(until)
        self.engine = engine_of(engine, store.spill_folder(data_dir)) if isinstance(engine, str) else engine
        self._ready: set[str] = set()
        # Edges made by the short way, segments and bindings as dictionaries.
        self._short: Any = None
        self._binding: dict[str, Any] = {}
        # Columns of connections that no question will be asked about.
        self._unasked: tuple[str, ...] = ()

    def __enter__(self) -> FlowGate:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.engine.__exit__(kind, error, trace)

    # ------------------------------------------------------------ loading

    def daily(self) -> None:
        """Make the relation ``daily``: the rollup of the window's days; days that are stale are rebuilt first."""
        if self._once("daily"):
            files = store.rollup_files(self.data_dir, self.since, self.until)
            self._files("daily", files, "rollup")

    def connections(self) -> None:
        """Make the relation ``connections``: what began within the window, in every exporter's view."""
        if self._once("connections"):
            files = store.window_files(self.data_dir, self.since, self.until)
            self._files("stored", files, "connections")
            first = self.since if self.since is not None else -(1 << 62)
            last = self.until if self.until is not None else 1 << 62
            self.engine.define(
                "connections", f"SELECT * FROM stored WHERE start_us >= {int(first)} AND start_us < {int(last)}"
            )

    def bind(self, intervals: Any = None, members: Any = None, networks: Any = None) -> None:
        """Say who held addresses when, for the relation ``bound``: ``daily`` and who held both ends then. It is made when it is asked for.

        A row whose address changed hands within its time is split by its connections, as long as they are kept; then it stays ambiguous.
        ``intervals`` as ``read_intervals`` returns them (default: the register of the data directory), ``members`` maps devices to
        segments, ``networks`` names ranges that no device holds. Nothing of it is stored: a late binding counts from the next question on.
        """
        self._ready -= {"bound", "edges"}
        self._short = None
        texts = ("device", "segment", "source")
        empty = {name: pa.string() if name in texts else pa.int64() for name in (*MEMBERS, *NETWORKS)}
        self._binding = {"intervals": read_intervals(self.data_dir) if intervals is None else intervals}
        for name, table, columns in (("members", members, MEMBERS), ("networks", networks, NETWORKS)):
            schema = pa.schema([(each, empty[each]) for each in columns])
            self._binding[name] = schema.empty_table() if table is None else table.select(list(columns)).cast(schema)

    def _bind(self, rows: str = "daily", suffix: str = "") -> None:
        """Make ``bound``, with a suffix, of the relation ``rows``."""
        for name, table in self._binding.items():
            self.engine.table(name, table)
        self.engine.define("holders", queries.HOLDERS, keep=True)
        for end in ("client", "server"):
            self.engine.define(f"across_{end}{suffix}", queries.across(end, rows), keep=True)
        named_places = f"places{suffix}"
        self.engine.define(named_places, queries.places(rows), keep=True)
        self.engine.define(f"bound_days{suffix}", queries.bound(rows, suffix, named_places))
        self.engine.define(f"doubtful{suffix}", queries.doubtful(rows, suffix), keep=True)
        query = f"SELECT DISTINCT day FROM doubtful{suffix} ORDER BY day"
        days = self.engine.rows(query, {"day": "date32"}).column("day")
        if not len(days):
            self.engine.define(f"bound{suffix}", f"SELECT * FROM bound_days{suffix}")
            return
        # Only the days on which an address changed hands are read row by row.
        files = store.connection_files(self.data_dir, days.to_pylist())
        self._files(f"handed_over_days{suffix}", [path for group in files.values() for path in group], "connections")
        given = {name: UNASKED[name] for name in self._unasked} | self._literals(
            [path for group in files.values() for path in group]
        )
        columns = ", ".join(given.get(name, f'"{name}"') for name in CONNECTIONS)
        self.engine.define(f"handed_over{suffix}", f"SELECT {columns} FROM handed_over_days{suffix}")
        self.engine.define(f"seen{suffix}", queries.seen(suffix), keep=True)
        self.engine.define(f"pieces{suffix}", queries.pieces(suffix), keep=True)
        self.engine.define(f"pieces_of{suffix}", f"SELECT DISTINCT day, {queries.KEY} FROM pieces{suffix}", keep=True)
        for end in ("client", "server"):
            self.engine.define(f"across_{end}{suffix}_piece", queries.across(end, f"pieces{suffix}"), keep=True)
        self.engine.define(f"bound_pieces{suffix}", queries.bound(f"pieces{suffix}", f"{suffix}_piece", named_places))
        self.engine.define(f"bound{suffix}", queries.split(suffix))

    def bound_rows(self) -> Any:
        """Return the daily rows and who held both ends; a row whose address changed hands within its time is split by its connections."""
        self._bound()
        return self.search(who=True)

    def search(self, conditions: str = "true", *, who: bool = False, order: str = "", limit: int = 0) -> Any:
        """Return daily rows that meet an SQL condition of this package's own making, in a stable order and not more than ``limit``.

        ``who`` adds devices, bindings and segments, which the condition may then name. ``order`` stands before the stable order.
        """
        self.daily()
        if who:
            self._bound()
        stable = f"day, {queries.KEY}" + (f", {queries.WHO}" if who else "")
        question = queries.search(conditions, "bound" if who else "daily", f"{order}, {stable}" if order else stable)
        return self.ask(question, limit)

    def denied(self) -> None:
        """Make the relation ``denied``: what devices logged as denied within the window."""
        self._beside("denied", "denies", self.since)

    def resolved(self) -> None:
        """Make the relation ``resolved``: the DNS answers of the window, and those before it that may still hold in it."""
        self._beside("resolved", "names", None if self.since is None else self.since - kept.NAMES_REACH_US)

    # ------------------------------------------------------------ questions

    def conversations(self) -> Any:
        """Return one row for each conversation of the window."""
        self.daily()
        return self.ask(queries.conversations())

    def replayed(self, moved: Any = None, intervals: Any = None) -> tuple[Any, Any]:
        """Return what a replay needs of each conversation, and the same of those with an end among ``moved`` bound to devices by time.

        ``moved`` (hi, lo) are addresses that were not always the device's that has them now: only their rows are bound, since
        binding costs more than all the rest. The first answer has the other rows. The second is None without ``moved``.
        """
        if moved is None or not moved.num_rows:
            self.daily()
            return self.ask(queries.replayed("daily", constant=self._one_family("rollup"))), None
        if "daily" in self._ready:
            raise ValueError("ask this first: it reads a part of the window's days alone")
        self.engine.table("moved", moved)
        files = store.rollup_files(self.data_dir, self.since, self.until)
        self._files("every_day", files, "rollup")
        self.engine.define("steady", f"SELECT * FROM every_day d WHERE NOT ({queries.MOVED})")
        steady = self.ask(queries.replayed("steady"))
        self.engine.define("daily", f"SELECT * FROM every_day d WHERE {queries.MOVED}", keep=True)
        self._ready.add("daily")
        self.bind(intervals)
        self._bound()
        return steady, self.ask(queries.replayed("bound", devices=True))

    def distinct(self) -> Any:
        """Return distinct client, server, protocol and port of the connections, each exporter's view counted."""
        made = self._counted()
        if made is not None:
            return made
        self.connections()
        return self.ask(queries.distinct(self._one_family("connections")))

    def evidence(self) -> Any:
        """Return what was seen for each pair of segments, protocol and port."""
        self._bound()
        return self.ask(queries.evidence())

    def learning(
        self,
        marks: Any = None,
        kinds: Any = None,
        approved: Any = None,
        declared: str = "false",
        most_excluded: int = 1000,
        doubt: Callable[[Any], tuple[Mapping[str, str], Mapping[str, str]]] | None = None,
        alone: Iterable[str] = (),
    ) -> dict[str, Any]:
        """Return what learning needs (``learning.py``), by name, as Arrow tables, and ``first_us``: the begin of the window's first day.

        ``marks``, ``kinds`` and ``approved`` are relations that it names, ``declared`` a condition on the client's address in ``pairs``.
        ``most_excluded`` is how many pairs of each mark are given one by one; all are counted. ``doubt`` is given what each device does
        (``learning.habits``) and returns the devices that are no evidence for their segment, each with the one that they are evidence for,
        and each with the one that it is like. It is asked twice: a device is known by whom it serves, and some of those were out of place.
        Strays of those and of the segments ``alone`` are given one by one.
        """
        if not self._binding:
            self.bind()
        self.daily()
        reach = self.ask(queries.reach()).to_pylist()[0]
        first = (reach["first_us"] or 0) // queries.DAY_US * queries.DAY_US
        days = ((reach["last_us"] or first) - first) // queries.DAY_US + 1
        self._whole(first, days, reach)
        for name, table, columns in (
            ("marks", marks, learning.MARKS),
            ("kinds", kinds, learning.KINDS),
            ("approved", approved, learning.APPROVED),
        ):
            schema = arrow_schema(columns)
            self.engine.table(name, schema.empty_table() if table is None else table.select(list(columns)).cast(schema))
        self.engine.define("pairs", learning.pairs(first, days, marks is not None), keep=True)
        self.engine.forget("summed_days")
        self.engine.define("slow", learning.slow(days, declared), keep=True)
        doubted = self._doubted(doubt, days) if doubt else {}
        self.engine.define("judged", learning.judged(days, bool(doubted)), keep=True)
        by_themselves = {*alone, *doubted.values()}
        asked = learning.questions(days, most_excluded, by_themselves)
        made = {name: self.ask(question) for name, question in asked.items()}
        return {**made, "first_us": first, "days": days}

    def _doubted(
        self, doubt: Callable[[Any], tuple[Mapping[str, str], Mapping[str, str]]], days: int
    ) -> Mapping[str, str]:
        """Return the devices that are no evidence for their segment, and make the relation ``held_devices`` of them."""
        doubted, likes = doubt(self.ask(learning.habits(days)))
        if doubted:
            self._places("placed_devices", likes)
            doubted, _likes = doubt(self.ask(learning.habits(days, placed=True)))
        if doubted:
            self._places("held_devices", doubted)
        return doubted

    def _places(self, name: str, places: Mapping[str, str]) -> None:
        rows = sorted(places.items())
        columns = {key: [row[place] for row in rows] for place, key in enumerate(("device", "segment"))}
        self.engine.table(name, pa.table(columns))

    def unmatched(self, rules: Any) -> Any:
        """Return recorded edges between segments that no rule permits. ``rules``: see ``queries``."""
        self._edges(rules)
        question = queries.unmatched()
        if self._short is None:
            return self.ask(question)
        return unmatched(self._short, rules).cast(arrow_schema(question.columns))

    def unused(self, rules: Any) -> Any:
        """Return the rules that nothing recorded needs."""
        self._edges(rules)
        return self.ask(queries.unused())

    def appeared(self, boundary: store.Moment) -> Any:
        """Return conversations first seen on or after a day of the window."""
        self.daily()
        moment = store.micros_of(boundary)
        if moment is None:
            raise ValueError("a boundary is needed")
        return self.ask(queries.appeared(moment // queries.DAY_US))

    def scans(self) -> Any:
        """Return who scanned, by five minutes."""
        self.connections()
        return self.ask(queries.scans())

    def talks(self, watched: Any, boundary_us: int) -> Any:
        """Return how devices talk before and since a moment (microseconds since 1970); ``watched``: addresses (hi, lo) and device."""
        self.connections()
        self.engine.table("watched", watched)
        return self.ask(talks(boundary_us))

    def activity(self, exporters: Iterable[str]) -> Any:
        """Return the minutes (since 1970) in which each of these exporters saw anything begin."""
        self.connections()
        self.engine.table("speakers", pa.table({"exporter": pa.array(sorted(set(exporters)), pa.string())}))
        return self.ask(activity())

    def degrees(self) -> Any:
        """Return how many clients each server endpoint has."""
        self.daily()
        return self.ask(queries.degrees())

    def services(self, noise: Any) -> Any:
        """Return the ports that each device, or address without one, serves and uses; ``noise``: conversations to leave out."""
        self._bound()
        self.engine.table("noise", noise)
        return self.ask(queries.services())

    def named(self, names: Any) -> Any:
        """Return conversations by the name that the server's address had then."""
        self.daily()
        self.engine.table("names", names)
        return self.ask(queries.named())

    def denials(self, conditions: str = "true", *, unanswered: bool = False, limit: int = 0) -> Any:
        """Return denials summed by source, target, service and entry; see ``beside.denials``."""
        self.denied()
        if unanswered:
            self.daily()
        return self.ask(beside.denials(conditions, unanswered=unanswered), limit)

    def denial_totals(self) -> Any:
        """Return messages and packets denied, by point and list."""
        self.denied()
        return self.ask(beside.denial_totals())

    def name_intervals(self, conditions: str = "true", limit: int = 0) -> Any:
        """Return when which address had which name for whom."""
        self.resolved()
        return self.ask(beside.name_intervals(self.since, conditions), limit)

    def bindings(self) -> Any:
        """Return flows by day and by what is known of both ends."""
        self._bound()
        return self.ask(queries.bindings())

    def daily_of(self, day: int) -> Any:
        """Return the rollup of a day (days since 1970), made anew from the connections; without the column ``day``."""
        self.connections()
        return self.ask(of_day(day))

    def ask(self, question: queries.Question, limit: int = 0) -> Any:
        """Return the answer of a question over the relations made so far."""
        return self.engine.rows(question.text(limit), question.columns)

    # ------------------------------------------------------------ inside

    def _counted(self) -> Any:
        """Return the answer of ``distinct`` by the short way (counting.py), or None where the engine or the connections do not allow it."""
        if not isinstance(self.engine, DuckEngine):
            return None
        files = store.window_files(self.data_dir, self.since, self.until)
        for path in files:
            store.check_file(path, "connections")
        footers = [each for each in (read_footer(path) for path in files) if each.rows]
        if not footers or not counting.fits(footers):
            return None
        try:
            with kept_pages():
                made = counting.distinct(footers, self.since, self.until)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(error) from error
        return None if made is None else pa.table(made).cast(arrow_schema(queries.distinct().columns))

    def _one_family(self, kind: str) -> dict[str, int]:
        """Return the upper halves of addresses that all files of the window agree on: both where all is IPv4."""
        files = (store.rollup_files if kind == "rollup" else store.window_files)(self.data_dir, self.since, self.until)
        return constants([read_footer(each) for each in files], ("client_hi", "server_hi"))

    def _literals(self, files: Sequence[Path]) -> dict[str, str]:
        """Return numbers that connection files agree on as expressions for DuckDB, which then need not read them."""
        if not isinstance(self.engine, DuckEngine):
            return {}
        found = constants([read_footer(each) for each in files], ("client_hi", "server_hi", "sampling"))
        return {
            name: f"CAST({int(value)} AS {SQL_TYPES[CONNECTIONS[name]]}) AS {name}" for name, value in found.items()
        }

    def _files(self, name: str, files: Sequence[Path], kind: str) -> None:
        for path in files:
            store.check_file(path, kind)
        self.engine.files(name, files, store.COLUMNS[kind])

    def _beside(self, name: str, kind: str, since: int | None) -> None:
        if self._once(name):
            files = kept.files(self.data_dir, kind, since, self.until)
            for path in files:
                store.check_file(path, kind, kept.MAJOR)
            self.engine.files(f"{name}_days", files, kept.KINDS[kind])
            first = since if since is not None else -(1 << 62)
            last = self.until if self.until is not None else 1 << 62
            self.engine.define(
                name, f"SELECT * FROM {name}_days WHERE time_us >= {int(first)} AND time_us < {int(last)}"
            )

    def _edges(self, rules: Any) -> None:
        self.engine.table("rules", rules)
        if self._once("edges"):
            made = self._short_edges()
            if made is None:
                self._bound()
                self.engine.define("edges", queries.EDGES, keep=True)
            else:
                self.engine.table("edges", made)
                if pa.types.is_dictionary(made.schema.field("client_segment").type):
                    self._short = made

    def _short_edges(self) -> Any:
        """Return the edges by the short way (edges.py), or None where the engine, the rollup or the register does not allow it."""
        if not isinstance(self.engine, DuckEngine) or {"bound", "daily"} & self._ready:
            return None
        if not self._binding:
            self.bind()
        files = store.rollup_files(self.data_dir, self.since, self.until)
        for path in files:
            store.check_file(path, "rollup")
        footers = [each for each in (read_footer(path) for path in files) if each.rows]
        if not footers or not all({"first_us", "last_us"} <= set(each.ranges) for each in footers):
            return None
        first, last = (
            pick(each.ranges[name][place] for each in footers)
            for pick, name, place in ((min, "first_us", 0), (max, "last_us", 1))
        )
        settled = Settled(self._binding["intervals"], self._binding["members"], self._binding["networks"], first, last)
        if settled.pages is None:
            return None
        rows = Told(footers, settled)
        with kept_pages():
            sums = rows.sums()
        if rows.left > MOST_REST or not rows.summable:
            return None
        engine = DuckEngine(store.spill_folder(self.data_dir))
        with FlowGate(self.data_dir, self.since, self.until, engine) as rest:
            engine.table("daily", rows.others())
            rest._ready.add("daily")
            rest._unasked = tuple(UNASKED)
            rest.bind(**self._binding)
            rest._bound()
            others = engine.connection.sql(f"SELECT {KEY}, {SUMS} FROM ({queries.EDGES}) AS edges GROUP BY {KEY}")
            made = added(sums, settled.kinds, others.to_arrow_table())
            if made is not None:
                return made
            told = named(sums, settled.kinds)
            engine.table("told", told)
            names = ", ".join(told.column_names)
            both = f"SELECT {names} FROM told UNION ALL SELECT {names} FROM ({queries.EDGES}) AS others"
            query = f"SELECT {KEY}, {SUMS} FROM ({both}) AS edges GROUP BY {KEY}"
            return engine.connection.sql(query).to_arrow_table()

    def _bound(self) -> None:
        if "bound" not in self._ready:
            if not self._binding:
                self.bind()
            self.daily()
            self._bind()
            self._ready.add("bound")

    def _whole(self, first: int, days: int, reach: Mapping[str, Any]) -> None:
        """Make ``bound_whole`` and ``bound_crossing``: the window's rows summed over its days before they are bound, where one holder had
        both ends all the time, and the rows within whose time a hold began or ended, bound one by one (whole.py)."""
        self.engine.table("intervals", self._binding["intervals"])
        self.engine.define("spells", whole.spells(reach["first_us"] or 0, reach["last_us"] or 0), keep=True)
        files = store.rollup_files(self.data_dir, self.since, self.until)
        fixed = constants([read_footer(each) for each in files], ("client_hi", "server_hi", "class"))
        self.engine.define("summed_days", whole.summed(first, days, fixed), keep=True)
        self.engine.define("whole_days", whole.settled(days))
        self.engine.define("crossing_days", whole.crossing())
        self._bind("crossing_days", "_crossing")
        for end in ("client", "server"):
            self.engine.define(f"across_{end}_whole", queries.across(end, "whole_days"), keep=True)
        self.engine.define("places_whole", queries.places("whole_days"), keep=True)
        self.engine.define("bound_whole", queries.bound("whole_days", "_whole", "places_whole"))

    def _once(self, name: str) -> bool:
        fresh = name not in self._ready
        self._ready.add(name)
        return fresh
