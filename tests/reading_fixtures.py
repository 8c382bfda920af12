"""What tests of reading mail share: a portal with Alice in it, and the faces of a message."""

import pytest

from .mail_pages_fixtures import logged_in
from .reader_fixtures import Portal, portal

FACES = ("", "/body", "/text", "/print", "/headers", "/eml", "/attachment/1")


@pytest.fixture(name="site")
def site_fixture(tmp_path) -> Portal:
    return portal(tmp_path)


@pytest.fixture(name="alice")
def alice_fixture(site):
    return logged_in(site)
