"""``messenger message``: look at a mail as the reader would show it, for trying and for support."""

from typing import Any

import click

from .. import message as mail
from .options import config_option, echo_json, read_input


@click.group(epilog="Example: messenger message show mail.eml --format text")
def message() -> None:
    """Look at single mails."""


@message.command(epilog="Example: messenger message show mail.eml --format html > body.html")
@click.argument("file")
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "text", "json"]),
    default="text",
    show_default=True,
    help="The sanitised body for the browser's frame, the text with its head, or everything for a script.",
)
@click.option("--remote-pictures", is_flag=True, help="In html: let pictures load from other servers.")
@config_option
def show(file: str, form: str, remote_pictures: bool) -> None:
    """Show FILE (- for standard input) as the reader would. Needs no settings."""
    raw = read_input(file)
    if form == "html":
        shown = mail.show(raw, remote_pictures=remote_pictures)
        click.echo(shown.html)
        if shown.fallback:
            click.echo(f"messenger: shown as plain text: {shown.fallback}", err=True)
    elif form == "json":
        echo_json(_described(mail.read(raw)))
    else:
        click.echo(_text(mail.read(raw)))


def _text(found: mail.Message) -> str:
    head = [
        ("From", _people(found.senders)),
        ("To", _people(found.to)),
        ("Cc", _people(found.cc)),
        ("Date", found.date.isoformat() if found.date else ""),
        ("Subject", found.subject),
        *(("Attachment", _attachment(part)) for part in found.attachments),
        ("Problems", ", ".join(found.problems)),
    ]
    lines = [f"{name}: {value}" for name, value in head if value]
    return "\n".join([*lines, "", found.text])


def _people(people: tuple[mail.Person, ...]) -> str:
    return ", ".join(f"{person.name} <{person.address}>" if person.name else person.address for person in people)


def _attachment(part: mail.Part) -> str:
    return f"{part.filename} ({part.content_type}, {part.size} bytes, part {part.number})"


def _described(found: mail.Message) -> dict[str, Any]:
    def people(persons: tuple[mail.Person, ...]) -> list[dict[str, Any]]:
        return [{"name": person.name, "address": person.address, "suspicious": person.suspicious} for person in persons]

    return {
        "subject": found.subject,
        "from": people(found.senders),
        "to": people(found.to),
        "cc": people(found.cc),
        "reply_to": people(found.reply_to),
        "date": found.date.isoformat() if found.date else None,
        "message_id": found.message_id,
        "text": found.text,
        "has_html": found.html is not None,
        "attachments": [
            {
                "number": part.number,
                "filename": part.filename,
                "content_type": part.content_type,
                "size": part.size,
                "inline": part.inline,
            }
            for part in found.attachments
        ],
        "headers": [list(pair) for pair in found.headers],
        "problems": list(found.problems),
    }
