"""Bodies kept once they were sanitised: made again where the cache is broken, old or away."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messenger import message
from messenger_reader import bodies

from .mail_pages_fixtures import deliver, flags, logged_in, mail
from .reader_fixtures import ALICE, portal
from .reading_fixtures import FACES, alice_fixture, site_fixture  # noqa: F401


def test_a_body_is_sanitised_once(site, alice, monkeypatch):
    name = deliver(site, mail(html="<p>Formatted</p>"))
    site.get(alice, f"/message/{name}")
    monkeypatch.setattr(message, "show", lambda *_a, **_m: pytest.fail("sanitised again"))

    assert "Formatted" in site.get(alice, f"/message/{name}/body").text


def test_what_another_edition_sanitised_is_not_shown(site, alice, monkeypatch):
    name = deliver(site, mail(html="<p>Formatted</p>"))
    site.get(alice, f"/message/{name}/body")
    monkeypatch.setattr(bodies, "edition", lambda: "another")
    monkeypatch.setattr(message, "show", lambda *_a, **_m: message.Shown("made anew", 0, ""))

    assert site.get(alice, f"/message/{name}/body").text == "made anew"


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b"\xff\xfe", b'{"html": "x"'])
def test_a_broken_cached_body_is_made_again(site, alice, damage):
    name = deliver(site, mail(html="<p>Formatted</p>"))
    site.get(alice, f"/message/{name}/body")
    [path] = (site.home / "cache").rglob("*.json")
    path.write_bytes(damage)

    assert "Formatted" in site.get(alice, f"/message/{name}/body").text


def test_without_a_cache_everything_still_shows(tmp_path):
    site = portal(tmp_path)
    (tmp_path / "cache").rmdir()
    (tmp_path / "cache").write_text("in the way")
    browser = logged_in(site)
    name = deliver(site, mail("The subject", html="<p>Formatted</p>"))

    assert "The subject" in site.get(browser, "/").text
    assert site.get(browser, f"/message/{name}").status_code == 200
    assert "Formatted" in site.get(browser, f"/message/{name}/body").text
    assert flags(site, name) == "S"


def test_cached_bodies_stay_within_their_room(tmp_path, monkeypatch):
    monkeypatch.setattr(bodies, "KEEP_FILES", 3)
    monkeypatch.setattr(message, "show", lambda *_a, **_m: message.Shown("body", 0, ""))
    store = bodies.Bodies(tmp_path, ALICE)

    for at in range(10):
        store.show(f"name{at}", b"", remote_pictures=False)

    assert len(list(tmp_path.rglob("*.json"))) <= 4
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.rglob("*"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=400))
def test_any_bytes_at_all_can_be_looked_at(site, alice, raw):
    name = deliver(site, raw)

    for path in ("/", *(f"/message/{name}{face}" for face in FACES[:6])):
        assert site.get(alice, path).status_code == 200, path
