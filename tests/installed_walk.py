"""Walk through an installed Webmail Messenger: a mail in, its notice out, an account, a message, a letter to its owner.

A second mail goes out as an encrypted PDF, whose password an account then shows. A third one is sent by somebody
inside, with [secure] in its subject: the gateway protects it.

Run by tests/copied_machine.sh beside the services; ends with a traceback where something isn't as it should be.
"""

import email
import email.policy
import html
import http.client
import os
import re
import subprocess
import time
import urllib.parse
from pathlib import Path

MAIL = b"""\
From: you@example.com\r
To: you@elsewhere.example\r
Subject: Hello\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=next\r
\r
--next\r
Content-Type: text/html\r
\r
<p style="color:red">Hello <script>there</script>\r
--next\r
Content-Type: application/pdf; name=a.pdf\r
\r
%PDF-1.4\r
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\r
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>endobj trailer<</Root 1 0 R>>\r
--next--\r
"""
PDF_MAIL = b"""\
From: you@example.com\r
To: you@elsewhere.example\r
Subject: As a PDF\r
\r
Good evening\r
"""
INSIDE_MAIL = b"""\
From: you@example.com\r
To: anna@partner.example\r
Subject: [secure] Plans\r
\r
Nobody else may read this\r
"""
SITE = "https://webmail.example.com"
#: More than 1 where the machine is busy, or is calculated by another.
SLOWNESS = int(os.environ.get("SLOWNESS", "1"))
#: Calculated machines are beyond this.
SLOW = 5
PASSWORD = "three lanterns in a row"


class Browser:
    """Cookies, and the fields that a browser sends by itself."""

    def __init__(self) -> None:
        self._cookies: dict[str, str] = {}

    def __call__(self, path: str, **form: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", 8025, timeout=30 * SLOWNESS)
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        fields = {"Host": SITE.removeprefix("https://"), "Sec-Fetch-Site": "same-origin", "Cookie": cookies}
        if form:
            fields["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request("POST" if form else "GET", path, urllib.parse.urlencode(form) if form else None, fields)
        answer = connection.getresponse()
        text = answer.read().decode()
        for field in answer.headers.get_all("Set-Cookie", []):
            name, _, value = field.split(";")[0].partition("=")
            self._cookies[name] = value
        assert answer.status < 400, (path, answer.status, text)
        place = answer.getheader("Location")
        return self(place.removeprefix(SITE)) if place else text


def mailed(pattern: str, to: str = "you@elsewhere.example") -> str:
    """The first link in the mail that leaves for *to* which matches *pattern*."""
    deadline = time.monotonic() + 20 * SLOWNESS
    while time.monotonic() < deadline:
        for path in Path("/var/spool/caught/new").glob("*"):
            mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            body = mail.get_body(("plain",))
            if to in str(mail["To"]) and body and (found := re.search(SITE + pattern, body.get_content())):
                return found.group().removeprefix(SITE)
        time.sleep(0.2)
    raise AssertionError(f"no mail with a link like {pattern}")


def found(pattern: str, text: str) -> str:
    """What the group in *pattern* holds."""
    match = re.search(pattern, text)
    assert match, (pattern, text)
    return html.unescape(match.group(1))


def send(mail: bytes, name: str, *options: str) -> None:
    """Send *mail* as the gateway does."""
    Path(f"/root/{name}.eml").write_bytes(mail)
    wrap = ["messenger", "tunnel", "wrap", f"/root/{name}.eml", "--to", "you@elsewhere.example"]
    subprocess.run([*wrap, *options, "--out", f"/root/{name}.tunnel"], check=True)
    submit(Path(f"/root/{name}.tunnel"), "webmail-sender@example.com", "webmail@webmail.example.com")


def submit(mail: Path, sender: str, recipient: str) -> None:
    """Hand *mail* to Postfix by SMTP."""
    mailer = ["curl", "-sS", "--url", "smtp://localhost", "--mail-from", sender, "--mail-rcpt", recipient]
    subprocess.run([*mailer, "--upload-file", str(mail)], check=True)


def mailed_pdf() -> tuple[str, bytes]:
    """The id of the PDF that was mailed, and the PDF."""
    deadline = time.monotonic() + 60 * SLOWNESS
    while time.monotonic() < deadline:
        for path in Path("/var/spool/caught/new").glob("*"):
            mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            for part in mail.iter_attachments():
                if part.get_content_type() == "application/pdf":
                    return part.get_filename("").removesuffix(".pdf"), part.get_content()
        time.sleep(0.2)
    raise AssertionError("no mail with a PDF")


def main() -> None:
    """One walk."""
    # Made while the rest goes on.
    send(PDF_MAIL, "pdf", "--option", "otp-pdf")
    send(MAIL, "mail")

    browser = Browser()
    form = browser(mailed(r"/l/\S+"))
    inbox = browser("/signup", token=found(r'name="token"[^>]*value="([^"]+)', form), password=PASSWORD, again=PASSWORD)
    address = found(r'href="(/message/[^"?]+)', inbox)
    message = browser(address)
    body = browser(found(r'<iframe[^>]*src="([^"]+)', message))
    # A calculated machine is slower than the sanitiser may be: text is shown then.
    assert '<p style="color:red">Hello' in body or (SLOWNESS > SLOW and "Hello" in body)
    assert "Page 1 of 1" in browser(f"{address}/preview/2")

    pdf_id, content = mailed_pdf()
    words = found(r'<output[^>]*id="password"[^>]*>([^<]+)', browser(f"/pdfs/{pdf_id}"))
    Path("/root/a.pdf").write_bytes(content)
    text = subprocess.run(["pdftotext", "-upw", words, "/root/a.pdf", "-"], check=True, capture_output=True, text=True)
    assert "Good evening" in text.stdout

    (inside := Path("/root/inside.eml")).write_bytes(INSIDE_MAIL)
    submit(inside, "you@example.com", "anna@partner.example")
    assert mailed(r"/l/\S+", to="anna@partner.example")
    assert all(b"Nobody else" not in path.read_bytes() for path in Path("/var/spool/caught/new").glob("*"))

    Browser()("/forgot", address="you@elsewhere.example")
    assert mailed(r"/r/\S+")


if __name__ == "__main__":
    main()
