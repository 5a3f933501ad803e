"""Structure-aware mutations of access-list texts: lines, words, numbers, characters, nesting and sheer size."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

LIMIT = 100_000
_TEXT = (
    "permit deny remark ip ipv6 tcp udp icmp sctp gre ahp any any4 any6 host eq neq gt lt range established log log-input fragments "
    "object object-group addrgroup portgroup network-object service-object port-object group-object icmp-object protocol-object "
    "access-list extended standard ip access-list extended X ipv6 access-list X sequence 10 line 1 inactive time-range T dscp ef ttl 255 "
    "precedence 7 tos 4 option any-options match-all +syn -ack match-any reflect evaluate security-group tag 5 name X interface outside "
    "statistics per-entry resequence no exit end hitcnt=5 (10 matches) src dst role-based enabled 0.0.0.255 255.255.255.0 0.255.0.255 "
    "255.0.255.0 10.0.0.0/8 2001:db8::/32 ::/0 ::ffff:1.2.3.4 fe80::1%eth0 10.0.0.0/33 1.2.3 1.2.3.4.5 host. 65536 -1 +1 0x10 010 1e9 "
    "4294967296 99999999999999999999999999 0 00 65535 range 5 4 table inet t { chain sw_forward { } ; ct state established,related accept "
    "@set vmap . counter packets 0 bytes 0 drop accept goto sw_later != & / # \" \\ ' $ { } [ ] ( ) , | nan Infinity true null"
)
WORDS = _TEXT.split()
ODD = "\x00\t\r\x0b\x0c\x1b\x7f\x85\xa0\u200b\u2028\u0661\u00b2\ud83d\ude00\ufeff\"'\\{}[]()<>|&;$`%"


def mutated(choice: random.Random, text: str, others: list[str]) -> str:
    """Return the text after one to six mutations, at most 100,000 characters long."""
    for _turn in range(choice.choice((1, 1, 2, 3, 6))):
        text = choice.choice(MUTATIONS)(choice, text, others)[:LIMIT]
    return text


def _lines(change: Callable[[random.Random, list[str], list[str]], list[str]]) -> Callable[..., str]:
    def apply(choice: random.Random, text: str, others: list[str]) -> str:
        rows = text.split("\n")
        return "\n".join(change(choice, rows, others))

    return apply


def _at(choice: random.Random, items: list[str]) -> int:
    return choice.randrange(len(items)) if items else 0


def _drop(choice: random.Random, rows: list[str], _others: list[str]) -> list[str]:
    place = _at(choice, rows)
    return rows[:place] + rows[place + choice.choice((1, 1, 5)) :]


def _double(choice: random.Random, rows: list[str], _others: list[str]) -> list[str]:
    place = _at(choice, rows)
    return rows[:place] + [rows[place]] * choice.choice((2, 3, 50)) + rows[place:] if rows else rows


def _swap(choice: random.Random, rows: list[str], _others: list[str]) -> list[str]:
    if len(rows) > 1:
        one, two = choice.sample(range(len(rows)), 2)
        rows[one], rows[two] = rows[two], rows[one]
    return rows


def _splice(choice: random.Random, rows: list[str], others: list[str]) -> list[str]:
    other = choice.choice(others).split("\n")
    start = _at(choice, other)
    place = _at(choice, rows)
    return rows[:place] + other[start : start + choice.choice((1, 3, 20))] + rows[place:]


def _flood(choice: random.Random, rows: list[str], _others: list[str]) -> list[str]:
    """Repeat a line or a word, or make it long, up to the limit."""
    place = _at(choice, rows)
    row = rows[place] or "permit"
    kind = choice.randrange(4)
    if kind == 0:
        return [row] * min(20_000, LIMIT // (len(row) + 1))
    if kind == 1:
        rows[place] = " ".join([row] * min(20_000, LIMIT // (len(row) + 1)))
    elif kind == 2:
        word = choice.choice(WORDS)
        rows[place] = row + f" {word}" * min(40_000, LIMIT // (len(word) + 1))
    else:
        rows[place] = row + choice.choice(("0", "9", "a", " ", "(", "{", "[", ":", ".", "{ 1, ", '{"a":')) * 50_000
    return rows


def _number_rising(choice: random.Random, rows: list[str], _others: list[str]) -> list[str]:
    """Make many different entries out of one, so that lists get long rather than merely repeated."""
    row = rows[_at(choice, rows)]
    numbers = list(re.finditer(r"\d+", row))
    if not numbers:
        return rows
    found = choice.choice(numbers)
    count = min(3000, LIMIT // (len(row) + 5))
    return rows + [f"{row[: found.start()]}{number % 250}{row[found.end() :]}" for number in range(count)]


def _word(choice: random.Random, text: str, _others: list[str]) -> str:
    words = list(re.finditer(r"\S+", text[:LIMIT]))
    if not words:
        return choice.choice(WORDS)
    found = choice.choice(words)
    new = choice.choice(
        (choice.choice(WORDS), "", f"{found[0]} {choice.choice(WORDS)}", found[0][:-1], found[0] * 2, found[0].upper())
    )
    return text[: found.start()] + new + text[found.end() :]


def _number(choice: random.Random, text: str, _others: list[str]) -> str:
    numbers = list(re.finditer(r"\d+", text[:LIMIT]))
    if not numbers:
        return text
    found = choice.choice(numbers)
    value = int(found[0][:30])
    new = choice.choice(
        (value + 1, value - 1, -value, value * 256, 65535, 65536, 2**32, 2**64, 2**128, 0, 255, 256, 10**40)
    )
    return text[: found.start()] + str(new) + text[found.end() :]


def _character(choice: random.Random, text: str, _others: list[str]) -> str:
    place = choice.randrange(len(text) + 1)
    return text[:place] + choice.choice(ODD) * choice.choice((1, 1, 3, 1000)) + text[place + choice.choice((0, 1)) :]


def _cut(choice: random.Random, text: str, _others: list[str]) -> str:
    place = choice.randrange(len(text) + 1)
    return choice.choice((text[:place], text[place:]))


def _ends(choice: random.Random, text: str, _others: list[str]) -> str:
    return text.replace("\n", choice.choice(("\r\n", "\r", "\n\n", " ", "\n\t", "\\n")))


def _nest(choice: random.Random, text: str, _others: list[str]) -> str:
    opening, closing = choice.choice((("{", "}"), ("[", "]"), ('{"a":', "}"), ("{ ", " }"), ("(", ")")))
    depth = choice.choice((2, 50, 2000, 9000))
    place = choice.randrange(len(text) + 1)
    return text[:place] + opening * depth + choice.choice(("", "1", text[:100])) + closing * depth + text[place:]


MUTATIONS: tuple[Callable[[random.Random, str, list[str]], str], ...] = (
    _lines(_drop), _lines(_double), _lines(_swap), _lines(_splice), _lines(_flood), _lines(_number_rising),
    _word, _word, _word, _word, _number, _number, _number, _character, _cut, _ends, _nest,
)  # fmt: skip
