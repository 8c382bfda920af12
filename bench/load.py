"""What the measurements of the intake share: a site, tunnel mails that differ, clients that send them at once."""

from __future__ import annotations

import os
import queue
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from demo.postfix import PrivatePostfix
from tests.milter_fixtures import SENDER, Site

KB, MB = 1024, 1024 * 1024
LINE = b"VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZy4gVGhlIHF1aWNrIGJy\r\n"
RECIPIENTS = 50


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that the user postfix may enter."""
    with tempfile.TemporaryDirectory(prefix="messenger-bench-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def original(size: int, number: int) -> bytes:
    """A message with an attachment, unlike every other."""
    head = (
        f"From: Sam <sam@example.com>\r\nSubject: {number} {os.urandom(8).hex()}\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\n"
    )
    return head.encode() + LINE * (size // len(LINE))


def tunnel_mails(site: Site, size: int, count: int) -> list[bytes]:
    """Tunnel mails of *size* bytes each, for the same few people."""
    inner = int(size / 1.4)  # base64 around the encrypted content
    return [site.tunnel_mail(original(inner, n), [f"reader{n % RECIPIENTS}@example.org"]) for n in range(count)]


class PutOff(Exception):
    """The mail was not taken now; its sender tries again."""


def deliver(port: int, raw: bytes, *rcpt_tos: str) -> None:
    """One SMTP session with one mail; anything but success is an error, PutOff where a sender would come back."""
    with socket.create_connection(("127.0.0.1", port), timeout=600) as client, client.makefile("rb") as replies:

        def expect(code: bytes) -> None:
            while (line := replies.readline())[3:4] == b"-":
                pass
            if not line.startswith(code):
                if line.startswith(b"4"):
                    raise PutOff(line.decode(errors="replace"))
                raise RuntimeError(f"expected {code!r}, Postfix says {line!r}")

        expect(b"220")
        client.sendall(b"EHLO gateway.example.com\r\n")
        expect(b"250")
        rcpts = "".join(f"RCPT TO:<{rcpt_to}>\r\n" for rcpt_to in rcpt_tos)
        client.sendall(f"MAIL FROM:<{SENDER}>\r\n{rcpts}DATA\r\n".encode())
        for _ in range(1 + len(rcpt_tos)):
            expect(b"250")
        expect(b"354")
        client.sendall(raw + b".\r\n")
        expect(b"250")
        client.sendall(b"QUIT\r\n")
        expect(b"221")


def send_all(port: int, mails: Sequence[tuple[bytes, str]], concurrency: int) -> None:
    """Send each mail once to its recipient, *concurrency* at a time."""
    if send_jobs([(port, raw, (rcpt_to,)) for raw, rcpt_to in mails], concurrency):
        raise RuntimeError("expected each mail to be taken at once, some were put off")


#: A port, a mail, and its recipients.
Job = tuple[int, bytes, tuple[str, ...]]
#: Senders wait longer, but what is measured is who has to.
AGAIN_SECONDS = 0.2


def send_jobs(jobs: Iterable[Job], concurrency: int) -> int:
    """Send each mail, *concurrency* at a time; return how often one was put off, to be sent again."""
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    errors: list[Exception] = []
    put_off: list[Job] = []
    for job in jobs:
        waiting.put(job)

    def client() -> None:
        try:
            while True:
                job = waiting.get_nowait()
                port, raw, rcpt_tos = job
                try:
                    deliver(port, raw, *rcpt_tos)
                except PutOff:
                    put_off.append(job)
                    waiting.put(job)
                    time.sleep(AGAIN_SECONDS)
        except queue.Empty:
            return
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=client) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return len(put_off)


def wait_idle(postfix: PrivatePostfix, seconds: float = 20.0) -> None:
    """Wait until nothing is left in the queue."""
    deadline = time.monotonic() + seconds
    while any(_files(postfix.queue / name) for name in ("maildrop", "incoming", "active", "deferred")):
        if time.monotonic() > deadline:
            last = "\n".join(line for line in postfix.log.read_text().splitlines()[-200:] if "qmgr" not in line)
            raise RuntimeError(f"mail is stuck in the queue:\n{last}")
        time.sleep(0.002)


def rate(postfix: PrivatePostfix, send: Callable[[], None], count: int, patience: float = 20.0) -> float:
    """Mails a second, from the first connection until all work caused by them is done."""
    wait_idle(postfix)
    began = time.perf_counter()
    send()
    wait_idle(postfix, patience)
    return count / (time.perf_counter() - began)


def median_ratio(measured: Iterable[float], against: Iterable[float]) -> float:
    """The middle of the ratios of neighbouring runs: what else the machine does hits both."""
    return statistics.median(one / other for one, other in zip(measured, against, strict=True))


def verdict(held: bool) -> str:
    return "held" if held else "MISSED"


def _files(folder: Path) -> bool:
    return any(files for _, _, files in os.walk(folder))
