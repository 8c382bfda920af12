"""Hand a finished mail to the mail system: by sendmail(1), or by SMTP to a port of its own.

When ``submit`` returns, the mail is in the mail system's queue, on disk. Whatever goes wrong is temporary, and the mail
isn't there, unless the error is SubmissionUnclear. Knows nothing of what it hands over.
"""

import contextlib
import os
import re
import select
import signal
import smtplib
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import MessengerError

TIMEOUT_SECONDS = 60
#: How long a connection may lie idle: less than any server waits, even one under stress (Postfix: 10 s).
IDLE_SECONDS = 3
#: So many commands go out before the first answer is read: both sides' buffers hold them.
PIPELINED = 32
#: How much of what a program complains of goes to the log.
COMPLAINT_CHARACTERS = 400

_TOO_LARGE = re.compile(r"\b552\b|\b5\.3\.4\b|message file too big")


class SubmissionError(MessengerError):
    """The mail system didn't take the mail."""

    temporary = True

    @property
    def too_large(self) -> bool:
        """Whether it takes no mail of that size, so that trying again won't help (RFC 1870; postdrop(1))."""
        return _TOO_LARGE.search(str(self)) is not None


class SubmissionUnclear(SubmissionError):
    """The mail system may have taken the mail: all of it went there, and no answer came back."""


class _NoAnswer(smtplib.SMTPServerDisconnected):
    """The connection broke, or it took too long, when nothing but the answer to the whole mail was missing."""


@dataclass(frozen=True)
class Route:
    """How mail leaves us."""

    sendmail: tuple[str, ...] = ("/usr/sbin/sendmail",)
    #: "host:port"; wins over sendmail.
    smtp: str = ""


def submit(message: bytes, mail_from: str, rcpt_tos: Sequence[str], route: Route) -> None:
    """Put *message* into the mail system's queue for all of *rcpt_tos*, or raise SubmissionError."""
    _check(mail_from, rcpt_tos)
    if route.smtp:
        _by_smtp(message, mail_from, rcpt_tos, route.smtp)
    else:
        _by_sendmail(message, mail_from, rcpt_tos, route.sendmail)


class Relay:
    """Submits mail after mail: where *route* says SMTP, over connections that stay open in between.

    To set one up and end it costs both sides more than the mail. Several threads may submit at once. Whoever holds one
    calls ``tidy`` now and then.
    """

    def __init__(self, route: Route) -> None:
        self.route = route
        self._idle: list[tuple[float, smtplib.SMTP]] = []
        self._lock = threading.Lock()

    def submit(self, message: bytes, mail_from: str, rcpt_tos: Sequence[str]) -> None:
        """Do what the function ``submit`` does."""
        _check(mail_from, rcpt_tos)
        if not self.route.smtp:
            _by_sendmail(message, mail_from, rcpt_tos, self.route.sendmail)
            return
        try:
            while kept := self._kept():
                # One that broke off meanwhile says nothing about the mail: the next one, or a new one.
                with contextlib.suppress(smtplib.SMTPServerDisconnected, ConnectionError):
                    return self._converse(kept, message, mail_from, rcpt_tos)
            self._converse(_connected(self.route.smtp), message, mail_from, rcpt_tos)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise SubmissionError(f"SMTP to {self.route.smtp}: {_one_line(str(error))}") from error

    def _converse(self, smtp: smtplib.SMTP, message: bytes, mail_from: str, rcpt_tos: Sequence[str]) -> None:
        try:
            _converse(smtp, message, mail_from, rcpt_tos)
        except BaseException:
            smtp.close()
            raise
        with self._lock:
            self._idle.append((time.monotonic(), smtp))

    def tidy(self) -> None:
        """Close what nobody has needed for a while: each connection keeps a process of the server waiting."""
        with self._lock:
            old = [smtp for since, smtp in self._idle if time.monotonic() - since > IDLE_SECONDS]
            self._idle = [(since, smtp) for since, smtp in self._idle if smtp not in old]
        for smtp in old:
            _part(smtp)

    def _kept(self) -> smtplib.SMTP | None:
        """A connection that is still good, the one used last."""
        with self._lock:
            while self._idle:
                since, smtp = self._idle.pop()
                if time.monotonic() - since <= IDLE_SECONDS and not _speaks(smtp):
                    return smtp
                _part(smtp)
        return None


def _part(smtp: smtplib.SMTP) -> None:
    """Say goodbye and don't wait for the answer."""
    with contextlib.suppress(smtplib.SMTPException, OSError):
        smtp.putcmd("QUIT")
    smtp.close()


def _speaks(smtp: smtplib.SMTP) -> bool:
    """Whether there is something to read where nothing was asked: the server says goodbye, or is gone."""
    if smtp.sock is None:
        return True
    waiting = select.poll()
    waiting.register(smtp.sock, select.POLLIN)
    return bool(waiting.poll(0))


def _check(mail_from: str, rcpt_tos: Sequence[str]) -> None:
    for address in (mail_from, *rcpt_tos):
        if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", address):
            raise SubmissionError(f"a control or broken character in the address {address!a}")
    if not rcpt_tos:
        raise SubmissionError("nobody to send to")


def _by_sendmail(message: bytes, mail_from: str, rcpt_tos: Sequence[str], sendmail: Sequence[str]) -> None:
    # -i: a line with a single dot doesn't end the mail. --: no recipient is an option, whatever it begins with.
    # Bytes, because addresses are UTF-8 (RFC 6531) whatever the locale of this process is.
    command = [word.encode() for word in (*sendmail, "-i", "-f", mail_from, "--", *rcpt_tos)]
    try:
        status, said = _run(command, message.replace(b"\r\n", b"\n"))  # sendmail(1) takes text files of this system
    except FileNotFoundError as error:
        raise SubmissionError(
            f"{sendmail[0]} isn't there: install Postfix, or set sendmail or smtp under [notice]"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise SubmissionUnclear(f"{sendmail[0]} took longer than {TIMEOUT_SECONDS} s") from error
    except OSError as error:
        raise SubmissionError(f"can't run {sendmail[0]}: {error.strerror}") from error
    if status != 0:
        reason = _one_line(said.decode("utf-8", "replace")) or "no reason given"
        raise SubmissionError(f"{sendmail[0]} ended with status {status}: {reason}")


def _run(command: Sequence[bytes], message: bytes) -> tuple[int, bytes]:
    """Run *command* with *message* as its input; return its status and what it said."""
    # Whole before it begins, not through a pipe: if we are killed meanwhile, sendmail(1) sends no torn mail.
    with os.fdopen(os.memfd_create("mail"), "w+b") as mail:
        mail.write(message)
        mail.seek(0)
        process = subprocess.Popen(
            command,
            stdin=mail,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with process:
        try:
            said, _ = process.communicate(timeout=TIMEOUT_SECONDS)
        except BaseException:
            # With its children (postdrop): they would hold our pipe open.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, said


def _by_smtp(message: bytes, mail_from: str, rcpt_tos: Sequence[str], server: str) -> None:
    try:
        smtp = _connected(server)
        # Not "with smtp": that fails where the answer to QUIT is odd, though the mail is in the queue by then.
        with contextlib.closing(smtp):
            _converse(smtp, message, mail_from, rcpt_tos)
            with contextlib.suppress(smtplib.SMTPException, OSError):
                smtp.quit()
    except _NoAnswer as error:
        raise SubmissionUnclear(f"SMTP to {server}: {_one_line(str(error))}") from error
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise SubmissionError(f"SMTP to {server}: {_one_line(str(error))}") from error


def _connected(server: str) -> smtplib.SMTP:
    host, _, port = server.rpartition(":")
    # Told no name, smtplib asks the DNS for ours, which may take long; an address will do (RFC 5321, 4.1.1.1).
    return smtplib.SMTP(host.strip("[]"), int(port), local_hostname="[127.0.0.1]", timeout=TIMEOUT_SECONDS)


def _converse(smtp: smtplib.SMTP, message: bytes, mail_from: str, rcpt_tos: Sequence[str]) -> None:
    smtp.ehlo_or_helo_if_needed()
    options = []
    head = re.split(rb"\r?\n\r?\n", message, maxsplit=1)[0]
    if not (head.isascii() and all(address.isascii() for address in (mail_from, *rcpt_tos))):
        options.append("SMTPUTF8")
    if not message.isascii():
        options.append("BODY=8BITMIME")
    for option in options:
        extension = option.removeprefix("BODY=")
        if not smtp.has_extn(extension):
            raise smtplib.SMTPNotSupportedError(f"the server doesn't offer {extension}, which this mail needs")
    if "SMTPUTF8" in options:
        smtp.command_encoding = "utf-8"
    # Not smtp.sendmail(): it goes on when only some recipients are taken, and then a retry would serve those twice.
    mail = " ".join((f"MAIL FROM:<{mail_from}>", *options))
    _ask(smtp, [(250, mail), *((250, f"RCPT TO:<{address}>") for address in rcpt_tos), (354, "DATA")])
    smtp.send(_content(message))
    try:
        code, said = smtp.getreply()
    except smtplib.SMTPServerDisconnected as error:
        raise _NoAnswer(f"no answer to the mail: {error}") from error
    if code != 250:
        raise smtplib.SMTPDataError(code, said)


def _ask(smtp: smtplib.SMTP, commands: Sequence[tuple[int, str]]) -> None:
    """Send commands, several at once where the server takes that; raise unless each gets the code it is to get.

    After an error the connection is of no use: there may be more answers, or the server may be waiting for the mail.
    """
    group = PIPELINED if smtp.has_extn("pipelining") else 1  # RFC 2920
    for start in range(0, len(commands), group):
        sent = commands[start : start + group]
        smtp.send("".join(f"{command}\r\n" for _, command in sent))
        for expected, command in sent:
            code, said = smtp.getreply()
            if code != expected:
                raise smtplib.SMTPResponseException(code, f"{command}: {said.decode('utf-8', 'replace')}")


def _content(message: bytes) -> bytes:
    """The mail as DATA takes it: lines that end in CRLF, dots at their beginning doubled, then a dot alone."""
    if not message.count(b"\n") == message.count(b"\r\n") == message.count(b"\r"):
        message = re.sub(rb"\r?\n", b"\r\n", message)
    dotted = b"\r\n" + message.removesuffix(b"\r\n") + b"\r\n"
    return dotted.replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


def _one_line(text: str) -> str:
    return re.sub(r"[\s\x00-\x1f\x7f]+", " ", text).strip()[:COMPLAINT_CHARACTERS]
