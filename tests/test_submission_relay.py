"""Submitting mail after mail over connections that stay open."""

from __future__ import annotations

import socketserver
import threading
import time

import pytest

from messenger import submission
from messenger.submission import Relay, Route, SubmissionError

MAIL = b"Subject: x\r\n\r\nHello\r\n"


class Server(socketserver.ThreadingTCPServer):
    """Takes mail; counts connections; may break off or refuse."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.connections = self.open = 0
        self.mails: list[bytes] = []
        #: Say goodbye after so many mails on a connection.
        self.patience = 1000
        self.rcpt_reply = b"250 ok\r\n"

    @property
    def route(self) -> Route:
        return Route(smtp=f"127.0.0.1:{self.server_address[1]}")


class Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.server.connections += 1
        self.server.open += 1
        self.converse()
        self.server.open -= 1

    def converse(self) -> None:
        self.wfile.write(b"220 sink\r\n")
        done = 0
        while done < self.server.patience and (line := self.rfile.readline()):
            match line[:4].upper():
                case b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = [*iter(self.rfile.readline, b".\r\n")]
                    self.server.mails.append(b"".join(lines))
                    done += 1
                    self.wfile.write(b"250 kept\r\n")
                case b"RCPT":
                    self.wfile.write(self.server.rcpt_reply)
                case b"QUIT":
                    return
                case _:
                    self.wfile.write(b"250 ok\r\n")


@pytest.fixture
def server():
    with Server() as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def send(relay, count=1):
    for _ in range(count):
        relay.submit(MAIL, "notices@portal.example", ("ann@example.org",))


def test_mail_after_mail_needs_one_connection(server):
    send(Relay(server.route), 5)

    assert server.mails == [MAIL] * 5
    assert server.connections == 1


def test_threads_do_not_share_a_connection_at_one_time(server):
    relay = Relay(server.route)
    threads = [threading.Thread(target=send, args=(relay, 20)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert server.mails == [MAIL] * 80
    assert server.connections <= 4


def test_a_connection_that_the_server_has_closed_is_replaced(server):
    server.patience = 1
    relay = Relay(server.route)

    for _ in range(3):
        send(relay)
        time.sleep(0.05)

    assert server.mails == [MAIL] * 3
    assert server.connections == 3


def test_a_connection_that_lay_idle_for_long_is_not_used_again(server, monkeypatch):
    monkeypatch.setattr(submission, "IDLE_SECONDS", -1)

    send(Relay(server.route), 2)

    assert server.connections == 2


def test_tidying_lets_go_of_connections_that_nobody_needs(server, monkeypatch):
    relay = Relay(server.route)
    send(relay)
    relay.tidy()
    send(relay)
    assert server.connections == 1

    monkeypatch.setattr(submission, "IDLE_SECONDS", -1)
    relay.tidy()
    deadline = time.monotonic() + 5
    while server.open and time.monotonic() < deadline:
        time.sleep(0.01)

    assert server.open == 0


def test_a_refusal_is_an_error_and_the_next_mail_gets_through(server):
    relay = Relay(server.route)
    send(relay)
    server.rcpt_reply = b"451 not now\r\n"
    with pytest.raises(SubmissionError, match="not now"):
        send(relay)
    server.rcpt_reply = b"250 ok\r\n"

    send(relay)

    assert server.mails == [MAIL] * 2


def test_without_a_server_it_is_an_error_that_passes(server):
    route = server.route
    server.shutdown()
    server.server_close()

    with pytest.raises(SubmissionError, match="SMTP to") as caught:
        send(Relay(route))

    assert caught.value.temporary


def test_where_no_server_is_named_sendmail_is_run(tmp_path):
    script = tmp_path / "sendmail"
    script.write_text(f"#!/bin/sh\nexec cat > {tmp_path}/mail\n")
    script.chmod(0o755)

    send(Relay(Route(sendmail=(str(script),))))

    assert (tmp_path / "mail").read_bytes() == MAIL.replace(b"\r\n", b"\n")
