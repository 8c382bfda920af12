"""What the portal tells Prometheus: right over all its processes, and nothing about anybody."""

import json
import os
import re
import signal
import socket
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from messenger_reader import metrics
from tests.reader_fixtures import ALICE, portal
from tests.test_service_reader import reader


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Each number by its name and its labels' values, in the order of the labels' names."""
    return {
        (one.name, *(value for _, value in sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def ports(count: int = 4) -> int:
    """A port that is free, as are those after it."""
    for start in range(20_000 + os.getpid() * 8 % 10_000, 32_000, count):
        try:
            for number in range(start, start + count):
                socket.create_server(("127.0.0.1", number)).close()
        except OSError:
            continue
        return start
    raise AssertionError("no ports are free")


def shown(port: int) -> str:
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def patiently(ask):
    """Ask until there is an answer: a process that dies takes what it was asked with it."""
    for _ in range(600):
        try:
            return ask()
        except OSError:
            time.sleep(0.1)
    return ask()


@pytest.fixture
def site(tmp_path):
    found = portal(tmp_path)
    registry = CollectorRegistry()
    metrics.count(found.app, registry)
    found.number = lambda name, **labels: registry.get_sample_value(name, labels)
    found.text = lambda: str([list(family.samples) for family in registry.collect()])
    return found


def test_a_page_is_counted_by_its_route_and_never_by_its_address(site):
    browser = site.browser()
    site.get(browser, site.link(ALICE))
    site.get(browser, "/there/is/no/such/page")

    count = site.number("messenger_pages_total", route="/l/<token>", method="GET", status="303")
    nowhere = [site.number("messenger_pages_total", route="none", method="GET", status=code) for code in ("303", "404")]
    assert count == 1
    assert 1 in nowhere
    assert site.token(ALICE) not in site.text()
    assert "such/page" not in site.text()
    assert site.number("messenger_page_seconds_count") == 2


def test_a_method_that_somebody_makes_up_is_no_label(site):
    for method in ("BREW", "WHEN"):
        site.browser().open("/login", method=method, base_url=site.base)

    assert "BREW" not in site.text()


def test_log_ins_and_sign_ups_are_counted_by_outcome(site):
    browser = site.browser()
    site.sign_up(browser, password="short")
    site.sign_up(browser)
    site.log_in(site.browser())
    for _ in range(7):
        site.log_in(site.browser(), password="wrong wrong wrong")

    assert site.number("messenger_sign_ups_total", outcome="accepted") == 1
    assert site.number("messenger_sign_ups_total", outcome="refused") == 1
    assert site.number("messenger_log_ins_total", step="password", outcome="accepted") == 1
    refused = site.number("messenger_log_ins_total", step="password", outcome="refused")
    slowed = site.number("messenger_log_ins_total", step="password", outcome="slowed")
    assert refused + slowed == 7
    assert slowed > 0
    assert ALICE not in site.text()


def test_all_processes_are_added_up_and_a_process_that_dies_takes_nothing_along(tmp_path):
    port = ports()
    more = f'workers = 2\n[metrics]\nlisten = "127.0.0.1:{port}"\n[log]\nformat = "json"'
    (tmp_path / "tmp").mkdir()
    with reader(tmp_path, environment={"TMPDIR": str(tmp_path / "tmp")}, reader=more) as running:
        for _ in range(40):
            running.ask("GET", "/login").read()
        counted = ("messenger_pages_total", "GET", "/login", "200")
        before = {samples(shown(port)).get(counted) for _ in range(8)}
        (folder,) = (tmp_path / "tmp").glob("messenger-reader-metrics-*")
        dying = next(iter(folder.glob("counter_*.db"))).stem.rpartition("_")[2]
        os.kill(int(dying), signal.SIGKILL)
        patiently(lambda: running.ask("GET", "/login").read())
        after = patiently(lambda: samples(shown(port))[counted])
        log = running.log()

    assert before == {40}
    assert after == 41
    assert list((tmp_path / "tmp").glob("messenger-reader-metrics-*")) == []
    lines = [json.loads(line) for line in log.splitlines()]
    assert any("Listening at" in line["message"] for line in lines)
    assert {next(iter(line)) for line in lines} == {"queue_id"}


def test_a_port_that_is_taken_is_told_and_the_portal_works_without_metrics(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        more = f'[metrics]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"'
        with reader(tmp_path, reader=more) as running:
            status = running.ask("GET", "/login").status
            log = running.log()

    assert status == 200
    assert re.search("no metrics: cannot listen on 127.0.0.1, port .*choose another", log)


def test_without_the_setting_nothing_is_counted_and_no_port_is_open(tmp_path):
    assert metrics.shared("") is None
    assert not list(Path(tmp_path).iterdir())
