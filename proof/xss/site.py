"""The site that the browser finds at every name: our pages at localhost; what is asked for elsewhere is noted down."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from messenger.message import FRAME_SANDBOX

from .layers import LAYERS, SANDBOX, Item, Layers, frame_policy, page_policy

#: Frames on one page.
BATCH = 128
_TLS_HANDSHAKE = 0x16


@dataclass
class Asked:
    """What came to us that is no page of ours."""

    urls: list[str] = field(default_factory=list)


class Site(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, items: Sequence[Item]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.items = items
        self.asked = Asked()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_port}"

    @property
    def batches(self) -> int:
        return -(-len(self.items) // BATCH)


def word(layers: Layers) -> str:
    """A combination as it stands in addresses and tables."""
    return "+".join(one for one in LAYERS if one in layers) or "none"


class _Answer(BaseHTTPRequestHandler):
    server: Site

    def handle(self) -> None:
        # A browser that wants HTTPS says the name it wants, and that is enough.
        try:
            first = self.request.recv(2048, socket.MSG_PEEK)
        except OSError:
            return
        if first[:1] == bytes((_TLS_HANDSHAKE,)):
            self.server.asked.urls.append(f"https://{server_name(first) or '?'}/")
            return
        try:
            super().handle()
        except OSError:
            self.close_connection = True

    def do_GET(self) -> None:
        host = self.headers.get("Host", "").partition(":")[0]
        parts = self.path.strip("/").split("/")
        if host != "localhost":
            self._note(f"http://{host}{self.path}")
        elif len(parts) == 3 and parts[1] in ("page", "mail") and parts[2].isdigit():
            layers = frozenset(parts[0].split("+")) & frozenset(LAYERS)
            number = int(parts[2])
            if parts[1] == "page":
                self._answer(self._page(layers, number), page_policy(layers))
            else:
                self._answer(self.server.items[number].document(layers), frame_policy(layers))
        elif self.path == "/favicon.ico":
            self._answer("", "", 404)
        else:
            self._note(self.path)

    do_POST = do_HEAD = do_OPTIONS = do_GET

    def _page(self, layers: Layers, batch: int) -> str:
        attribute = f' sandbox="{FRAME_SANDBOX}"' if SANDBOX in layers else ""
        numbers = range(batch * BATCH, min((batch + 1) * BATCH, len(self.server.items)))
        frames = "".join(
            f'<iframe{attribute} referrerpolicy="no-referrer" src="/{word(layers)}/mail/{one}"></iframe>'
            for one in numbers
        )
        return f"<!DOCTYPE html><title>page</title>{frames}"

    def _note(self, url: str) -> None:
        self.server.asked.urls.append(f"{self.command} {url}" if self.command != "GET" else url)
        self._answer("", "", 404)

    def _answer(self, body: str, policy: str, status: int = 200) -> None:
        content = body.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        if policy:
            self.send_header("Content-Security-Policy", policy)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def server_name(hello: bytes) -> str:
    """The name in a ClientHello (RFC 6066, section 3), or nothing."""
    try:
        at = 43  # record and handshake heads, version, random
        at += 1 + hello[at]  # session
        at += 2 + int.from_bytes(hello[at : at + 2], "big")  # cipher suites
        at += 1 + hello[at]  # compression
        end = at + 2 + int.from_bytes(hello[at : at + 2], "big")
        at += 2
        while at < end:
            kind, length = int.from_bytes(hello[at : at + 2], "big"), int.from_bytes(hello[at + 2 : at + 4], "big")
            if kind == 0:
                return hello[at + 9 : at + 4 + length].decode("ascii", "replace")
            at += 4 + length
    except IndexError:
        pass
    return ""


@contextmanager
def serving(items: Sequence[Item]) -> Iterator[Site]:
    """The site, answering."""
    site = Site(items)
    thread = threading.Thread(target=site.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.shutdown()
        site.server_close()
