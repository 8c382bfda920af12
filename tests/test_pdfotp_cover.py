"""The mail around a PDF, and what the site signs."""

import email
import io
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from email import policy
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from messenger.colours import accents
from messenger.notice_texts import NoticeError
from messenger.tunnel.certificates import make_pair
from messenger_pdfotp import cover, signing
from messenger_pdfotp.protect import File, ProtectError, protect
from messenger_pdfotp.signing import SigningError

from .pdf_fixtures import ADDRESS, NOW, PASSWORD, SITE, job, mail, opened, renderer

__all__ = ["renderer"]

PDF = b"%PDF-1.7 not really\r\n\0\xff"


def parsed(raw: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(raw, policy=policy.default)


@pytest.fixture(scope="session")
def signer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signer")
    certificate, key = make_pair("notices@example.com", "rsa-3072", "sender", datetime.now(UTC))
    (folder / "site.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "site.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return signing.load(folder / "site.pem", folder / "site.key"), folder


def test_it_names_the_sender_the_pdf_and_three_ways_to_its_password_and_nothing_of_the_mail():
    made = parsed(cover.cover(job(mail(Subject="A secret plan", text="secret words")), PDF, SITE, NOW))

    text = made.get_body(("plain",)).get_content()
    html = made.get_body(("html",)).get_content()
    for words in (text, html):
        assert "Bob Brown" in words
        assert job(b"").pdf_id in words
        assert job(b"").password_url in words
        assert "secret" not in words
    [attached] = made.iter_attachments()
    assert (attached.get_content_type(), attached.get_filename()) == ("application/pdf", f"{job(b'').pdf_id}.pdf")
    assert attached.get_content() == PDF
    [picture] = [part for part in made.walk() if part.get_content_type() == "image/png"]
    assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in html
    assert picture.get_content().startswith(b"\x89PNG")
    assert made["To"] == ADDRESS
    assert made["Auto-Submitted"] == "auto-generated"
    assert "secret" not in made["Subject"]


def test_it_has_the_colours_of_the_site_light_and_dark_and_the_head_of_the_notice():
    site = replace(SITE, accents=accents("#8a1c4a", ""))
    ours = Path(cover.envelope.__file__).parent / "templates"

    html = parsed(cover.cover(job(mail()), PDF, site, NOW)).get_body(("html",)).get_content()

    assert "background: #8a1c4a" in html
    assert f".go {{ background: {site.accents.dark.colour} !important" in html
    assert "#0f5c66" not in html
    assert (ours / "mail-head.html").read_text().partition("\n")[2] in (ours / "notice.html").read_text()


def test_the_same_pdf_has_the_same_message_id_and_another_recipient_another():
    first, again = (parsed(cover.cover(job(mail()), PDF, SITE, NOW))["Message-ID"] for _ in range(2))
    other = parsed(cover.cover(job(mail(), digest="cd" * 32), PDF, SITE, NOW))["Message-ID"]

    assert first == again != other
    assert first == f"<pdf.{job(b'').pdf_id}@example.com>"


def test_it_speaks_the_language_of_the_recipient_and_repeats_the_phrase():
    made = parsed(
        cover.cover(job(mail(), phrase="Der Reiher"), PDF, replace(SITE, language="de"), NOW, files_waiting=True)
    )

    text = made.get_body(("plain",)).get_content()
    assert "Ihre Phrase: Der Reiher" in text or "Der Reiher" in text
    assert "DAS PASSWORT SEHEN" in text
    assert "zu groß" in text
    assert "See the password" not in made.get_body(("html",)).get_content()


def test_a_hostile_name_writes_no_header_and_no_markup():
    raw = mail(**{"From": '"<script>x</script> http://evil.test" <bob@example.com>'})

    made = cover.cover(job(raw), PDF, SITE, NOW)

    html = parsed(made).get_body(("html",)).get_content()
    assert "<script>" not in html
    assert "http://evil" not in html


def test_a_template_of_the_sites_own_takes_the_place_of_ours_and_a_broken_one_is_named(tmp_path):
    site = replace(SITE, templates=tmp_path)
    (tmp_path / "pdf-cover.txt").write_text("Ours: {{ pdf_id }}\n")
    assert parsed(cover.cover(job(mail()), PDF, site, NOW)).get_body(("plain",)).get_content().startswith("Ours: ")

    (tmp_path / "pdf-cover.txt").write_text("{{ nothing }}")
    with pytest.raises(NoticeError, match=r"pdf-cover\.txt"):
        cover.check_templates(site)


def test_openssl_verifies_the_mail_that_the_site_signs(signer, tmp_path):
    made = cover.cover(job(mail()), PDF, SITE, NOW, signer=signer[0])
    (tmp_path / "a.eml").write_bytes(made)

    done = subprocess.run(
        ["openssl", "cms", "-verify", "-in", tmp_path / "a.eml", "-CAfile", signer[1] / "site.pem", "-purpose", "any"],
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert PDF in parsed(done.stdout).get_payload()[1].get_payload(decode=True)
    assert made.count(b"multipart/signed") == 1


def test_pdfsig_finds_the_signature_of_the_site_valid_and_over_all_of_it(signer, renderer, tmp_path):
    plain = renderer.render("<html lang='en'><title>x</title><p>x</p>", "", "00").content

    content = signer[0].sign_pdf(protect(plain, PASSWORD, [File("a.txt", "text/plain", b"one")]), PASSWORD)

    (tmp_path / "a.pdf").write_bytes(content)
    said = subprocess.run(["pdfsig", "-upw", PASSWORD, tmp_path / "a.pdf"], capture_output=True, text=True, check=False)
    assert "Signature is Valid" in said.stdout
    assert "Total document signed" in said.stdout
    assert "notices@example.com" in said.stdout
    with opened(content) as pdf:
        assert pdf.attachments["a.txt"].get_file().read_bytes() == b"one"


def test_a_certificate_and_a_key_that_do_not_belong_together_are_named(signer, tmp_path):
    _, key = make_pair("other@example.com", "ec-p256", "sender", datetime.now(UTC))
    (tmp_path / "other.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "broken.pem").write_text("x")

    with pytest.raises(SigningError, match=r"other\.key: expected the key of .*site\.pem"):
        signing.load(signer[1] / "site.pem", tmp_path / "other.key")
    with pytest.raises(SigningError, match=r"broken\.pem: expected certificates in PEM"):
        signing.load(tmp_path / "broken.pem", signer[1] / "site.key")
    with pytest.raises(SigningError, match=r"broken\.pem: expected a private key in PEM"):
        signing.load(signer[1] / "site.pem", tmp_path / "broken.pem")


def test_nothing_is_protected_without_a_password_and_what_is_no_pdf_is_refused():
    with pytest.raises(ProtectError, match="expected a password"):
        protect(b"%PDF", "")
    with pytest.raises(ProtectError, match="can't be put together"):
        protect(io.BytesIO(b"no pdf").getvalue(), PASSWORD)
