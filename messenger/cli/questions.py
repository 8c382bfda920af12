"""What setup has to know: each answer with its option, its place in the settings, and what to offer when nobody says.

Decides nothing about files. The form of an answer is that of the settings key.
"""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from .. import config
from . import status

Place = tuple[str, str]
Answers = dict[Place, Any]


@dataclass(frozen=True)
class Question:
    option: str
    place: Place
    help: str
    #: Asked for; without this the key has a good default, and the option is for those who know.
    asked: str = ""
    many: bool = False
    #: Means nothing without a tunnel: not asked for then, but the settings want an answer.
    tunnel: bool = False
    #: What to offer, from the answers so far; None: nothing can be guessed.
    offer: Callable[[Answers], Any] = lambda answers: None
    #: Turns the words of the command line into what the settings hold.
    read: Callable[[str], Any] = str


def _absolute(words: str) -> str:
    """A relative path on the command line starts where the person is, not where the settings are."""
    return str(Path.cwd() / words)


def _socket(words: str) -> str:
    return words if words.startswith("inet") else _absolute(words.removeprefix("unix:"))


def _at_own_domain(local_part: str) -> Callable[[Answers], str]:
    return lambda answers: f"{local_part}@{answers['site', 'own_domains'][0]}"


def _at_portal(local_part: str) -> Callable[[Answers], str]:
    """A domain of its own: Postfix can then take it over without a thought for other people's mail."""

    def offer(answers: Answers) -> str:
        host = urlsplit(answers["site", "portal_url"]).hostname or ""
        named = "." in host and not host.replace(".", "").isdigit() and ":" not in host
        return f"{local_part}@{host}" if named else _at_own_domain(local_part)(answers)

    return offer


QUESTIONS = (
    Question(
        "--portal-url",
        ("site", "portal_url"),
        "Where readers find the portal: https and a host name.",
        asked="Portal's URL, such as https://webmail.example.com",
    ),
    Question(
        "--own-domain",
        ("site", "own_domains"),
        "A domain your own people write from; repeat for more.",
        asked="Your own mail domains, separated by spaces",
        many=True,
    ),
    Question(
        "--webmail-sender",
        ("tunnel", "webmail_sender"),
        "Address the gateway sends tunnel mail from.",
        asked="Webmail sender (the gateway sends tunnel mail from it)",
        tunnel=True,
        offer=_at_own_domain("webmail-sender"),
    ),
    Question(
        "--webmail-recipient",
        ("tunnel", "webmail_recipient"),
        "Address the gateway sends tunnel mail to.",
        asked="Webmail recipient (the gateway sends tunnel mail to it)",
        tunnel=True,
        offer=_at_portal("webmail"),
    ),
    Question(
        "--notice-from",
        ("notice", "mail_from"),
        "Sender of notices.",
        asked="Sender of notices",
        offer=_at_own_domain("webmail-notice"),
    ),
    Question(
        "--mail-root",
        ("mail", "root"),
        "Folder that holds the mailboxes.",
        asked="Folder for the mailboxes",
        offer=lambda answers: "/var/lib/webmail-messenger/mail",
        read=_absolute,
    ),
    Question("--site-name", ("site", "name"), "What pages and notices call the site."),
    Question("--language", ("site", "language"), "Language of notices: en or de."),
    Question("--time-zone", ("site", "time_zone"), "Time zone of dates in notices, such as Europe/Berlin."),
    Question(
        "--milter-socket",
        ("intake", "socket"),
        "A path, or inet:PORT@HOST, where Postfix reaches the milter.",
        read=_socket,
    ),
    Question(
        "--gateway-socket",
        ("gateway", "socket"),
        "The same for messenger-gateway.",
        read=_socket,
    ),
    Question("--sendmail", ("notice", "sendmail"), "Command that hands mail of ours to Postfix.", read=shlex.split),
    Question("--smtp", ("notice", "smtp"), "HOST:PORT to hand it over by SMTP instead."),
    Question("--listen", ("reader", "listen"), "HOST:PORT of messenger-reader, for the web server in front."),
)


def answers_of(options: Mapping[str, Any], current: Answers, *, ask: bool, tunnel: bool = True) -> Answers:
    """Return every answer: by option, else by asking, else as the settings have it, else as offered."""
    answers: Answers = {}
    for question in QUESTIONS:
        given = _given(question, options)
        offer = current.get(question.place) or question.offer(answers)
        if given:
            answers[question.place] = given
        elif ask and question.asked and (tunnel or not question.tunnel):
            answers[question.place] = _asked(question, offer)
        elif offer is not None:
            answers[question.place] = _checked(question, offer)
        elif question.asked:
            raise status.Failed(
                f"{question.option} is needed: {question.help} Give it, or leave out --non-interactive to be asked",
                status.USAGE,
            )
    return answers


def answers_given(options: Mapping[str, Any]) -> Answers:
    """Return the answers that options give, and no other."""
    return {question.place: given for question in QUESTIONS if (given := _given(question, options))}


def _given(question: Question, options: Mapping[str, Any]) -> Any:
    words = options[question.option.lstrip("-").replace("-", "_")]
    if not words:
        return None
    return _checked(question, [str(word) for word in words] if question.many else question.read(str(words)))


def _asked(question: Question, offer: Any) -> Any:
    def read(words: str) -> Any:
        try:
            return _checked(question, words.split() if question.many else question.read(words))
        except status.Failed as error:
            raise click.BadParameter(str(error)) from error

    shown = " ".join(offer) if isinstance(offer, list) else offer
    return click.prompt(question.asked, default=shown, value_proc=read)


def _checked(question: Question, value: Any) -> Any:
    """Make sure that the settings would take *value*, and return it as they hold it."""
    try:
        found = config.check(*question.place, value)
    except config.ConfigError as error:
        raise status.Failed(f"{question.option}: {error}", status.USAGE) from error
    if question.read in (_absolute, _socket):
        return value  # what is relative in the settings stays so
    return list(found) if isinstance(found, tuple) else found
