"""What both milters do with a connection: collect a mail within bounds, and answer 451 to all that nobody foresaw.

Every argument is taken as bytes. What a mail means is decided by those who build on it: ``milter.py`` takes tunnel mail
in, ``gateway_milter.py`` looks at what goes out.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar, cast

import Milter

from messenger.errors import MessengerError

from . import socket_file
from .verdicts import LATER, TOO_LARGE, Action, Verdict, one_line

log = logging.getLogger(__name__)

#: All mails being collected at one time; more than that and the sender is asked to come back.
MEMORY_LIMIT = 512 * 1024 * 1024

#: More header fields than any program writes. One that is kept apart costs thirty times its octets.
MAX_FIELDS = 10_000

#: libmilter writes the answer to Postfix after our callback has returned.
REPLY_SECONDS = 0.5

CONTINUE: int = Milter.CONTINUE
ACCEPT: int = Milter.ACCEPT
NOREPLY: int = Milter.NOREPLY
_ANSWERS: dict[Action, int] = {
    Action.DISCARD: Milter.DISCARD,
    Action.TEMPFAIL: Milter.TEMPFAIL,
    Action.REJECT: Milter.REJECT,
    # Not ACCEPT: at the end of a message it means the same, and edits made before stand with both.
    Action.ACCEPT: Milter.CONTINUE,
}
# Every step saved is a round trip that all the mail of the machine is spared.
_STEPS: dict[str, int] = {
    "connect": Milter.P_NR_CONN,
    "envfrom": Milter.P_NR_MAIL,
    "envrcpt": Milter.P_NR_RCPT,
    "header": Milter.P_NR_HDR,
}
Callback = TypeVar("Callback", bound=Callable[..., int | None])


class Load:
    """What this process has in hand: bytes collected, mails at their end, and what became of the others."""

    def __init__(self, limit: int = MEMORY_LIMIT) -> None:
        self.verdicts: Counter[str] = Counter()
        self._limit = limit
        self._bytes = 0
        self._working = 0
        self._changed = threading.Condition()

    def allow(self, size: int) -> None:
        """Let a mail of *size* bytes fit in when nothing else is in hand."""
        with self._changed:
            self._limit = max(self._limit, size)

    def grow(self, size: int) -> bool:
        """Claim *size* bytes; False when that would be too many."""
        with self._changed:
            if self._bytes + size > self._limit:
                return False
            self._bytes += size
            return True

    def shrink(self, size: int) -> None:
        """Give *size* bytes back."""
        with self._changed:
            self._bytes -= size

    def __enter__(self) -> None:
        with self._changed:
            self._working += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._working -= 1
            self._changed.notify_all()

    def settle(self, seconds: float) -> bool:
        """Wait until no end of message is being worked on; False when *seconds* were not enough."""
        with self._changed:
            if not self._working:
                return True
            settled = self._changed.wait_for(lambda: not self._working, seconds)
        time.sleep(REPLY_SECONDS)
        return settled


class Context(Protocol):
    """What pymilter's milterContext offers that we use."""

    def getsymval(self, name: str) -> str | None: ...
    def setreply(self, code: str, status: str, text: str) -> None: ...
    def delrcpt(self, address: str) -> None: ...
    def chgheader(self, name: str, index: int, value: str) -> None: ...
    def progress(self) -> None: ...
    def setpriv(self, connection: object) -> None: ...


def guarded(callback: Callback) -> Callback:
    """Turn whatever a callback did not foresee into our own 451; pymilter's names its classes to the client."""

    @functools.wraps(callback)
    def wrapper(self: Connection, *args: Any) -> int:
        try:
            return cast(int, callback(self, *args))
        except MessengerError as error:
            log.warning("%s: %s: %s", self.queue_id, type(error).__name__, one_line(error))
            return self._answer(LATER)
        except Exception:
            log.exception("%s: unforeseen in %s", self.queue_id, callback.__name__)
            return self._answer(LATER)

    return cast(Callback, wrapper)


def guarded_without_reply(callback: Callback) -> Callback:
    """The same for a step Postfix expects no answer to: the next that has one gives the 451."""

    @functools.wraps(callback)
    def wrapper(self: Connection, *args: Any) -> int:
        step = _STEPS[callback.__name__]
        try:
            callback(self, *args)
        except Exception:
            log.exception("%s: unforeseen in %s", self.queue_id, callback.__name__)
            self._refusal = LATER
        return NOREPLY if self._protocol & step else CONTINUE

    return cast(Callback, wrapper)


class Connection:
    """One SMTP connection; mails follow each other on it, so each MAIL starts afresh."""

    #: What may be changed, which steps there are, and which of them Postfix waits for.
    ACTIONS = 0
    PROTOCOL = 0

    def __init__(self, context: Context, size_limit: int, load: Load) -> None:
        self._context = context
        self._size_limit = size_limit
        self._load = load
        self._protocol = 0
        #: Its IP address, where that is asked for and known.
        self._client: str | None = None
        self._raw = io.BytesIO()
        self._claimed = 0
        self._forget()

    def _forget(self) -> None:
        """Be ready for the next mail; give back what the last one held."""
        if self._claimed:
            self._load.shrink(self._claimed)
            self._raw = io.BytesIO()
        self._claimed = 0
        self._begun = False
        self._mail_from = b""
        self._rcpt_tos: list[bytes] = []
        self._in_body = False
        self._fields = 0
        self._decided = False
        self._refusal: Verdict | None = None
        self.queue_id = "NOQUEUE"

    def negotiate(self, options: list[int]) -> int:
        """Ask for the steps that have a callback here and for the edits that are made, no more."""
        options[0] &= self.ACTIONS
        options[1] = self._protocol = options[1] & self.PROTOCOL
        options[2] = options[3] = 0
        return CONTINUE

    @guarded_without_reply
    def connect(self, hostname: bytes, family: int, client: object = None) -> None:
        """A client has come, for those who ask from where."""
        self._client = str(client[0]) if isinstance(client, tuple) and client else None

    @guarded_without_reply
    def envfrom(self, mail_from: bytes, *_parameters: bytes) -> None:
        """MAIL FROM: a new mail begins."""
        self._begin(mail_from)

    @guarded_without_reply
    def envrcpt(self, rcpt_to: bytes, *_parameters: bytes) -> None:
        """RCPT TO: ours or not, others may follow; so nothing is decided yet."""
        self._rcpt_tos.append(rcpt_to)

    @guarded
    def data(self) -> int:
        """DATA: all recipients are known; what is none of our business crosses no further."""
        return self._decide()

    @guarded_without_reply
    def header(self, name: str, value: bytes) -> None:
        """One header field as Postfix has it: folded by LF, its first blank included where Postfix can do that."""
        space = b"" if self._protocol & Milter.P_HDR_LEADSPC else b" "
        folded = value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        self._collect_field(name.encode("ascii", "surrogateescape") + b":" + space + folded + b"\r\n")

    @guarded
    def eoh(self) -> int:
        """The header is whole: nothing to do for those who wait for the end."""
        if self._protocol & Milter.P_NR_EOH:
            return NOREPLY
        return CONTINUE if self._decided else self._decide()

    @guarded
    def body(self, chunk: bytes) -> int:
        """A piece of the body; the mail is turned away as soon as it is known to be too much."""
        if not self._decided and (answer := self._decide()) != CONTINUE:
            return answer
        self._end_headers()
        self._collect(chunk)
        return CONTINUE if self._refusal is None else self._answer(self._refusal)

    @guarded
    def eom(self) -> int:
        """The end of the message: the mail is ours now, or its sender keeps it."""
        with self._load:
            if not self._decided and (answer := self._decide()) != CONTINUE:
                return answer
            self._end_headers()
            if self._refusal is not None:
                return self._answer(self._refusal)
            self.queue_id = self._macro("i") or self.queue_id
            return self._answer(self._conclude())

    def abort(self) -> int:
        """This mail ends here, the connection may go on."""
        self._forget()
        return CONTINUE

    def close(self) -> int:
        """The connection is gone."""
        self._forget()
        return CONTINUE

    def _begin(self, mail_from: bytes) -> None:
        self._forget()
        self._begun = True
        self._mail_from = mail_from

    def _decide(self) -> int:
        """Whether the mail is ours; asked once, and late where the MTA knows no DATA (``milter_protocol`` below 4)."""
        self._decided = True
        if self._refusal is not None:
            return self._answer(self._refusal)
        if not self._begun or not self._rcpt_tos:
            log.warning("%s: the MTA names no sender or no recipient: whose mail it is can't be told", self.queue_id)
            return self._answer(LATER)
        if not self._concerns_us():
            return ACCEPT
        self.queue_id = self._macro("i") or "NOQUEUE"
        return CONTINUE

    def _macro(self, name: str) -> str:
        """What Postfix says under *name*; a client's own word (``{auth_authen}``) needn't be UTF-8."""
        try:
            return self._context.getsymval(name) or ""
        except UnicodeDecodeError as error:
            return error.object.decode(errors="backslashreplace")

    def _concerns_us(self) -> bool:
        raise NotImplementedError

    def _conclude(self) -> Verdict:
        """Do what is to be done with the whole mail, edits included; say what Postfix is told."""
        raise NotImplementedError

    def _end_headers(self) -> None:
        if not self._in_body:
            self._in_body = True
            self._collect(b"\r\n")

    def _taken(self) -> bytes:
        """What was collected, held by nobody but the caller from now on."""
        raw, self._raw = self._raw.getvalue(), io.BytesIO()
        return raw

    def _progress(self) -> None:
        """Ask Postfix for patience; should it be gone, we finish what we have begun."""
        with contextlib.suppress(Milter.error):
            self._context.progress()

    def _collect(self, piece: bytes) -> None:
        if self._refusal is not None:
            return
        if self._claimed + len(piece) > self._size_limit:
            self._turn_away(TOO_LARGE, "larger than the limit of %d bytes", self._size_limit)
        elif not self._load.grow(len(piece)):
            self._turn_away(LATER, "too many large mails at one time")
        else:
            self._claimed += len(piece)
            self._raw.write(piece)

    def _collect_field(self, field: bytes) -> bool:
        """Collect one header field; False where the mail is turned away, now or before."""
        self._fields += 1
        if self._fields > MAX_FIELDS and self._refusal is None:
            self._turn_away(TOO_LARGE, "more than %d header fields", MAX_FIELDS)
        self._collect(field)
        return self._refusal is None

    def _turn_away(self, verdict: Verdict, reason: str, *args: object) -> None:
        log.warning("%s: " + reason, self.queue_id, *args)
        self._load.shrink(self._claimed)
        self._claimed = 0
        self._raw = io.BytesIO()
        self._refusal = verdict

    def _delete(self, rcpt_tos: Iterable[bytes]) -> None:
        """Take recipients off the mail: spelled as the client did, or nothing is deleted."""
        for rcpt_to in dict.fromkeys(rcpt_tos):
            self._context.delrcpt(rcpt_to.decode())
            # Postfix tells us a source route, keeps the recipient without it, and finds none that is told with one.
            if (kept := mailbox(rcpt_to)) not in (rcpt_to, rcpt_to[1:-1]):
                self._context.delrcpt(kept.decode())

    def _answer(self, verdict: Verdict) -> int:
        """Postfix's answer to a verdict; the mail's memory is free from here on."""
        self._load.verdicts[verdict.reply[:3] or "kept"] += 1
        if verdict.reply:
            code, status, text = verdict.reply.split(" ", 2)
            self._context.setreply(code, status, text)
        self._forget()
        return _ANSWERS[verdict.action]


def mailbox(path: bytes) -> bytes:
    """A path of the envelope without its brackets and its source route (RFC 5321, appendix C)."""
    bare = path[1:-1] if path.startswith(b"<") and path.endswith(b">") else path
    return bare.partition(b":")[2] if bare.startswith(b"@") and b":" in bare else bare


def is_path(given: bytes) -> bool:
    """Whether a recipient is written as in SMTP; in mail by sendmail(1) none is."""
    return given.startswith(b"<") and given.endswith(b">")


def text(path: bytes) -> str:
    """An address of the envelope as text; what is no UTF-8 stands as an escape."""
    return path.strip(b"<>").decode(errors="backslashreplace")


def run(name: str, title: str, connected: Callable[[Context], Connection], ready: Callable[[], None]) -> None:
    """Answer Postfix on the socket *name* until libmilter gets SIGTERM or SIGINT; callbacks may still be running.

    *connected* makes what answers on a new connection, from whatever Postfix says of it.
    """

    def negotiate(context: Any, options: list[int]) -> int:
        connection = connected(context)
        context.setpriv(connection)
        return connection.negotiate(options)

    def close(context: Any) -> int:
        connection = context.getpriv()
        context.setpriv(None)  # the two hold each other
        return connection.close() if connection else CONTINUE

    Milter.set_flags(Milter.DELRCPT | Milter.CHGHDRS)
    Milter.set_exception_policy(Milter.TEMPFAIL)
    Milter.set_connect_callback(lambda context, *words: context.getpriv().connect(*words))
    Milter.set_envfrom_callback(lambda context, *words: context.getpriv().envfrom(*words))
    Milter.set_envrcpt_callback(lambda context, *words: context.getpriv().envrcpt(*words))
    Milter.set_header_callback(lambda context, field, value: context.getpriv().header(field, value))
    Milter.set_eoh_callback(lambda context: context.getpriv().eoh())
    Milter.set_body_callback(lambda context, chunk: context.getpriv().body(chunk))
    Milter.set_eom_callback(lambda context: context.getpriv().eom())
    Milter.set_abort_callback(lambda context: context.getpriv().abort())
    Milter.set_close_callback(close)
    Milter.setconn(name)
    Milter.register(title, data=lambda context: context.getpriv().data(), negotiate=negotiate)
    socket_file.opened(name, lambda: Milter.opensocket(False))
    ready()
    Milter.main()
