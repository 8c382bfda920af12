"""What the two milters tell Prometheus, and that what the alerts and the dashboard ask for is there."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .gateway_fixtures import SECRET, Client, Gateway
from .gateway_fixtures import running as gateway_running
from .milter_fixtures import Mta, Site, running
from .test_metrics_reader import ports, samples, shown

ROOT = Path(__file__).parent.parent
PROMETHEUS = ROOT / "config" / "prometheus"
MODULES = [ROOT / "messenger/metrics.py", *ROOT.glob("*/messenger_*/metrics.py")]
COUNTED = {
    name for path in MODULES for name in re.findall(r'"(messenger_[a-z_]+)"', path.read_text()) if "milter." not in name
}
USED = "\n".join(path.read_text() for path in PROMETHEUS.iterdir())


def listening(port: int) -> str:
    return f'[metrics]\nlisten = "127.0.0.1:{port}"\n[log]\nformat = "json"\n'


def test_the_milter_counts_mails_by_verdict_and_reason_and_times_each_step(tmp_path):
    site, port = Site(tmp_path / "home"), ports()
    site.settings.write_text(site.settings.read_text() + listening(port))
    with running(site) as process:
        with Mta(site.socket) as mta:
            kept = mta.send(site.tunnel_mail(to=("ann@example.org", "bob@example.org")))
            mta.send(b"From: x@example.com\r\n\r\nin clear\r\n", queue_id="4bXq8b2B")
        text = shown(port + 1)
        status = process.stop()
        lines = [json.loads(line) for line in process.text().splitlines()]

    found = samples(text)
    assert kept.action == "discard"
    assert found["messenger_mails_total", "", "kept"] == 1
    assert [value for key, value in found.items() if key[0] == "messenger_mails_total" and key[2] == "refused"] == [1]
    assert found["messenger_answers_total", "kept"] == 1
    assert found["messenger_answers_total", "550"] == 1
    assert found["messenger_notices_total", "notice", "sent"] == 2
    steps = {step: found["messenger_mail_seconds_count", step] for step in ("unwrap", "deliver", "tell")}
    assert steps == {"unwrap": 2, "deliver": 2, "tell": 2}
    assert found["messenger_certificate_expires_seconds", "tunnel.recipient_certificates[0]"] > 0
    assert not re.search(r"@|example|plan|4bXq", text)
    # The thread that answers leaves signals to libmilter.
    assert status == 0
    assert {"4bXq7y1Z", "4bXq8b2B"} <= {line["queue_id"] for line in lines}
    assert {next(iter(line)) for line in lines} == {"queue_id"}


@pytest.mark.parametrize(("mode", "outcome"), [("enforce", "discard"), ("observe", "observed")])
def test_the_gateway_counts_recipients_by_the_way_that_was_chosen(tmp_path, mode, outcome):
    port = ports()
    gateway = Gateway(tmp_path / "home", section={"mode": f'"{mode}"'})
    gateway.settings.write_text(gateway.settings.read_text() + listening(port))
    with gateway_running(gateway) as process, Client(gateway.socket) as client:
        client.send(SECRET, "ann@example.org", "bob@example.net")
        text = shown(port + 3)
        lines = [json.loads(line) for line in process.text().splitlines()]

    found = samples(text)
    assert found["messenger_gateway_recipients_total", outcome, "webmail"] == 2
    assert found["messenger_certificate_expires_seconds", "gateway.recipient_certificate"] > 0
    assert "4bXq7y1Z" in {line["queue_id"] for line in lines}
    assert not re.search(r"@|example|plan", text)


def base(name: str) -> str:
    return re.sub(r"_(total|bucket|count|sum)$", "", name)


def test_each_metric_that_alerts_and_dashboard_ask_for_is_counted_somewhere():
    asked = set(re.findall(r"\bmessenger_[a-z_]+", USED))

    assert len(asked) > 10
    assert {base(name) for name in asked} <= COUNTED


def test_each_metric_is_documented_and_on_the_dashboard():
    documented = {
        base(name)
        for name in re.findall(r"^\| `(messenger_[a-z_]+)` \|", (ROOT / "docs/operations.md").read_text(), re.M)
    }
    shown_there = {
        base(name) for name in re.findall(r"messenger_[a-z_]+", (PROMETHEUS / "grafana-dashboard.json").read_text())
    }

    assert documented == COUNTED == shown_there


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool isn't installed (Debian's prometheus)")
def test_prometheus_finds_nothing_to_say_about_the_alerts():
    said = subprocess.run(["promtool", "check", "rules", PROMETHEUS / "alerts.yml"], capture_output=True, check=False)

    assert said.returncode == 0, said.stderr
