"""Contacts: what is read of them, whoever wrote them, and that none costs more than it may."""

import time

import pytest

from messenger_reader import contacts
from messenger_reader.contacts import Value, read

VERSION_3 = """\
BEGIN:VCARD\r
VERSION:3.0\r
N:Mustermann;Erika;Maria;Dr.;\r
FN:Dr. Erika Maria Mustermann\r
ORG:Example\\, Inc.;Sales\r
TITLE:Head of sales\r
TEL;TYPE=WORK,VOICE:+49 30 1234\r
TEL;TYPE="cell,voice":+49 170 1234\r
item1.EMAIL;type=INTERNET;type=HOME:erika@example.org\r
ADR;TYPE=HOME:;;Am Weg 1;Berlin;;10115;Germany\r
URL:https://example.org/\r
BDAY:1970-01-02\r
NOTE:one\\ntwo\\; th\r
 ree\r
PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRg\r
END:VCARD\r
"""
VERSION_2 = """\
BEGIN:VCARD
VERSION:2.1
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6rg
TEL;CELL:0170
NOTE;ENCODING=QUOTED-PRINTABLE:a long =
line
this is no line at all
END:VCARD
"""


def test_a_contact_of_today_is_read_whole():
    [contact], more = read(VERSION_3)

    assert more == 0
    assert (contact.name, contact.organisation) == ("Dr. Erika Maria Mustermann", "Example, Inc., Sales")
    assert (contact.title, contact.birthday, contact.note) == ("Head of sales", "1970-01-02", "one\ntwo; three")
    assert contact.phones == [Value("+49 30 1234", "work"), Value("+49 170 1234", "cell")]
    assert contact.emails == [Value("erika@example.org", "home")]
    assert contact.addresses == [Value("Am Weg 1, Berlin, 10115, Germany", "home")]
    assert contact.sites == [Value("https://example.org/")]


def test_a_contact_of_an_old_telephone_is_read_too():
    [contact], _ = read(VERSION_2)

    assert (contact.name, contact.note) == ("Jörg Müller", "a long line")
    assert contact.phones == [Value("0170", "cell")]


def test_many_contacts_are_counted_and_some_are_read():
    found, more = read("BEGIN:VCARD\nFN:x\nEND:VCARD\n" * 100)

    assert (len(found), more) == (contacts.CONTACTS, 100 - contacts.CONTACTS)


@pytest.mark.parametrize("text", ["", "hello", "END:VCARD\nFN:x", "BEGIN:VCALENDAR\nFN:x", "\0" * 1000])
def test_what_is_no_contact_gives_none(text):
    assert read(text) == ([], 0)


def test_marks_that_nobody_sees_are_gone():
    [contact], _ = read("BEGIN:VCARD\nFN:a\u202eb\\nc\nEMAIL:x\u200b@example.org\n")

    assert (contact.name, contact.emails) == ("ab c", [Value("x@example.org")])


@pytest.mark.parametrize(
    "line",
    [
        "A" * 10,
        "TEL:1",
        "NOTE;QUOTED-PRINTABLE:=",
        ";" * 300,
        '"' * 300,
        "N:" + "\\;" * 200,
        ":" * 300,
        " x",
        "FN:" + "\\" * 99,
    ],
)
def test_a_hostile_contact_costs_little(line):
    text = "BEGIN:VCARD\n" + f"{line}\n" * (contacts.TEXT // len(line)) + f"{line * 20_000}\n"
    begun = time.process_time()

    read(text)

    assert time.process_time() - begun < 2
