"""Manual pages out of what --help says, as roff: one for each command, subcommand and service.

click-man does much the same, but knows neither \\b blocks nor our examples, and would be one dependency more.
"""

import configparser
import importlib
import re
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click

ROOT = Path(__file__).parent.parent
#: Section of the manual: commands for people, and services.
COMMAND, SERVICE = "1", "8"
MANUAL = "Webmail Messenger"
SETTINGS = "/etc/webmail-messenger/messenger.toml"


def programs() -> dict[str, click.Command]:
    """Commands by the name that setup.cfg installs them under."""
    setup_cfg = configparser.ConfigParser()
    setup_cfg.read(ROOT / "setup.cfg")
    found = {}
    for line in filter(None, setup_cfg["options.entry_points"]["console_scripts"].splitlines()):
        name, _, place = (word.strip() for word in line.partition("="))
        module, _, function = place.partition(":")
        # messenger's own main() wraps its group of commands.
        group = "messenger.cli.main:commands" if name == "messenger" else f"{module}:{function}"
        module, _, function = group.partition(":")
        found[name] = getattr(importlib.import_module(module), function)
    return found


def man_pages(release: str, epoch: int) -> dict[str, str]:
    """Return roff by file name ("messenger-setup.1"); *epoch*, Unix seconds, is the pages' date."""
    date = time.strftime("%Y-%m-%d", time.gmtime(epoch))
    pages = {}
    for name, command in programs().items():
        section = COMMAND if isinstance(command, click.Group) else SERVICE
        for path, inner in _walk(name, command):
            pages[f"{path.replace(' ', '-')}.{section}"] = _page(path, inner, section, date, release)
    return pages


def _walk(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for word, inner in command.commands.items():
            if not inner.hidden:
                yield from _walk(f"{path} {word}", inner)


def _page(path: str, command: click.Command, section: str, date: str, release: str) -> str:
    context = click.Context(command, info_name=path, help_option_names=["-h", "--help"])
    title = path.replace(" ", "-")
    lines = [f'.TH "{title.upper()}" "{section}" "{date}" "webmail-messenger {release}" "{MANUAL}"', ".SH NAME"]
    lines += [f"{_escaped(title)} \\- {_escaped(_first_sentence(command))}", ".SH SYNOPSIS"]
    lines += [f".B {_escaped(path)}", _escaped(" ".join(command.collect_usage_pieces(context)))]
    lines += [".SH DESCRIPTION", *_paragraphs(command.help or "")]
    options = [record for parameter in command.get_params(context) if (record := parameter.get_help_record(context))]
    options = [(term, text) for term, text in options if text]  # an argument is told about in the description
    if options:
        lines += [".SH OPTIONS", *_terms(options)]
    if isinstance(command, click.Group):
        inner = [(word, _first_sentence(each)) for word, each in command.commands.items() if not each.hidden]
        lines += [".SH COMMANDS", *_terms(inner)]
    if command.epilog:
        lines += [".SH EXAMPLES", ".nf", *(_escaped(line) for line in _examples(command.epilog)), ".fi"]
    lines += [".SH ENVIRONMENT", *_terms([("MESSENGER_CONFIG", f"Settings file in place of {SETTINGS}.")])]
    lines += [".SH FILES", *_terms([(SETTINGS, "The settings.")])]
    lines += [".SH EXIT STATUS", "0 for done; else as sysexits.h names it: see commands.md."]
    lines += [".SH SEE ALSO", *_see_also(path, command)]
    lines += [".PP", "All documents: /usr/share/doc/webmail\\-messenger/"]
    return "\n".join(lines) + "\n"


def _first_sentence(command: click.Command) -> str:
    text = " ".join((command.help or "").split("\n\n")[0].split())
    return re.split(r"(?<=[a-z)\"])[.;:] ", text)[0].rstrip(".").replace("\b ", "")


def _examples(epilog: str) -> list[str]:
    text = epilog.replace("\b\n", "")
    return [line.strip() for line in re.sub(r"^Examples?:\s*", "", text).splitlines() if line.strip()]


def _paragraphs(text: str) -> Iterator[str]:
    """click wraps each paragraph, but for one that starts with \\b."""
    for paragraph in text.split("\n\n"):
        yield ".PP"
        kept = paragraph.startswith("\b")
        body = [_escaped(line) for line in paragraph.lstrip("\b\n").splitlines()]
        yield from [".nf", *body, ".fi"] if kept else [_escaped(" ".join(paragraph.split()))]


def _terms(rows: list[tuple[str, str]]) -> Iterator[str]:
    for term, text in rows:
        yield from (".TP", f".B {_escaped(term)}", _escaped(" ".join(text.split())) or "\\&")


def _see_also(path: str, command: click.Command) -> Iterator[str]:
    if isinstance(command, click.Group):
        names = [(f"{path} {word}", COMMAND) for word, inner in command.commands.items() if not inner.hidden]
        if " " not in path:
            names += [(name, SERVICE) for name in programs() if name != path]
    else:
        names = [("messenger", COMMAND)]
    if " " in path:
        names.append((path.rpartition(" ")[0], COMMAND))
    for name, number in sorted(set(names)):
        yield f".BR {_escaped(name.replace(' ', '-'))} ({number})"


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


def main() -> None:
    """Write the pages into the folder named, dated today."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in man_pages(version("webmail-messenger"), int(time.time())).items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main()
