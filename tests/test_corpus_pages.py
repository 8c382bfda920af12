"""Every sample mail there is, on its page: whatever programs do wrong, the reader sees what the mail says."""

from html import escape
from pathlib import Path

from messenger import message

from .mail_pages_fixtures import deliver, logged_in
from .reader_fixtures import portal

MAILS = sorted((Path(__file__).parent / "mail").glob("*.eml"))


def test_every_sample_opens_and_shows_its_text(tmp_path):
    site = portal(tmp_path)
    browser = logged_in(site)

    names = {path: deliver(site, path.read_bytes()) for path in MAILS}

    assert site.get(browser, "/").status_code == 200
    for path, name in names.items():
        shown = site.get(browser, f"/message/{name}")
        first = message.read(path.read_bytes()).text.split()[:1]
        assert shown.status_code == 200, path.name
        assert '<iframe class="letter"' in shown.text or escape("".join(first)) in shown.text, path.name
    assert len(MAILS) > 190
