"""Pictures of the reader's pages, by a real Chromium: `make screenshots`.

Starts a reader of its own with a few mails, and writes each page at phone and desk width, light and dark, to
screenshots/; two for the README, phone width, go to docs/pictures/. Chromium is Debian's, or what CHROMIUM names.
"""

import logging
import os
import shutil
import sys
import tempfile
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from hashlib import sha256
from pathlib import Path
from time import time

from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

from demo import mails
from messenger import config as settings
from messenger import link, pdf_password, pdf_record, totp
from messenger.accounts import Accounts
from messenger.mailbox import Mailbox, mailbox_of
from messenger_reader.app import create_app

from .screenshot_files import SUBJECT, with_papers

ROOT = Path(__file__).parents[1]
ADDRESS = "anna@partner.example"
PASSWORD = "three plain blue doors"  # noqa: S105 -- for a portal that lives ten seconds
KEY = bytes(32)
WIDTHS = (390, 1280)
SCHEMES = ("light", "dark")
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

#: Minutes since it was opened, address, and what the browser calls itself.
DEVICES = (
    (
        2,
        "198.51.100.7",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Mobile/15E148 Safari/604.1",
    ),
    (9, "2001:db8:85a3::8a2e:370:7334", "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko Firefox/133.0"),
    (12, "203.0.113.80", "curl/8.11.0"),
)

SETTINGS = """
[site]
name = "Example Messages"
portal_url = "http://localhost:{port}"
own_domains = ["example.com"]
[mail]
root = "mail"
[tunnel]
webmail_sender = "sender@gateway.example.com"
webmail_recipient = "webmail@gateway.example.com"
[notice]
mail_from = "messages@example.com"
sendmail = ["/bin/true"]
link_key = "link.key"
[accounts]
database = "accounts.sqlite"
totp_key = "totp.key"
[reader]
cache = "cache"
"""


def main() -> None:
    chosen = sys.argv[1:]
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "mail").mkdir()
        (home / "cache").mkdir()
        (home / "keys").mkdir()
        for name in ("link.key", "totp.key", "keys/pdf.key"):
            (home / name).write_text(KEY.hex() + "\n")
        # Port 0 lets the system choose; the settings want the number, so the app is hung in afterwards.
        server = make_server("localhost", 0, lambda *_: [], threaded=True)
        portal = f"http://localhost:{server.server_port}"
        (home / "messenger.toml").write_text(SETTINGS.format(port=server.server_port))
        app = server.app = create_app(settings.load(home / "messenger.toml"))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=CHROMIUM_ARGUMENTS
                )
                accounts = app.extensions["messenger"].accounts
                Photographer(browser, portal, mailbox_of(home / "mail", ADDRESS), accounts, chosen).work()
                browser.close()
        finally:
            server.shutdown()


@dataclass
class Photographer:
    browser: Browser
    portal: str
    mailbox: Mailbox
    accounts: Accounts
    #: Only pages whose name begins with one of these; all if empty.
    chosen: list[str]

    def work(self) -> None:
        """Take all pictures: without an account, with an empty inbox, with mail."""
        shutil.rmtree(ROOT / "screenshots", ignore_errors=True)
        landing = link.url(self.portal, link.token(KEY, ADDRESS, int(time())))
        context = self.browser.new_context(java_script_enabled=False, locale="en-GB", timezone_id="UTC")
        page = context.new_page()
        self.take(page, "login", f"{self.portal}/login")
        self.take(page, "help", f"{self.portal}/help")
        self.take(page, "link", f"{self.portal}/l/forged")
        self.take(page, "forgot", f"{self.portal}/forgot")
        self.take(page, "forgot-sent", f"{self.portal}/forgot?sent")
        self.take(page, "reset-link", f"{self.portal}/r/used")
        self.take(page, "signup", landing)
        page.goto(landing)
        page.fill("#password", PASSWORD)
        page.fill("#again", "something else")
        page.click("main button")
        self.shoot(page, "signup-error")
        page.fill("#password", PASSWORD)
        page.fill("#again", PASSWORD)
        page.click("main button")
        self.take(page, "empty", f"{self.portal}/")
        deliver_all(self.mailbox)
        page.goto(f"{self.portal}/")
        links = page.locator(".mail .subject a").evaluate_all("all => all.map(one => one.href)")
        names = [page.locator(".mail .subject a").nth(at).inner_text() for at in range(len(links))]
        for url in links[4:]:
            page.goto(url)
        self.take(page, "inbox", f"{self.portal}/")
        self.take(page, "missing", f"{self.portal}/message/none")
        for key, subject in (
            ("plain", "Your contract"),
            ("html", "Third quarter"),
            ("files", "Документы"),
            ("papers", SUBJECT),
            ("suspicious", "Please confirm"),
            ("long", "Minutes"),
        ):
            [url] = [url for url, name in zip(links, names, strict=True) if subject in name]
            self.take(page, f"message-{key}", url)
            if key == "papers":
                for part in (2, 3, 4, 5):
                    self.take(page, f"preview-{part}", f"{url}/preview/{part}")
                self.take(page, "message-inside", f"{url}/part/8")
            if key == "html":
                self.take(page, "message-pictures", f"{url}?pictures=1")
                self.take(page, "headers", f"{url}/headers")
                self.take(page, "print", f"{url}/print")
                self.take(page, "text", f"{url}/text")
        self.writing(page, next(url for url, name in zip(links, names, strict=True) if "Minutes" in name))
        self.searching(page)
        self.folders(page)
        self.pdfs(page)
        self.account(page)
        self.second_factor(page)
        self.goodbye(page)
        context.close()
        self.german()

    def writing(self, page: Page, message: str) -> None:
        """An answer: begun, kept with a file, refused for one of its recipients, sent."""
        self.take(page, "compose", f"{self.portal}/compose")
        page.goto(f"{message}/reply")
        self.shoot(page, "reply")
        page.fill("#text", "Thank you for the minutes.\n\nMy changes are in the file.\n\nAnna Arendt")
        page.set_input_files("#files", [{"name": "Änderungen.pdf", "mimeType": "application/pdf", "buffer": b"x"}])
        page.click(".compose .tools >> text=Save draft")
        page.click("summary >> text=Show the original")
        self.shoot(page, "draft")
        page.fill("#to", "board@example.com, someone@elsewhere.example")
        page.click("button.first")
        self.shoot(page, "compose-error")
        page.fill("#to", "board@example.com")
        page.click("button.first")
        self.shoot(page, "sent")

    def searching(self, page: Page) -> None:
        """Hits, what is explained, and a conversation."""
        for at, text in enumerate(
            ("Shall we meet on Friday?", "Friday is fine.", "Then at ten. I bring the contract.")
        ):
            fields = f"Message-ID: <{at}@x>\r\n" + ("References: <0@x>\r\n" if at else "")
            raw = mail("Board office <board@example.com>", "Re: Friday" if at else "Friday", text, datetime.now(UTC))
            self.mailbox.deliver(fields.encode() + raw, f"thread{at}")
            os.utime(self.mailbox.root / "new" / f"thread{at}", (time() - 900 + at, time() - 900 + at))
        self.take(page, "search", f"{self.portal}/search?q=contract")
        self.take(page, "search-help", f"{self.portal}/search?q=befor:2026-01-01+nowhere")
        self.take(page, "thread", f"{self.portal}/thread/thread2")

    def folders(self, page: Page) -> None:
        """Select two, delete them, and ask to empty the trash."""
        self.mailbox.deliver(
            mail("Me", "My notes", "To be sent.", datetime.now(UTC)), "n1", folder="Taxes.2025 &- &AMQ-"
        )
        page.goto(f"{self.portal}/")
        page.locator(".star").nth(1).click()
        for at in (0, 2):
            page.locator(".pick input").nth(at).check()
        self.shoot(page, "folders-selected")
        page.set_viewport_size({"width": WIDTHS[0], "height": 844})
        page.locator(".picking .more summary").click()
        self.shoot(page, "folders-more")
        page.click(".doing button[value=delete]")
        self.shoot(page, "folders-deleted")
        page.set_viewport_size({"width": WIDTHS[0], "height": 844})
        page.click(".folders summary")
        self.shoot(page, "folders-list")
        for folder in ("Sent", "Drafts", "Trash", "Archive"):
            self.take(page, f"folders-{folder.lower()}", f"{self.portal}/folder/{folder}")
        self.take(page, "folders-remove", f"{self.portal}/empty-trash")

    def pdfs(self, page: Page) -> None:
        """Passwords of mails that were sent as encrypted PDFs."""
        for hours, make in enumerate((mails.plain, mails.with_pictures)):
            raw = make(datetime.now(UTC))
            digest = sha256(raw).hexdigest()
            self.mailbox.deliver(raw, digest, pdf_record.MAIL_FOLDER, "S")
            pdf_id = pdf_password.id_of(digest, ADDRESS)
            record = pdf_record.Record(pdf_id, digest, 0, int(time()) - 3600 * hours, "bob@example.com")
            pdf_record.keep(self.mailbox.root.parent, record)
        self.take(page, "pdf-password", f"{self.portal}/pdfs/{pdf_id}")
        self.take(page, "pdfs", f"{self.portal}/pdfs")
        self.take(page, "pdfs-unknown", f"{self.portal}/pdfs/2222-3333-4444-5555")

    def account(self, page: Page) -> None:
        """The settings, and the same person on other devices."""
        page.goto(f"{self.portal}/account")
        page.fill("#phrase", "The heron stands in blue water")
        page.select_option("#time_zone", "Europe/Berlin")
        page.click("main button")
        self.shoot(page, "account")
        found = self.accounts.find(ADDRESS)
        now = int(time())
        for minutes, client, agent in DEVICES:
            self.accounts.open_session(found.id if found else 0, client, now - 60 * minutes, agent, "")
        self.take(page, "sessions", f"{self.portal}/account/sessions")

    def goodbye(self, page: Page) -> None:
        """Delete the account, after a try that misses something."""
        page.goto(f"{self.portal}/account/delete")
        self.shoot(page, "delete")
        page.check("#sure")
        page.fill("#password", "not this one, sorry")
        page.click("main button")
        self.shoot(page, "delete-error")
        page.fill("#password", PASSWORD)
        page.click("main button")
        self.shoot(page, "goodbye")

    def second_factor(self, page: Page) -> None:
        """Set one up, log in with it, and look at what can be done about it."""
        self.take(page, "password", f"{self.portal}/account/password")
        page.goto(f"{self.portal}/account/second-factor")
        self.shoot(page, "second-factor-off")
        page.click("main button")
        secret = page.locator(".key .code").text_content() or ""
        page.click("summary")
        self.shoot(page, "enrol")
        page.fill("#password", PASSWORD)
        page.fill("#code", totp.code(secret.replace(" ", ""), totp.step_of(int(time()))))
        page.click("main button")
        self.shoot(page, "recovery-codes")
        spare = page.locator(".codes .code").first.inner_text()
        self.take(page, "second-factor-on", f"{self.portal}/account/second-factor")
        page.click("text=Log out")
        page.fill("#address", ADDRESS)
        page.fill("#password", PASSWORD)
        page.click("main button")
        page.fill("#code", "123456")
        page.click("main button")
        self.shoot(page, "code")
        page.click("text=recovery code")
        self.shoot(page, "code-recovery")
        page.fill("#code", spare)
        page.click("main button")
        self.shoot(page, "second-factor-used")
        _, token = self.accounts.ask_reset(ADDRESS, "127.0.0.1", int(time())) or (None, "")
        self.take(page, "reset", f"{self.portal}/r/{token}")

    def german(self) -> None:
        context = self.browser.new_context(java_script_enabled=False, locale="de-DE")
        page = context.new_page()
        self.take(page, "de-help", f"{self.portal}/help")
        self.take(page, "de-login", f"{self.portal}/login")
        context.close()

    def take(self, page: Page, name: str, url: str) -> None:
        if not self.chosen or any(name.startswith(one) for one in self.chosen):
            page.goto(url)
            self.shoot(page, name)

    def shoot(self, page: Page, name: str) -> None:
        if self.chosen and not any(name.startswith(one) for one in self.chosen):
            return
        for width in WIDTHS:
            for scheme in SCHEMES:
                page.set_viewport_size({"width": width, "height": 844 if width < 600 else 800})
                page.emulate_media(color_scheme=scheme)
                target = ROOT / "screenshots" / f"{name}-{width}-{scheme}.png"
                page.screenshot(path=target, full_page=True)
                if (name, scheme) in (("inbox", "light"), ("message-html", "light")) and not self.chosen:
                    self.small(page, name, width)

    def small(self, page: Page, name: str, width: int) -> None:
        """For the README, as on a phone."""
        if width < 600:
            page.screenshot(path=ROOT / "docs" / "pictures" / f"{name.partition('-')[0]}.png")


def deliver_all(mailbox: Mailbox) -> None:
    """The demo's three mails, and some more, older from one to the next."""
    makers = [mails.with_attachments, mails.with_pictures, mails.plain, with_papers, *MORE]
    for at, make in enumerate(makers):
        moment = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=17) * at**1.6
        raw = make(moment)
        name = sha256(raw).hexdigest()
        mailbox.deliver(raw, name)
        os.utime(mailbox.root / "new" / name, (moment.timestamp(), moment.timestamp()))


def mail(sender: str, subject: str, text: str, moment: datetime) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = f"Anna Arendt <{ADDRESS}>"
    message["Subject"] = subject
    message["Date"] = moment
    message.set_content(text + "\n")
    return message.as_bytes()


PARAGRAPH = "The board met at nine. All members were present; the minutes of the last meeting were accepted.\n\n"
LONG = "A subject that goes on and on, longer than any line of any screen that anybody is likely to hold in one hand"
MORE = [
    partial(mail, sender, subject, text)
    for sender, subject, text in (
        ("Tax & Partners <info@tax.example>", LONG, "Dear Anna, this is about the last year."),
        ('"chief@bank.example" <x81@mailer.example.net>', "Please confirm your account", "Click here at once."),
        ("Board office <board@example.com>", "Minutes of the meeting", PARAGRAPH * 12),
        ("مكتب المحاسبة <office@accounts.example>", "الفاتورة رقم ١٢٣", "يرجى الاطلاع على الفاتورة المرفقة."),
        (
            "Clinic Reception <reception@clinic.example>",
            "Results of your examination",
            "Dear Ms Arendt, please call us.",
        ),
        ("Erika Mustermann <e@verwaltung.example>", "Ihr Bescheid vom 3. November", "Sehr geehrte Frau Arendt,"),
    )
]

if __name__ == "__main__":
    main()
