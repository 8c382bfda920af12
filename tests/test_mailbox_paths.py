"""Where mailboxes live: a safe path for each address, and the address back from it."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings

from messenger.envelope import AddressError, normal
from messenger.mailbox import Mailbox, address_of, mailbox_of, path_of

from .test_envelope import ADDRESSES


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("anna@example.org", "example.org/anna/Maildir"),
        ("ANNA@Example.ORG", "example.org/anna/Maildir"),
        ("anna.b+c_d=e-f@example.org", "example.org/anna.b+c_d=e-f/Maildir"),
        ("anna@BÜCHER.example", "xn--bcher-kva.example/anna/Maildir"),
        (
            '"../../etc"@example.org',
            "example.org/%2e.%2f..%2fetc/Maildir",
        ),
        ('".."@example.org', "example.org/%2e./Maildir"),
        ('"."@example.org', "example.org/%2e/Maildir"),
        ("/@example.org", "example.org/%2f/Maildir"),
        ("-rf@example.org", "example.org/%2drf/Maildir"),
        ("%2f@example.org", "example.org/%252f/Maildir"),
        ("ä@example.org", "example.org/%c3%a4/Maildir"),
        ('"a b"@example.org', "example.org/a%20b/Maildir"),
        ("a@[192.0.2.1]", "%5b192.0.2.1%5d/a/Maildir"),
        ("a@[IPv6:::1]", "%5bipv6%3a%3a%3a1%5d/a/Maildir"),
    ],
)
def test_a_mailbox_lives_where_a_sysadmin_looks_for_it(address, path):
    assert path_of(Path("/mail"), address) == Path("/mail") / path


@settings(max_examples=300, deadline=None)
@given(ADDRESSES)
def test_every_address_has_a_safe_path_that_leads_back_to_it(address):
    try:
        meant = normal(address)
    except AddressError:
        return

    path = path_of(Path("/mail"), address)

    assert address_of(Path("/mail"), path) == meant
    assert path.parts[:2] == ("/", "mail")
    assert len(path.parts) == 5
    assert str(path) == os.path.normpath(path)
    for part in path.parts[2:4]:
        assert part.isascii()
        assert part == part.lower()
        assert part[0] not in ".-"
        assert len(part) <= 255


@settings(deadline=None)
@given(ADDRESSES, ADDRESSES)
def test_two_addresses_never_share_a_path(one, another):
    try:
        same = normal(one) == normal(another)
    except AddressError:
        return

    assert (path_of(Path("/mail"), one) == path_of(Path("/mail"), another)) is same


def test_the_longest_local_part_still_fits_a_file_name():
    path = path_of(Path("/mail"), "ä" * 32 + "@example.org")

    assert len(path.parent.name) == 192


@pytest.mark.parametrize(
    "path",
    [
        "/mail/example.org/Anna/Maildir",
        "/mail/example.org/anna",
        "/mail/example.org/anna/Maildir/new",
        "/mail/example.org/anna/Mail",
        "/elsewhere/example.org/anna/Maildir",
        "/mail/example.org/%41nna/Maildir",
        "/mail/example.org/%ff/Maildir",
        "/mail/example.org/%2F/Maildir",
        "/mail/example.org/a%/Maildir",
        "/mail/example.org/a b/Maildir",
        "/mail/exa_mple/a/Maildir",
        "/mail/lost+found/a/Maildir",
        "/mail",
    ],
)
def test_a_path_that_no_address_has_is_nobodys(path):
    with pytest.raises(AddressError, match="expected"):
        address_of(Path("/mail"), Path(path))


def test_what_is_no_address_has_no_mailbox(tmp_path):
    with pytest.raises(AddressError):
        mailbox_of(tmp_path, "../../etc/passwd")


def test_mailbox_takes_what_path_of_gives(tmp_path):
    assert mailbox_of(tmp_path, "A@b.c") == Mailbox(path_of(tmp_path, "a@b.c"))
