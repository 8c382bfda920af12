"""What messenger-pdfotp tells Prometheus."""

import json
from dataclasses import replace
from types import SimpleNamespace

from prometheus_client import CollectorRegistry

from messenger.config import Metrics, Pdf
from messenger.pdf_spool import Spool
from messenger.submission import SubmissionError
from messenger_pdfotp import metrics
from messenger_pdfotp.work import FIRST_WAIT

from .milter_fixtures import Site
from .pdf_fixtures import ADDRESS, renderer
from .test_metrics_reader import patiently, ports, samples, shown
from .test_pdfotp_work import JOB, KEY, NOW, desk, raising, service
from .web_server_fixtures import certificate

__all__ = ["desk", "renderer"]


def test_each_try_is_counted_by_what_became_of_it(desk):
    registry = CollectorRegistry()
    desk.bench = metrics.counting(registry)(desk.bench)
    away = raising(SubmissionError("away"))
    desk.work(submit=away)
    desk.work(NOW + FIRST_WAIT)
    desk.spool.finish(JOB.pdf_id)

    found = {state: registry.get_sample_value("messenger_pdfs_total", {"state": state}) for state in ("later", "sent")}
    assert found == {"later": 1, "sent": 1}
    assert registry.get_sample_value("messenger_pdf_seconds_count") == 2


def test_what_waits_and_how_long_certificates_are_good_is_looked_up_when_somebody_asks(desk, tmp_path):
    port = ports()
    signer, _ = certificate(tmp_path)
    pdf = replace(Pdf(), spool=desk.spool.root, sign_certificate=signer)
    config = SimpleNamespace(pdf=pdf, metrics=Metrics(f"127.0.0.1:{port}"))
    metrics.watch(config, lambda: config)

    before = samples(shown(port + 2))
    desk.spool.move(JOB.pdf_id, "new", "failed")
    text = shown(port + 2)

    assert before["messenger_pdf_spool", "waiting"] == 1
    assert samples(text)["messenger_pdf_spool", "waiting"] == 0
    assert samples(text)["messenger_pdf_spool", "failed"] == 1
    assert 0 < samples(text)["messenger_certificate_expires_seconds", "pdf.sign_certificate"] <= 2 * 86_400
    assert ADDRESS not in text
    assert JOB.pdf_id not in text


def test_the_service_shows_what_waits_writes_objects_and_stops_as_ever(tmp_path):
    site, port = Site(tmp_path / "home"), ports()
    (site.home / "keys" / "pdf.key").write_text(KEY.hex())
    more = f'[metrics]\nlisten = "127.0.0.1:{port}"\n[log]\nformat = "json"\n'
    site.settings.write_text(site.settings.read_text() + more)
    spool = Spool(site.home / "pdf")
    spool.prepare()

    process = service(site)
    found = samples(patiently(lambda: shown(port + 2)))
    process.terminate()
    said, _ = process.communicate(timeout=30)

    assert found["messenger_pdf_spool", "waiting"] == 0
    assert process.returncode == 0
    lines = [json.loads(line) for line in said.splitlines()]
    assert lines[0]["message"].startswith("making PDFs of what comes into")
