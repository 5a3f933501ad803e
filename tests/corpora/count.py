"""Count entry lines of access lists with plain splits: what the parsers of the collection must account for, line by line."""

from __future__ import annotations


def entry_lines(text: str, dialect: str) -> set[int]:
    """Return the numbers of the lines (from 1) that are entries of an access list of the platform."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    found = {number for number, line in enumerate(lines, 1) if COUNTERS[dialect](line.split())}
    return found - headings(lines) if dialect == "asa" else found


def headings(lines: list[str]) -> set[int]:
    """Return the rules of ``show access-list`` that only head the indented lines below them, which say what they stand for."""
    below = [line[:1].isspace() and line.split()[:1] == ["access-list"] for line in lines]
    return {number for number, inside in enumerate(below) if inside and number > 0 and not below[number - 1]}


def ios(words: list[str]) -> bool:
    """Return whether the words of a line are an entry of IOS: ``[10] permit``, ``sequence 10 permit``, ``access-list 1 permit``."""
    words = [word.lower() for word in words]
    if words[:1] == ["access-list"]:
        return any(word in ("permit", "deny") for word in words[2:4])
    if words[:1] == ["sequence"]:
        words = words[2:]
    elif words and words[0].isdigit():
        words = words[1:]
    return words[:1] == ["permit"] or words[:1] == ["deny"]


def nxos(words: list[str]) -> bool:
    """Return whether the words of a line are an entry of NX-OS: ``[10] permit``."""
    words = words[1:] if words and words[0].isdigit() else words
    return words[:1] == ["permit"] or words[:1] == ["deny"]


def asa(words: list[str]) -> bool:
    """Return whether the words of a line are an entry of ASA: ``access-list A [line 1] [extended] permit``."""
    if words[:1] != ["access-list"] or len(words) < 4:
        return False
    words = words[4:] if words[2] == "line" else words[2:]
    return words[0] in ("permit", "deny") or (words[0] != "remark" and words[1] in ("permit", "deny"))


COUNTERS = {"ios": ios, "ios_ipv6": ios, "sgacl": ios, "nxos": nxos, "asa": asa}
