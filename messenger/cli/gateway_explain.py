"""``messenger gateway explain``: how a mail would go to each recipient, with every step of the way there."""

import os
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from .. import visible
from ..config import Config
from ..envelope import AddressError, normal
from ..gateway.decision import decide, destination, outside
from ..gateway.grounds import Grounds
from ..gateway.lookup import Levels
from ..gateway.policy_file import PolicyFile
from ..gateway.rules import judge
from ..gateway.values import Choice, Decision, Judgement, Seen, Setting, Way
from ..message import headers
from .options import config_option, echo_json, json_option, read_input, settings

WIDTH = 80
#: Columns of a setting's value, at most: the name before it and its origin behind it have 20 to 30.
_VALUE = 30
_COLOURS = {Way.REFUSE: "red", Way.CLEAR: "yellow"}
_IN_WORDS = {
    Way.CLEAR: "goes in clear",
    Way.ENCRYPTED: "goes as it is: encrypted already",
    Way.SMIME: "goes encrypted with S/MIME",
    Way.PGP: "goes by the PGP filter",
    Way.PDF: "goes as an encrypted PDF",
    Way.WEBMAIL: "goes by webmail",
    Way.REFUSE: "is refused: 550, and nobody gets any of it",
}


@dataclass(frozen=True)
class _Explained:
    """One recipient's part of the proof."""

    choice: Choice
    settings: tuple[Setting, ...]
    judgement: Judgement | None


@click.command(
    epilog='Example: messenger gateway explain --from anna@example.com --to bob@example.net --subject "[secure] Hi"'
)
@click.option("--from", "sender", required=True, metavar="ADDRESS", help='Who sends it (MAIL FROM); "" for a bounce.')
@click.option(
    "--to", "recipients", required=True, multiple=True, metavar="ADDRESS", help="A recipient; repeat for more."
)
@click.option("--subject", metavar="TEXT", help="Its subject.")
@click.option("--header", "fields", multiple=True, metavar="'NAME: VALUE'", help="A header field; repeat for more.")
@click.option("--mail", "file", metavar="FILE", help="The whole mail instead, - for standard input.")
@click.option("--authenticated", is_flag=True, help="As if its client had logged in to Postfix.")
@json_option
@config_option
def explain(
    sender: str,
    recipients: tuple[str, ...],
    subject: str | None,
    fields: tuple[str, ...],
    file: str | None,
    authenticated: bool,
    as_json: bool,
) -> None:
    """Explain how a mail would leave: each setting and where it was said, each rule, each way that was tried.

    Sends nothing and changes nothing. Exit status 0, whatever is decided.
    """
    if file is not None and (subject is not None or fields):
        raise click.UsageError("--mail brings subject and header fields along; leave --subject and --header out")
    given = _of_mail(read_input(file)) if file is not None else (_of_words(subject, fields), None)
    seen = Seen(_address(sender), tuple(map(_address, recipients)), given[0], authenticated, given[1])
    config = settings()
    standing = Grounds(config.basis(), PolicyFile(config.gateway.policy)).now()
    ground, policy = standing.ground, standing.policy
    decision = decide(seen, ground)
    explained = [_explained(choice, seen, ground.levels, policy.rules, config) for choice in decision.choices]
    passing = seen.mail_from in standing.senders
    if as_json:
        echo_json(_object(seen, decision, explained))
    else:
        is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        for line in _lines(seen, decision, explained, config, passing):
            click.echo(line, color=is_coloured)


def _address(text: str) -> str:
    bare = text.strip().removeprefix("<").removesuffix(">")
    try:
        return normal(bare)
    except AddressError:
        return bare  # as the gateway takes it: the policy has a word for that too


def _of_words(subject: str | None, fields: tuple[str, ...]) -> tuple[tuple[str, bytes], ...]:
    found = [("Subject", subject.encode("utf-8", "surrogateescape"))] if subject is not None else []
    for field in fields:
        name, colon, value = field.partition(":")
        if not colon or not name.strip():
            raise click.BadParameter(f"expected 'NAME: VALUE', found {field!r}", param_hint="--header")
        found.append((name.strip(), value.strip().encode("utf-8", "surrogateescape")))
    return tuple(found)


def _of_mail(content: bytes) -> tuple[tuple[tuple[str, bytes], ...], bytes]:
    """The fields and the whole of a mail, as the gateway sees them: with line ends of SMTP."""
    raw = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    fields, _ = headers.split(raw, 0, len(raw))
    return tuple(
        (name.decode("ascii", "replace"), value.replace(b"\n", b"").strip(b" \t")) for name, value in fields.items
    ), raw


def _explained(choice: Choice, seen: Seen, levels: Levels, rules: Any, config: Config) -> _Explained:
    whom = destination(choice.recipient, config.site.own_domains)
    found = levels.every(seen.mail_from, whom)
    defaults = {"webmail_sender": config.tunnel.webmail_sender, "webmail_recipient": config.tunnel.webmail_recipient}
    shown = tuple(
        one if one.value != "" else Setting(one.name, defaults.get(one.name, ""), f"{one.origin}: that of [tunnel]")
        for one in found
    )
    is_asked = outside(choice.recipient, config.site.own_domains)
    return _Explained(choice, shown, judge(rules, seen, whom) if is_asked else None)


def _lines(seen: Seen, decision: Decision, explained: list[_Explained], config: Config, passing: bool) -> Iterator[str]:
    for one in explained:
        yield from _wrapped("", f"From {seen.mail_from or '<>'} to {one.choice.recipient}", "", bold=True)
        yield from _settings(one.settings)
        yield from _rules(one.judgement)
        yield _heading("Steps")
        for number, step in enumerate(one.choice.proof, 1):
            yield from _wrapped(f"{number:>4}. ", step, " " * 6)
        yield _heading("Result")
        yield from _wrapped("  ", _result(one.choice), "  ", fg=_COLOURS.get(one.choice.way, "green"), bold=True)
        yield ""
    yield from _notes(seen, decision, explained, config, passing)


def _settings(found: tuple[Setting, ...]) -> Iterator[str]:
    yield _heading("Settings")
    values = [str(one.value).lower() if isinstance(one.value, bool) else str(one.value) for one in found]
    width = min(max(map(len, values)), _VALUE)
    for one, value in zip(found, values, strict=True):
        if len(value) > width:
            yield from (f"  {one.name}", f"      {value}")
            yield from _wrapped(" " * 6, one.origin, " " * 6)
        else:
            yield from _wrapped(f"  {one.name:<18}{value:<{width}}  ", one.origin, " " * (22 + width))


def _rules(judgement: Judgement | None) -> Iterator[str]:
    yield _heading("Rules")
    if judgement is None:
        yield "  none is asked"
    elif not judgement.verdicts:
        yield "  there are none"
    for one in judgement.verdicts if judgement else ():
        mark, colour = {True: ("yes", "green"), False: ("no", None), None: ("?", "yellow")}[one.matched]
        yield from _wrapped(click.style(f"  {mark:<4}", fg=colour), f"{one.rule}: {one.result}", " " * 6)
        yield from _wrapped(" " * 6, one.why, " " * 6)


def _result(choice: Choice) -> str:
    said = _IN_WORDS[choice.way]
    if choice.way not in (Way.WEBMAIL, Way.PDF):
        return said
    options = f", with {', '.join(sorted(choice.options))}" if choice.options else ""
    return f"{said}, from {choice.webmail_sender} to {choice.webmail_recipient}{options}"


def _notes(seen: Seen, decision: Decision, explained: list[_Explained], config: Config, passing: bool) -> Iterator[str]:
    notes = []
    if len(decision.choices) > 1 and any(choice.way is Way.REFUSE for choice in decision.choices):
        notes.append("One recipient is refused, so the whole mail is: 550, and nobody gets any of it.")
    if seen.raw is None and any(one.judgement and one.judgement.needs_body for one in explained):
        notes.append('Rules marked "?" have to see the mail, and may change the result; give it with --mail.')
    if decision.remove:
        notes.append("Taken out of the subject: " + ", ".join(f'"{word}"' for word in decision.remove))
    if passing:
        notes.append("From a host of Messenger's own ([gateway] messenger_hosts) mail of this sender passes untouched.")
    if config.gateway.mode == "observe":
        notes.append('[gateway] mode is "observe": this is noted, and the mail goes on as it is.')
    for note in notes:
        yield from _wrapped("", note, "")


def _heading(text: str) -> str:
    return click.style(text, underline=True)


def _wrapped(before: str, text: str, indent: str, **style: Any) -> list[str]:
    """*text* behind *before*, in lines of 80 columns, the others behind *indent*; no word is cut."""
    lines = textwrap.wrap(
        visible.line(text, 2_000),
        WIDTH - len(indent or click.unstyle(before)),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]
    styled = [click.style(line, **style) if style else line for line in lines]
    return [f"{before if number == 0 else indent}{line}" for number, line in enumerate(styled)]


def _object(seen: Seen, decision: Decision, explained: list[_Explained]) -> dict[str, Any]:
    return {
        "sender": seen.mail_from,
        "refused": any(choice.way is Way.REFUSE for choice in decision.choices),
        "removed_from_subject": list(decision.remove),
        "recipients": [_recipient(seen, one) for one in explained],
    }


def _recipient(seen: Seen, one: _Explained) -> dict[str, Any]:
    choice, judgement = one.choice, one.judgement
    return {
        "recipient": choice.recipient,
        "way": choice.way,
        "options": sorted(choice.options),
        "webmail_sender": choice.webmail_sender or None,
        "webmail_recipient": choice.webmail_recipient or None,
        "settings": [{"name": item.name, "value": item.value, "origin": item.origin} for item in one.settings],
        "rules": [
            {"name": verdict.rule, "result": verdict.result, "matched": verdict.matched, "why": verdict.why}
            for verdict in (judgement.verdicts if judgement else ())
        ],
        "steps": list(choice.proof),
        "needs_mail": bool(seen.raw is None and judgement and judgement.needs_body),
    }
