"""Show numbers to Prometheus: where each service answers, and what several of them count.

Numbers only: no label ever holds an address, a subject, a link or a name of a file. Knows no settings file.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from cryptography import x509
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)

#: Each service listens so many ports after the one in the settings.
PORTS = {"reader": 0, "milter": 1, "pdfotp": 2, "gateway": 3}
#: In seconds: a mail is opened in milliseconds; a PDF takes a second, and longer where it is hard.
QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
SLOW = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0, 80.0)


def open_port(listen: str, service: str) -> socket.socket | None:
    """Bind the port of *service*; *listen* is ``HOST:PORT`` of the settings. A failure is a line in the log.

    Nobody's mail waits because a port is taken.
    """
    host, _, number = listen.rpartition(":")
    address = (host.strip("[]"), int(number) + PORTS[service])
    try:
        family = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server(address, family=family)
    except (OSError, OverflowError) as error:
        reason = "choose another [metrics] listen: it and the three ports after it must be free"
        log.warning("no metrics: cannot listen on %s, port %d: %s; %s", address[0], address[1], error, reason)
        return None


def answering(bound: socket.socket, registry: CollectorRegistry) -> threading.Thread:
    """Return the thread that answers on *bound* once it is started. Several processes may answer on one socket."""
    server = _Server(bound.getsockname(), _Quiet, bind_and_activate=False)
    server.socket.close()
    server.socket = bound
    server.setup_environ()
    server.set_app(make_wsgi_app(registry))
    return threading.Thread(target=server.serve_forever, name="metrics", daemon=True)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    server_name, server_port = "metrics", 0


class _Quiet(WSGIRequestHandler):
    timeout = 10

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return "-"  # not looked up


Asked = Mapping[str, Callable[[], float]]


class Gauges(Collector):
    """Numbers that are looked up when somebody asks. One that can't be is left out, and Prometheus tells so."""

    def __init__(self, name: str, words: str, label: str, found: Callable[[], Asked]) -> None:
        self._metric, self._label, self._found = (name, words), label, found

    def describe(self) -> Iterable[Metric]:
        return [GaugeMetricFamily(*self._metric, labels=[self._label])]

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(*self._metric, labels=[self._label])
        for value, ask in self._found().items():
            try:
                family.add_metric([value], ask())
            except (OSError, ValueError) as error:
                log.warning("metrics: %s %s: %s", self._metric[0], value, type(error).__name__)
        yield family


def certificates(registry: CollectorRegistry, paths: Callable[[], Mapping[str, Path | None]]) -> None:
    """Show how many seconds each certificate is still good; below zero when it is over.

    *paths*: by setting, with a number behind it where there are several. They are read when asked for, as the settings
    are by then.
    """

    def left(path: Path) -> float:
        certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
        return certificate.not_valid_after_utc.timestamp() - time.time()

    def asked() -> Asked:
        return {name: partial(left, path) for name, path in paths().items() if path}

    words = "Seconds until a certificate that the settings name is over"
    registry.register(Gauges("messenger_certificate_expires_seconds", words, "setting", asked))


def numbered(setting: str, paths: Iterable[Path]) -> dict[str, Path]:
    """Return the paths of a setting that holds several, as *certificates* takes them."""
    return {f"{setting}[{number}]": path for number, path in enumerate(paths)}


def files_in(folder: Path) -> int:
    """Count what lies in *folder*, but for hidden files; a folder that is not there has none."""
    try:
        with_dots = [entry.name for entry in folder.iterdir()]
    except FileNotFoundError:
        return 0
    return sum(not name.startswith(".") for name in with_dots)
