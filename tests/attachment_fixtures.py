"""What tests of attachments share: a portal with Alice in it, mails with files, and what the trail says."""

import re
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from .mail_pages_fixtures import logged_in
from .reader_fixtures import portal

PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)


@pytest.fixture(scope="module", name="site")
def site_fixture(tmp_path_factory):
    return portal(tmp_path_factory.mktemp("portal"))


@pytest.fixture(scope="module", name="alice")
def alice_fixture(site):
    return logged_in(site)


def with_files(*files: tuple[str, str, bytes]) -> bytes:
    """A mail of parts 2, 3, ...: name, type, content."""
    made = EmailMessage(policy=SMTP)
    made["From"], made["Subject"], made["Date"] = "bob@example.org", "Files", "Fri, 02 Jan 2026 23:30:00 +0000"
    made.set_content("See the files.\n")
    for filename, content_type, content in files:
        maintype, _, subtype = content_type.partition("/")
        made.add_attachment(content, maintype=maintype, subtype=subtype, filename=filename)
    return made.as_bytes()


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())
