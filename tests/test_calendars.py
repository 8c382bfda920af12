"""Calendar files: what is read of them, whoever wrote them, and that none costs more than it may."""

import time
from contextlib import suppress
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messenger_reader import calendars
from messenger_reader.calendars import Attendee, Moment, NotACalendar, read

BERLIN = ZoneInfo("Europe/Berlin")
#: As Outlook writes it: a zone of Windows', folded lines, escapes, and an attendee with quotes.
INVITATION = """\
BEGIN:VCALENDAR
METHOD:REQUEST
PRODID:Microsoft Exchange Server 2010
VERSION:2.0
BEGIN:VTIMEZONE
TZID:W. Europe Standard Time
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
ORGANIZER;CN=Erika Mustermann:mailto:erika@example.org
ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE;CN="Arendt, Anna":mailto:anna@example.net
ATTENDEE;PARTSTAT=ACCEPTED:MAILTO:carl@example.net
DESCRIPTION;LANGUAGE=de-DE:Bitte Unterlagen mitbringen.\\n\\nAgenda\\; Protokoll\\, und
  mehr
RRULE:FREQ=WEEKLY;UNTIL=20260501T080000Z;INTERVAL=2;BYDAY=MO,TH
UID:1
SUMMARY;LANGUAGE=de-DE:Besprechung
DTSTART;TZID=W. Europe Standard Time:20260302T100000
DTEND;TZID=W. Europe Standard Time:20260302T113000
STATUS:CONFIRMED
LOCATION;LANGUAGE=de-DE:Raum 2
END:VEVENT
END:VCALENDAR
"""


def event(*lines: str) -> bytes:
    inside = "".join(f"{one}\r\n" for one in lines)
    return f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n{inside}END:VEVENT\r\nEND:VCALENDAR\r\n".encode()


def test_an_invitation_is_read_whole():
    [entry] = (calendar := read(INVITATION.encode())).entries

    assert (calendar.method, calendar.more) == ("request", 0)
    assert (entry.kind, entry.summary, entry.location, entry.status) == ("event", "Besprechung", "Raum 2", "confirmed")
    assert entry.start == Moment(datetime(2026, 3, 2, 10, 0, tzinfo=BERLIN), "W. Europe Standard Time")
    assert entry.end == Moment(datetime(2026, 3, 2, 11, 30, tzinfo=BERLIN), "W. Europe Standard Time")
    assert entry.description == "Bitte Unterlagen mitbringen.\n\nAgenda; Protokoll, und mehr"
    assert entry.organiser == Attendee("Erika Mustermann", "erika@example.org")
    assert entry.attendees == (
        Attendee("Arendt, Anna", "anna@example.net", "needs-action"),
        Attendee("", "carl@example.net", "accepted"),
    )
    assert entry.rule == {
        "FREQ": ("WEEKLY",),
        "UNTIL": ("20260501T080000Z",),
        "INTERVAL": ("2",),
        "BYDAY": ("MO", "TH"),
    }


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("DTSTART:20260302T100000Z", Moment(datetime(2026, 3, 2, 10, 0, tzinfo=UTC))),
        ("DTSTART:20260302T100000", Moment(datetime(2026, 3, 2, 10, 0))),
        ("DTSTART;VALUE=DATE:20260302", Moment(date(2026, 3, 2))),
        (
            "DTSTART;TZID=Europe/Berlin:20260302T100000",
            Moment(datetime(2026, 3, 2, 10, tzinfo=BERLIN), "Europe/Berlin"),
        ),
        (
            "DTSTART;TZID=/freeassociation.sourceforge.net/Europe/Berlin:20260302T100000",
            Moment(datetime(2026, 3, 2, 10, tzinfo=BERLIN), "/freeassociation.sourceforge.net/Europe/Berlin"),
        ),
        ("DTSTART;TZID=My own zone:20260302T100000", Moment(datetime(2026, 3, 2, 10, 0), "My own zone")),
        ("DTSTART;TZID=../../etc/passwd:20260302T100000", Moment(datetime(2026, 3, 2, 10, 0), "../../etc/passwd")),
        ("DTSTART:tomorrow", None),
        ("SUMMARY:none", None),
    ],
)
def test_a_moment_is_a_day_or_a_time_by_a_clock_that_is_known_or_not(written, moment):
    assert read(event(written)).entries[0].start == moment


def test_a_duration_ends_and_a_day_ends_on_itself():
    [lasting] = read(event("DTSTART:20260302T100000Z", "DURATION:PT1H30M")).entries
    [whole] = read(event("DTSTART;VALUE=DATE:20260302", "DTEND;VALUE=DATE:20260305")).entries

    assert lasting.end == Moment(datetime(2026, 3, 2, 11, 30, tzinfo=UTC))
    assert whole.end == Moment(date(2026, 3, 4))


def test_marks_that_nobody_sees_are_gone():
    [entry] = read(event("SUMMARY:pay\u202egpj\u0007", "DESCRIPTION:a\u200bb\\nc", "LOCATION:x\\ny")).entries

    assert (entry.summary, entry.description, entry.location) == ("paygpj", "ab\nc", "x y")


def test_many_entries_are_counted_and_some_are_read():
    many = b"BEGIN:VEVENT\r\nSUMMARY:x\r\nEND:VEVENT\r\n" * 100

    calendar = read(b"BEGIN:VCALENDAR\r\n" + many + b"END:VCALENDAR\r\n")

    assert (len(calendar.entries), calendar.more) == (calendars.ENTRIES, 100 - calendars.ENTRIES)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n",
        b"BEGIN:VEVENT\r\n" * 5000,
        bytes(range(256)) * 100,
        b"x" * (calendars.CALENDAR_BYTES + 1),
    ],
    ids=range(7),
)
def test_what_is_no_calendar_is_an_error_of_ours(content):
    with pytest.raises(NotACalendar):
        read(content)


def zone_of_its_own(rule: str, zones: int = 1) -> bytes:
    made = "".join(
        f"BEGIN:VTIMEZONE\r\nTZID:Own {at}\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\n{rule}\r\n"
        "TZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\nEND:STANDARD\r\nBEGIN:DAYLIGHT\r\nDTSTART:19700101T000000\r\n"
        f"{rule}\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE\r\n"
        f"BEGIN:VEVENT\r\nDTSTART;TZID=Own {at}:20260101T100000\r\nDTEND;TZID=Own {at}:20260101T110000\r\n"
        "END:VEVENT\r\n"
        for at in range(zones)
    )
    return f"BEGIN:VCALENDAR\r\n{made}END:VCALENDAR\r\n".encode()


COSTLY = {
    "a zone that changes each second": zone_of_its_own("RRULE:FREQ=SECONDLY"),
    "a zone that never changes": zone_of_its_own("RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"),
    "hundreds of zones": zone_of_its_own("RRULE:FREQ=DAILY", 600),
    "folds": event("SUMMARY:x" + "\r\n a" * 60_000),
    "attendees": event(*["ATTENDEE;CN=x:mailto:a@b.example"] * 7_000),
    "parameters": event("ATTENDEE" + ";A=b" * 60_000 + ":x"),
    "quotes": event("ATTENDEE;CN=" + '"' * 250_000 + ":x"),
    "backslashes": event("DESCRIPTION:" + "\\" * 250_000),
    "dates": event("RDATE:" + "20260101T100000Z," * 14_000 + "20260101T100000Z"),
    "a long name": event("A" * 250_000 + ":x"),
    "a rule": event("RRULE:FREQ=SECONDLY;BYSECOND=" + "1," * 80_000 + "1"),
    "digits": event("DTSTART:20260101T100000Z", "DURATION:P" + "9" * 200_000 + "D"),
    "a duration beyond time": event("DTSTART:20260101T100000Z", "DURATION:P99999999D"),
}


@pytest.mark.parametrize("content", COSTLY.values(), ids=COSTLY)
def test_a_hostile_calendar_costs_little(content):
    begun = time.process_time()

    with suppress(NotACalendar):
        read(content)

    assert time.process_time() - begun < 6  # a busy machine counts more


PROPERTIES = ["DTSTART", "DTEND", "DURATION", "RRULE", "ORGANIZER", "ATTENDEE", "SUMMARY"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(PROPERTIES), st.text())))
def test_whatever_a_calendar_says_is_read_or_refused(properties):
    with suppress(NotACalendar):
        read(event(*(f"{name}:{value}" for name, value in properties)))
