"""The order of a PDF: a record for the portal, a file for the maker."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from messenger import link, pdf_password, pdf_record, preferences
from messenger.mailbox import mailbox_of
from messenger.pdf_spool import WRITERS, Spool, SpoolError
from messenger.preferences import Preferences
from messenger.tunnel import TunnelMail
from messenger_milter.pdf_orders import PdfOrders

KEY = bytes(range(32))
NOW = datetime(2027, 1, 15, tzinfo=UTC)
ANN = "ann@example.org"
MAIL = TunnelMail(
    raw=b"From: Bob <bob@example.com>\r\nSubject: secret\r\n\r\nBody\r\n",
    mail_from="bounces@example.com",
    rcpt_tos=(ANN,),
    options=frozenset({"otp-pdf"}),
    digest="ab" * 32,
    profile="wrapped",
    signer="00" * 32,
)
ID = pdf_password.id_of(MAIL.digest, ANN)


@pytest.fixture
def orders(tmp_path):
    folder = mailbox_of(tmp_path / "mail", ANN).root.parent
    folder.mkdir(parents=True)
    spool = Spool(tmp_path / "pdf")
    spool.prepare()
    return PdfOrders(
        "https://portal.example", KEY, lambda: NOW, lambda _: preferences.read(folder), lambda _: folder, spool
    )


def orders_for(orders: PdfOrders, wanted: Preferences) -> PdfOrders:
    return dataclasses.replace(orders, preferences_of=lambda _: wanted)


def ordered(orders: PdfOrders):
    with orders.spool.claim(ID) as claim:
        return claim.job()


def test_the_order_holds_all_that_a_pdf_needs(orders):
    orders = orders_for(orders, Preferences("My phrase", "off", "de", "Europe/Berlin", generation=3))

    assert orders.order(ANN, MAIL)

    job = ordered(orders)
    assert (job.pdf_id, job.address, job.digest, job.raw) == (ID, ANN, MAIL.digest, MAIL.raw)
    assert (job.generation, job.language, job.time_zone, job.phrase) == (3, "de", "Europe/Berlin", "My phrase")
    assert job.reply_url == f"{job.password_url}/answer"
    portal, _, rest = job.password_url.partition("/l/")
    token, _, pdf_id = rest.partition("/")
    assert (portal, pdf_id) == ("https://portal.example", ID)
    assert link.open_token(KEY, token, int(NOW.timestamp()), days=1) == ANN


def test_the_portal_finds_what_the_password_is_made_of_and_nothing_secret(orders):
    orders.order(ANN, MAIL)

    folder = orders.folder_of(ANN)
    record = pdf_record.find(folder, ID)
    assert record == pdf_record.Record(ID, MAIL.digest, 0, int(NOW.timestamp()), "bob@example.com")
    assert "secret" not in (folder / "pdfs" / f"{ID}.json").read_text()


def test_a_retry_changes_neither_the_order_nor_the_password(orders):
    orders.order(ANN, MAIL)

    orders_for(orders, Preferences(generation=1)).order(ANN, MAIL)

    assert ordered(orders).generation == 0
    assert [record.generation for record in pdf_record.every(orders.folder_of(ANN))] == [0]


def test_an_order_that_was_killed_between_record_and_spool_keeps_the_generation_that_the_portal_knows(orders):
    orders.order(ANN, MAIL)
    (orders.spool.root / "new" / ID).unlink()

    orders_for(orders, Preferences(generation=5)).order(ANN, MAIL)

    assert ordered(orders).generation == 0


def test_a_spool_that_is_full_is_worth_another_try(orders):
    (orders.spool.root / "tmp").rmdir()

    with pytest.raises(SpoolError) as error:
        orders.order(ANN, MAIL)

    assert error.value.temporary


def test_the_first_showing_of_a_password_is_noted_once(orders):
    orders.order(ANN, MAIL)
    folder = orders.folder_of(ANN)

    first = pdf_record.note_shown(folder, pdf_record.find(folder, ID), 1_800_000_000, "192.0.2.1")
    second = pdf_record.note_shown(folder, pdf_record.find(folder, ID), 1_800_000_009, "192.0.2.9")

    record = pdf_record.find(folder, ID)
    assert (first, second, record.shown, record.shown_from) == (True, False, 1_800_000_000, "192.0.2.1")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pdf_id": 1}', b"[" * 9000])
def test_a_broken_record_is_none_and_spoils_no_list(orders, content):
    orders.order(ANN, MAIL)
    folder = orders.folder_of(ANN)
    (folder / "pdfs" / "aaaa-aaaa-aaaa-aaaa.json").write_bytes(content)

    assert pdf_record.find(folder, "aaaa-aaaa-aaaa-aaaa") is None
    assert [record.pdf_id for record in pdf_record.every(folder)] == [ID]
    assert pdf_record.every(folder.parent / "nobody") == []


def test_nothing_is_found_in_the_spool_before_the_record_is_on_disk(orders, monkeypatch):
    found = []
    real = pdf_record.keep

    def keep(*given):
        real(*given)
        found.append(orders.spool.due(int(NOW.timestamp())))

    monkeypatch.setattr(pdf_record, "keep", keep)

    orders.order(ANN, MAIL)

    assert found == [[]]
    assert orders.spool.due(int(NOW.timestamp())) == [ID]


def test_an_order_whose_record_cannot_be_written_leaves_nothing_in_the_spool(orders):
    (orders.folder_of(ANN) / "pdfs").write_text("not a folder")

    with pytest.raises(pdf_record.RecordError):
        orders.order(ANN, MAIL)

    assert [path for path in orders.spool.root.rglob("*") if path.is_file()] == []


def test_more_orders_at_once_than_the_spool_has_writers_are_all_kept(orders):
    mails = [dataclasses.replace(MAIL, digest=f"{number:064x}") for number in range(3 * WRITERS)]

    with ThreadPoolExecutor(len(mails)) as clients:
        kept = list(clients.map(lambda mail: orders.order(ANN, mail), mails))

    assert all(kept)
    assert len(orders.spool.due(int(NOW.timestamp()))) == len(mails)
    assert len(pdf_record.every(orders.folder_of(ANN))) == len(mails)
