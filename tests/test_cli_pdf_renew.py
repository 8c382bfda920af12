"""``messenger pdf renew``: another generation of passwords, from the order of a PDF to the help desk that opens it."""

import json
from datetime import UTC, datetime
from email import message_from_bytes, policy

import pikepdf
import pytest

from messenger import pdf_password, pdf_record, preferences
from messenger.pdf_spool import Spool
from messenger.preferences import GENERATIONS, Preferences
from messenger.tunnel import TunnelMail
from messenger_milter.pdf_orders import PdfOrders
from messenger_pdfotp.make import Wishes
from messenger_pdfotp.work import Bench, work

from .account_commands_fixtures import desk_fixture
from .cli_fixtures import made_site_fixture, messenger_fixture, site_fixture
from .pdf_fixtures import ADDRESS, SITE, mail, opened, renderer

__all__ = ["desk_fixture", "made_site_fixture", "messenger_fixture", "renderer", "site_fixture"]

NOW = 1_800_000_000
WISHES = Preferences("blue heron", "hourly", "de", "Europe/Berlin")


def pdf(desk, *words):
    return desk.run("pdf", *words, "--config", desk.folder / "messenger.toml")


def folder_of(desk, address=ADDRESS):
    return desk.mailbox(address).root.parent


class Maker:
    """The milter's order and the maker's work, upon what the site's files say."""

    def __init__(self, desk, renderer):
        config, self.sent = desk.config(), []
        spool = Spool(config.pdf.spool)
        spool.prepare()
        self.orders = PdfOrders(
            portal_url="https://portal.example",
            link_key=bytes(32),
            now=lambda: datetime.fromtimestamp(NOW, UTC),
            preferences_of=lambda address: preferences.read(folder_of(desk, address)),
            folder_of=lambda address: folder_of(desk, address),
            spool=spool,
        )
        self.bench = Bench(
            site=SITE,
            key=pdf_password.load_key(config.pdf.key),
            symbols=config.pdf.password_symbols,
            wishes=Wishes(),
            tries=3,
            renderer=renderer,
            submit=lambda mail, to: self.sent.append(mail),
            tell=lambda *_: None,
        )

    def make(self, digest: str) -> tuple[str, bytes]:
        """Return id and content of a new PDF."""
        options = frozenset({"otp-pdf"})
        came = TunnelMail(mail(), "bob@example.com", (ADDRESS,), options, digest, "wrapped", "00" * 32)
        pdf_id = pdf_password.id_of(digest, ADDRESS)
        assert self.orders.order(ADDRESS, came)
        with self.orders.spool.claim(pdf_id) as claim:
            assert work(claim, self.bench, NOW)
        [attached] = message_from_bytes(self.sent[-1], policy=policy.default).iter_attachments()
        return pdf_id, attached.get_content()


def test_pdfs_of_both_generations_open_with_what_the_help_desk_says_and_not_with_what_the_other_one_would_be(
    desk, renderer
):
    maker = Maker(desk, renderer)
    desk.mailbox(ADDRESS).ensure()
    before = maker.make("ab" * 32)

    renewed = pdf(desk, "renew", "Anna@PARTNER.example")
    after = maker.make("cd" * 32)

    assert (renewed.status, renewed.err) == (0, "")
    assert f"{ADDRESS}: PDFs from now on have passwords of generation 1" in renewed.out
    for (pdf_id, content), generation in ((before, 0), (after, 1)):
        said = pdf(desk, "password", "--id", pdf_id, "--address", ADDRESS).out.strip()
        opened(content, said).close()
        assert pdf_record.find(folder_of(desk), pdf_id).generation == generation
        for other in (1 - generation, 2):
            with pytest.raises(pikepdf.PasswordError):
                opened(content, pdf_password.password(maker.bench.key, ADDRESS, other, pdf_id))


def test_it_raises_the_generation_by_one_leaves_the_rest_and_is_in_the_audit(desk):
    desk.sign_up(ADDRESS, NOW)
    desk.mailbox(ADDRESS).ensure()
    preferences.write(folder_of(desk), WISHES)

    first, second = pdf(desk, "renew", ADDRESS), pdf(desk, "renew", ADDRESS, "--json")

    assert first.status == 0
    assert json.loads(second.out) == {"address": ADDRESS, "generation": 2}
    assert preferences.read(folder_of(desk)) == Preferences(**(WISHES.__dict__ | {"generation": 2}))
    lines = [json.loads(line) for line in desk.audit("--account", ADDRESS, "--json").out.splitlines()]
    assert [(line["event"], line["detail"]) for line in lines[-2:]] == [
        ("pdf renew", "generation 1"),
        ("pdf renew", "generation 2"),
    ]
    assert lines[-1]["client"].startswith("admin:")


def test_who_has_an_account_and_no_mail_yet_may_be_renewed_and_who_got_mail_and_has_no_account(desk):
    desk.sign_up("ben@partner.example", NOW)
    desk.mailbox(ADDRESS).ensure()

    for address in ("ben@partner.example", ADDRESS):
        assert pdf(desk, "renew", address).status == 0
        assert preferences.read(folder_of(desk, address)).generation == 1

    # In the audit the address stands where there is no account that it could belong to.
    assert f"generation 1 of {ADDRESS}" in desk.audit("--account", ADDRESS).out


def test_an_address_that_nobody_knows_and_a_generation_after_the_last_are_refused(desk):
    desk.mailbox(ADDRESS).ensure()
    preferences.write(folder_of(desk), Preferences(generation=GENERATIONS - 1))

    unknown, last = pdf(desk, "renew", "eve@partner.example"), pdf(desk, "renew", ADDRESS)

    assert (unknown.status, unknown.out) == (67, "")
    assert "eve@partner.example: has no account, and no mail came for it" in unknown.err
    assert not folder_of(desk, "eve@partner.example").exists()
    assert (last.status, last.out) == (65, "")
    assert "the last that there is" in last.err
    assert "pdf renew" not in desk.audit().out
