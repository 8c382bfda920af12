"""The command messenger-reader: read the settings, then let gunicorn answer browsers until told to stop.

They are read again at SIGHUP, for new workers. The only place of the reader that knows the settings file and the
process it runs in.
"""

import logging
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import click
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.config import Config
from gunicorn.glogging import Logger

from messenger import config as settings
from messenger import logs, notice_texts
from messenger.accounts import Accounts
from messenger.config_forms import host_port
from messenger.config_renewal import read_again
from messenger.errors import MessengerError
from messenger.passing import EX_TEMPFAIL, disk_in_trouble

from . import background, checks, context, metrics
from .app import create_app
from .main_process import MainProcess

log = logging.getLogger(__name__)

# sysexits.h: systemd starts us again for the first, and doesn't for the second.
EX_UNAVAILABLE = 69
EX_CONFIG = 78
#: Settings that count from a start to its end: sockets are bound by then, tables made, and others work there too.
FIXED = {
    "mail": ("root",),
    "accounts": ("database",),
    "reader": ("listen", "cache"),
    "metrics": ("listen",),
}
#: The first that systemd hands over (sd_listen_fds(3)).
FIRST_SOCKET = 3
THREADS = 8
#: A worker whose main loop is stuck for this long is replaced; a slow page doesn't hold that loop up.
STUCK_SECONDS = 60
#: How long a stop waits for answers under way; below systemd's TimeoutStopSec.
SETTLE_SECONDS = 30
#: nginx, in front, keeps its connections to us open between requests.
KEEPALIVE_SECONDS = 15
REQUEST_LINE_BYTES, HEADER_FIELDS, HEADER_FIELD_BYTES = 4094, 64, 8190


def _listen(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    try:
        return value and host_port(value)
    except ValueError as error:
        raise click.BadParameter(f'expected HOST:PORT such as 127.0.0.1:8025, found "{value}"') from error


@click.command()
@click.option("--config", "path", type=click.Path(readable=False, path_type=Path), help="Settings file.")
@click.option(
    "--check",
    "only_check",
    is_flag=True,
    help="Test settings, keys, folders, templates, the sanitiser and PDFs, then exit.",
)
@click.option("--listen", callback=_listen, help="Another HOST:PORT than the settings name.")
def main(path: Path | None, only_check: bool, listen: str | None) -> None:
    """Show people their messages: the web portal, for a web server such as nginx in front of it."""
    logs.start()
    places: tuple[Path, ...] = ()
    try:
        config = settings.load(path)
        logs.start(config.log.format)
        places = (config.accounts.database, config.reader.cache)
        found = checks.problems(config)
        if only_check:
            found += [*checks.sanitiser(), *checks.drawing()]
        if not found and not only_check:
            # Makes the tables once, before the workers start, and says what is wrong in one sentence.
            Accounts(config.accounts.database).close()
    except MessengerError as error:
        found = [str(error)]
    if found:
        click.echo("\n".join(found), err=True)
        passing = not only_check and disk_in_trouble(*places)
        sys.exit(EX_TEMPFAIL if passing else EX_CONFIG)
    if only_check:
        click.echo("settings, keys, folders, templates, the sanitiser and the drawing of PDFs are fine")
        return
    if listen:
        config = replace(config, reader=replace(config.reader, listen=listen))
    if not _handed_over(config.reader.listen) and (problem := next(checks.port(config.reader.listen), "")):
        click.echo(problem, err=True)
        sys.exit(EX_UNAVAILABLE)
    Server(path, config).run()


def _handed_over(listen: str) -> bool:
    """Whether a socket to listen on is bound already, by systemd or by an older process of ours.

    What systemd holds at another port than the settings name isn't used: the web server asks where those say.
    """
    if "GUNICORN_FD" in os.environ:
        return True
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return False
    found = []
    for number in range(int(os.environ.get("LISTEN_FDS", 0))):
        with socket.socket(fileno=os.dup(FIRST_SOCKET + number)) as handed:
            found.append(handed.getsockname())
    port = int(listen.rpartition(":")[2])
    if any(isinstance(name, str) or name[1] == port for name in found):
        return True
    if found:
        del os.environ["LISTEN_FDS"]
        log.warning(
            "not used: messenger-reader.socket listens on %s, [reader] listen is %s; `messenger setup` tells systemd",
            found[0],
            listen,
        )
    return False


class Log(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """One plain line each, as everything of ours; the journal knows time and process."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(logging.getLogger().handlers[0].formatter)


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, set up by our settings alone: no file, no environment, no command line of its own."""

    def __init__(self, path: Path | None, config: settings.Config) -> None:
        self._path, self._config = path, config
        self._metrics = metrics.shared(config.metrics.listen)
        super().__init__()

    def run(self) -> None:
        MainProcess(self).run()

    def renew(self) -> None:
        """Take what the files say by now; raises, and changes nothing, where that can't be used."""
        config = read_again(self._path, self._config, FIXED)
        with notice_texts.renewing():
            if found := checks.problems(config):
                raise settings.ConfigError("; ".join(found))
        logs.start(config.log.format)
        self._config = config

    def load_config(self) -> None:
        for name, value in gunicorn_settings(self._config).items():
            self.cfg.set(name, value)
        if self._metrics:
            # Of the process that starts the others, when all have ended.
            self.cfg.set("on_exit", lambda _: self._metrics.close())

    def load(self) -> Flask:
        app = create_app(self._config)
        background.install(app)
        context.of(app).receipts.start()
        if self._metrics:
            self._metrics.install(app, self._config)
        return app


def gunicorn_settings(config: settings.Config) -> dict[str, object]:
    """What differs from gunicorn's defaults, or must not be taken from its environment variables."""
    return {
        # A socket handed over by systemd wins over this; gunicorn sees to that, and to sd_notify.
        "bind": config.reader.listen,
        "proc_name": "messenger-reader",
        "workers": config.reader.workers,
        "worker_class": "gthread",
        "threads": THREADS,
        "timeout": STUCK_SECONDS,
        "graceful_timeout": SETTLE_SECONDS,
        "keepalive": KEEPALIVE_SECONDS,
        "limit_request_line": REQUEST_LINE_BYTES,
        "limit_request_fields": HEADER_FIELDS,
        "limit_request_field_size": HEADER_FIELD_BYTES,
        # What proxies say is believed by app.py, as many as the settings name, and by nobody else.
        "forwarded_allow_ips": "",
        "secure_scheme_headers": {},
        "forwarder_headers": "",
        # Addresses of pages hold links' tokens and messages' names: no access log.
        "accesslog": None,
        "errorlog": "-",
        "loglevel": "info",
        "logger_class": Log,
        # A second door to the process that nobody here needs.
        "control_socket_disable": True,
    }
