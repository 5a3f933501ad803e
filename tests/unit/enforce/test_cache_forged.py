"""Who can write the cache, and has not the key, makes the gate say nothing that was not proved."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import pytest

from ansible_collections.segwright.microseg.plugins.plugin_utils.base import seals
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.cache import KIND, SCHEMA_VERSION, ListCache
from ansible_collections.segwright.microseg.plugins.plugin_utils.enforce.compile import compile_site
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof import equivalence
from ansible_collections.segwright.microseg.plugins.plugin_utils.proof.equivalence import prove_rendering
from tests.bench.compile import bench_site


def wrong(path: Path) -> int:
    """How many lists are found wrong with what a cache file says."""
    return len(prove_rendering(compile_site(bench_site(8, 40), cache=ListCache(path)).lists)[1])


def test_a_forged_verdict_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lists.json"
    real = equivalence.rendered
    monkeypatch.setattr(equivalence, "rendered", lambda item: real(item).replace("permit tcp", "permit udp"))
    cache = ListCache(path)
    compiled = compile_site(bench_site(8, 40), cache=cache)
    expected = len(prove_rendering(compiled.lists)[1])
    cache.save()
    assert expected > 10
    stored = path.read_bytes()
    seal, document = stored[:64], json.loads(stored[65:])
    for entry in document["entries"].values():
        for each in [entry, *entry.get("lists", [])]:
            each["equal"] = True
    body = json.dumps(document, separators=(",", ":")).encode()
    part = f"{KIND} {SCHEMA_VERSION}\n".encode() + body
    for forged in (
        seal, hashlib.sha256(part).hexdigest().encode(), hmac.new(b"another key", part, hashlib.sha256).hexdigest().encode(), b"",
        b"0" * 64, seals.sealed(body).encode(),
    ):  # fmt: skip
        path.write_bytes(forged + b"\n" + body)
        assert wrong(path) == expected
    path.write_bytes(seals.sealed(part).encode() + b"\n" + body)  # who has the key is believed
    assert wrong(path) == 0


def test_the_key_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(seals.KEY_VARIABLE)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    seals._key.cache_clear()
    first = seals.sealed(b"x")
    path = tmp_path / "segwright" / "cache.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_bytes()) == seals.KEY_BYTES
    seals._key.cache_clear()
    assert seals.sealed(b"x") == first
    path.chmod(0o644)  # others could have read it: a key of this process instead
    seals._key.cache_clear()
    assert seals.sealed(b"x") != first
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    seals._key.cache_clear()
    assert seals.sealed(b"x") != first
    assert not (tmp_path / "elsewhere").exists()
    monkeypatch.setenv(seals.KEY_VARIABLE, "short")
    seals._key.cache_clear()
    assert seals.sealed(b"x") != hmac.new(hashlib.sha256(b"short").digest(), b"x", hashlib.sha256).hexdigest()
    seals._key.cache_clear()
