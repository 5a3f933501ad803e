# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One site of a seed: devices with their addresses day by day, and every conversation of its days, legitimate or not.

Everything is drawn from one seed. ``TUNING`` seeds are those that limits and estimators may be chosen on; ``EVALUATION`` seeds are
looked at for reported figures only.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np

from tests.truth.blueprints import OUTSIDE, SERVICES, DeviceType, Talk, talks_of, types_of

KINDS = ("hospital", "plant", "campus", "substation")
# 7001 to 7003 and 8101 to 8103 were for evaluation, 8201 to 8203 and 8301 to 8303 fresh, until they showed what was
# mended; so were 8401 to 8403 and 8501 to 8503.
TUNING = (
    *range(1, 21), 101, 102, 103, 104, 7001, 7002, 7003, 9001, 9002, 9003, *range(9101, 9107),
    *range(8101, 8104), *range(8201, 8204), *range(8301, 8304), *range(8401, 8404), *range(8501, 8504),
)  # fmt: skip
EVALUATION = (8701, 8702, 8703)
# The completeness estimate was tuned on 101 to 104, 9001, 9002 and 9101 to 9106 alone.
CALIBRATION = (8101, 8102, 8103)
# Drawn once, when the estimator stood as it stands, to tell chance from a fault at single days.
MORE_CALIBRATION = (8104, 8105, 8106)
FRESH_CALIBRATION = (8201, 8202, 8203)
# Drawn after all others.
LAST_CALIBRATION = (8401, 8402, 8403)
# Drawn once, at the end, with the code of which the page tells.
FRESH = (8801, 8802)
# Drawn once, when enforcement was to be offered by uses and no longer by pairs of devices.
DRAWN = (8901,)
# Sites of tuning, on which it is shown how long one waits.
WAITING = (("hospital", 8402), ("campus", 8402))
FIRST = date(2026, 6, 8)
WRONG_PROFILES = 0.05
NO_EXPORT = -1
# Labels of events; what is not ``LEGITIMATE`` is hostile.
LEGITIMATE, SCAN, SLOW_SCAN, BEACON, ROGUE, LATERAL, WITHIN = range(7)
LABELS = ("legitimate", "scan", "slow scan", "beacon", "rogue server", "lateral movement", "inside legitimate tuples")


@dataclass(frozen=True)
class Device:
    """A device as it is, and the profile that ISE gives it."""

    number: int
    mac: str
    kind: str
    profile: str
    first_day: int
    infected: str = ""


@dataclass
class SiteTruth:
    """A site: types, uses, devices; ``address[device, day]`` as unsigned IPv4 value; ``events`` as arrays of equal length.

    Columns of ``events``: day, client, server, protocol, port, flows, label, talk (-1 for hostile ones), answered. Servers from
    ``len(devices)`` on are addresses outside, in the order of ``outside``.
    """

    kind: str
    seed: int
    days: int
    types: list[DeviceType]
    talks: list[Talk]
    devices: list[Device] = field(default_factory=list)
    address: Any = None
    outside: list[tuple[str, int]] = field(default_factory=list)
    events: dict[str, Any] = field(default_factory=dict)
    failovers: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return a name for tables."""
        return f"{self.kind}-{self.seed}"

    def of_type(self, name: str) -> Any:
        """Return the numbers of the devices of a type."""
        return np.array([each.number for each in self.devices if each.kind == name], dtype=np.int64)

    def day(self, number: int) -> date:
        """Return the date of a day."""
        return FIRST + timedelta(days=number)

    def picked(self, mask: Any) -> dict[str, Any]:
        """Return the events of a mask."""
        return {name: values[mask] for name, values in self.events.items()}


def make_site(kind: str, seed: int, days: int = 60, scale: float = 1.0) -> SiteTruth:
    """Return a site of a kind; ``scale`` multiplies the numbers of devices that are not servers."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    types = types_of(kind, scale)
    site = SiteTruth(kind, seed, days, types, talks_of(kind, types))
    _devices(site, rng)
    _addresses(site, rng)
    _outside(site, rng)
    # About one fail-over in two months.
    site.failovers = sorted(int(day) for day in range(days) if rng.random() < 1 / 45)
    rows = [_legitimate(site, number, rng) for number in range(len(site.talks))]
    rows += _hostile(site, rng)
    names = ("day", "client", "server", "protocol", "port", "flows", "label", "talk", "answered")
    site.events = {
        name: np.concatenate([np.broadcast_to(row[name], len(row["day"])) for row in rows]).astype(np.int64)
        for name in names
    }
    return site


def _devices(site: SiteTruth, rng: Any) -> None:
    clients = [each.name for each in site.types if each.zone != "data_center"]
    for type_number, each in enumerate(site.types):
        for place in range(each.count):
            number = len(site.devices)
            profile = each.name
            if each.zone != "data_center" and rng.random() < WRONG_PROFILES:
                profile = str(rng.choice([name for name in clients if name != each.name]))
            first = int(rng.integers(3, site.days)) if each.zone != "data_center" and rng.random() < 0.04 else 0
            mac = f"00:1b:{type_number:02x}:{site.seed % 256:02x}:{place // 256:02x}:{place % 256:02x}"
            site.devices.append(Device(number, mac, each.name, profile, first))


def _addresses(site: SiteTruth, rng: Any) -> None:
    """Give static devices one address each, others a lease that is drawn anew now and then from a pool that is a quarter larger."""
    site.address = np.zeros((len(site.devices), site.days), dtype=np.int64)
    for type_number, each in enumerate(site.types):
        own = site.of_type(each.name)
        base = (10 << 24) + ((site.seed % 200 + 1) << 16) + (type_number << 8)
        if not each.dhcp:
            site.address[own] = (base + 10 + np.arange(len(own)))[:, None]
            continue
        pool = base + 20 + np.arange(min(230, len(own) + max(4, len(own) // 4)))
        held = rng.permutation(pool)[: len(own)]
        for day in range(site.days):
            for place in np.flatnonzero(rng.random(len(own)) < 0.05):
                free = np.setdiff1d(pool, held)
                held[place] = rng.choice(free)
            site.address[own, day] = held


def _outside(site: SiteTruth, rng: Any) -> None:
    for number, name in enumerate(sorted({each.server for each in site.talks if each.server.startswith("net:")})):
        count = OUTSIDE.get(name[4:], (2, 2))[0]
        base = (198 << 24) + (18 << 16) + ((site.seed % 8) << 13) + (number << 8)
        site.outside += [(name, base + 10 + each) for each in range(count)]


def outside_numbers(site: SiteTruth, name: str) -> Any:
    """Return the server numbers of a network outside."""
    begin = len(site.devices)
    return np.array([begin + place for place, (each, _value) in enumerate(site.outside) if each == name])


def _present(site: SiteTruth, own: Any, rng: Any) -> Any:
    """Return which devices are there on which days: late ones, single days off, and a few that lie in a cupboard for weeks."""
    there = rng.random((len(own), site.days)) > 0.02
    for row, number in enumerate(own):
        there[row, : site.devices[number].first_day] = False
        if site.devices[number].kind not in _servers(site) and rng.random() < 0.05:
            begin = int(rng.integers(0, site.days))
            there[row, begin : begin + int(rng.integers(5, 25))] = False
    return there


def _servers(site: SiteTruth) -> set[str]:
    return {each.name for each in site.types if each.zone == "data_center"}


def _active(site: SiteTruth, talk: Talk, count: int, rng: Any) -> Any:
    """Return on which days each client uses a talk, by its cadence."""
    shape = (count, site.days)
    weekday = np.array([site.day(each).weekday() for each in range(site.days)])
    if talk.cadence == "daily":
        return rng.random(shape) < 0.99
    if talk.cadence == "weekday":
        return (rng.random(shape) < 0.97) & (weekday < 5)
    if talk.cadence == "weekly":
        return np.broadcast_to(weekday == int(rng.integers(0, 7)), shape)
    if talk.cadence == "monthend":
        last = [
            site.day(each).day > calendar.monthrange(2026, site.day(each).month)[1] - 2 for each in range(site.days)
        ]
        return np.broadcast_to(np.array(last), shape)
    if talk.cadence == "failover":
        return np.isin(np.arange(site.days), site.failovers)[None, :] & np.ones(shape, dtype=bool)
    if talk.cadence == "firmware":
        made = np.zeros(shape, dtype=bool)
        begin = int(rng.integers(0, 30))
        while begin < site.days:
            day = np.minimum(begin + rng.integers(0, 3, count), site.days - 1)
            made[np.arange(count), day] = True
            begin += int(rng.integers(20, 45))
        return made
    rates = np.minimum(0.9, talk.share * np.exp(rng.normal(0, 0.7, count)))[:, None]
    if talk.cadence == "user":
        return (rng.random(shape) < rates) & (weekday < 5)
    return rng.random(shape) < rates


def _legitimate(site: SiteTruth, number: int, rng: Any) -> dict[str, Any]:
    talk = site.talks[number]
    clients = site.of_type(talk.client)
    outside = talk.server.startswith("net:")
    servers = outside_numbers(site, talk.server) if outside else site.of_type(talk.server)
    active = _active(site, talk, len(clients), rng) & _present(site, clients, rng)
    client, day = np.nonzero(active)
    if talk.reach == "all":
        count = len(servers)
        server = np.tile(servers, len(client))
        client, day = np.repeat(client, count), np.repeat(day, count)
    elif talk.reach == "home":
        home = np.arange(len(clients)) * len(servers) // max(1, len(clients))
        chosen = home[client]
        # While a site fails over, the first server of each kind is away and the next one stands in.
        away = np.isin(day, site.failovers) & (chosen == 0) & (len(servers) > 1)
        server = servers[np.where(away, 1 % len(servers), chosen)]
    else:
        used = OUTSIDE.get(talk.server[4:], (0, len(servers)))[1] if outside else len(servers)
        # Of a cloud's addresses only some are given out on a day.
        turn = (
            (day * 3 + rng.integers(0, used, len(day))) % len(servers)
            if outside
            else rng.integers(0, len(servers), len(day))
        )
        server = servers[turn]
    clients_of = clients[client]
    apart = clients_of != server
    inside = server < len(site.devices)
    first_days = np.array([each.first_day for each in site.devices])
    apart &= ~inside | (first_days[np.where(inside, server, 0)] <= day)
    protocol, low, high = SERVICES[talk.service]
    port = rng.integers(low, high + 1, len(day)) if high > low else np.full(len(day), low)
    flows = 1 + rng.poisson(max(0.0, talk.flows - 1), len(day))
    row = {"day": day, "client": clients_of, "server": server, "port": port, "flows": flows}
    made = {name: values[apart] for name, values in row.items()}
    return made | {"protocol": protocol, "label": LEGITIMATE, "talk": number, "answered": 1}


def _hostile(site: SiteTruth, rng: Any) -> list[dict[str, Any]]:
    """Return what intruders do: from the first day on, quickly, slowly, and inside what is permitted."""
    easy = [name for name in ("cameras", "workstations") if len(site.of_type(name))]
    camera, other = (int(rng.choice(site.of_type(name))) for name in (easy[0], easy[-1]))
    every = np.arange(len(site.devices))
    days = np.arange(site.days)
    made = []
    targets = rng.permutation(every)[: min(200, len(every))]
    ports = np.array([22, 23, 80, 445, 502])
    made.append(
        _row(10, camera, np.repeat(targets, 5), np.tile(ports, len(targets)), SCAN, rng.random(len(targets) * 5) < 0.05)
    )
    count = 8 * site.days
    slow = rng.choice(every, count)
    made.append(
        _row(
            np.repeat(days, 8),
            other,
            slow,
            rng.choice(np.array([22, 445, 3389]), count),
            SLOW_SCAN,
            rng.random(count) < 0.1,
        )
    )
    # A beacon to an address of nobody, from the first day on.
    site.outside.append(("net:", (203 << 24) + (113 << 8) + 7 + site.seed % 100))
    command = len(site.devices) + len(site.outside) - 1
    made.append(
        _row(days, camera, np.full(site.days, command), np.full(site.days, 443), BEACON, np.ones(site.days), 24)
    )
    life = [talk for talk in site.talks if talk.life and talk.client != talk.server and talk.cadence == "daily"]
    talk = life[int(rng.integers(0, len(life)))]
    protocol, port, _high = SERVICES[talk.service]
    fooled = rng.permutation(site.of_type(talk.client))[:4]
    when = np.arange(min(8, site.days), site.days)
    client, day = np.tile(fooled, len(when)), np.repeat(when, len(fooled))
    made.append(_row(day, client, np.full(len(day), other), port, ROGUE, 1, 3, protocol))
    for client, target_type, port in (
        (other, "infrastructure", 22),
        (other, talk.client, 23),
        (camera, talk.server, 3389),
    ):
        aim = site.of_type(target_type)[:2]
        span = np.arange(min(5, site.days - 1), min(13, site.days))
        made.append(
            _row(
                np.repeat(span, len(aim)),
                client,
                np.tile(aim, len(span)),
                np.full(len(span) * len(aim), port),
                LATERAL,
                np.ones(len(span) * len(aim)),
                2,
            )
        )
    # What hides in a permitted tuple: a camera's stream to its recorder, a workstation's web.
    for client, servers, name in (
        (camera, site.of_type("recorders"), "rtsp"),
        (other, outside_numbers(site, "net:web"), "https"),
    ):
        protocol, port, _high = SERVICES[name]
        made.append(
            _row(
                days,
                client,
                np.full(site.days, servers[0]),
                np.full(site.days, port),
                WITHIN,
                np.ones(site.days),
                6,
                protocol,
            )
        )
    return made


def _row(
    day: Any, client: Any, server: Any, port: Any, label: int, answered: Any, flows: int = 1, protocol: int = 6
) -> dict[str, Any]:
    count = len(server)
    made = {
        "day": day,
        "client": client,
        "port": port,
        "answered": answered,
        "flows": flows,
        "protocol": protocol,
        "label": label,
        "talk": -1,
    }
    row = {name: np.broadcast_to(values, count) for name, values in made.items()} | {"server": server}
    apart = row["client"] != row["server"]
    return {name: values[apart] for name, values in row.items()}
