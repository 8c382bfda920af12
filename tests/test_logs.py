"""A log has one line for each event, as text or as JSON, and each line about a mail begins with its queue id."""

import json
import logging

import pytest

from messenger import logs


def line(form: str, message: str, *words: object, error: Exception | None = None) -> str:
    trouble = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("messenger_milter.intake", logging.WARNING, "x.py", 1, message, words, trouble)
    return logs.formatter(form).format(record)


@pytest.mark.parametrize("queue_id", ["4F1A2B3C4D", "3Pt2mN2VXxznjll", "NOQUEUE"])
def test_a_line_about_a_mail_begins_with_its_queue_id_in_both_forms(queue_id):
    assert line("text", "%s: kept: size=%d", queue_id, 7) == f"{queue_id}: kept: size=7"

    assert line("json", "%s: kept: size=%d", queue_id, 7).startswith(f'{{"queue_id": "{queue_id}", ')
    assert json.loads(line("json", "%s: kept: size=%d", queue_id, 7)) == {
        "queue_id": queue_id,
        "level": "warning",
        "room": "messenger_milter.intake",
        "message": f"{queue_id}: kept: size=7",
    }


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("listening on %s", ("4F1A2B3C4D",)),
        ("%s: again", ("abcd-efgh-jkmn-pqrs",)),
        ("%s: no disk", ("/var/lib/x",)),
        ("ledger: %d removed", (3,)),
        ("stopped", ()),
    ],
)
def test_a_line_about_no_mail_has_no_queue_id(message, words):
    assert json.loads(line("json", message, *words))["queue_id"] == ""


@pytest.mark.parametrize("form", logs.FORMATS)
def test_an_exception_and_what_holds_line_ends_stay_on_one_line(form):
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        found = line(form, "%s: unforeseen\r\n4F1A2B3C4D: forged", "4F1A2B3C4E", error=error)

    assert len(found.splitlines()) == 1
    assert "ValueError: two" in found
    assert "test_logs.py:" in found


def test_the_form_may_be_chosen_after_the_start(capfd):
    logs.start()
    logging.getLogger("messenger").info("one")
    logs.start("json")
    logging.getLogger("messenger").info("two")
    logs.start()

    written = capfd.readouterr().err.splitlines()
    assert written[0] == "one"
    assert json.loads(written[1])["message"] == "two"
