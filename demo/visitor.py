"""A person with a browser, as far as HTTP goes: keeps cookies, follows redirects, fills in forms.

Reads pages with the standard library's parser. Knows nothing of the reader's insides: what it clicks it saw on a page.
"""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urljoin, urlsplit

TIMEOUT_SECONDS = 20
MOST_REDIRECTS = 5


@dataclass
class Form:
    action: str
    method: str
    #: Field name to the value it has on the page.
    fields: dict[str, str] = field(default_factory=dict)


@dataclass
class Page(HTMLParser):
    """What came back: the address it came from, the status, the body, and what can be clicked."""

    url: str
    status: int
    body: bytes

    def __post_init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.frames: list[str] = []
        self.forms: list[Form] = []
        self.words: list[str] = []
        self.feed(self.body.decode("utf-8", "replace"))

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in found:
            self.links.append(urljoin(self.url, found["href"]))
        elif tag == "iframe" and "src" in found:
            self.frames.append(urljoin(self.url, found["src"]))
        elif tag == "form":
            action = urljoin(self.url, found.get("action") or self.url)
            self.forms.append(Form(action, found.get("method", "get").lower()))
        elif tag in ("input", "button") and "name" in found and self.forms:
            self.forms[-1].fields[found["name"]] = found.get("value", "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def form_with(self, name: str) -> Form:
        """The form that has a field called *name*. Raises LookupError."""
        for form in self.forms:
            if name in form.fields:
                return form
        raise LookupError(f"{self.url} (status {self.status}) has no form with a field {name!r}")


class Visitor:
    """One browser: cookies live as long as the object does."""

    def __init__(self) -> None:
        self._cookies: dict[str, str] = {}

    def open(self, url: str) -> Page:
        return self._request("GET", url, None)

    def send(self, form: Form, **values: str) -> Page:
        return self._request("POST", form.action, urlencode(form.fields | values).encode())

    def _request(self, method: str, url: str, body: bytes | None) -> Page:
        for _ in range(MOST_REDIRECTS):
            status, location, answer = self._once(method, url, body)
            if status not in (301, 302, 303, 307) or not location:
                return Page(url, status, answer)
            method, body, url = "GET", None, urljoin(url, location)
        raise LookupError(f"{url} redirects more than {MOST_REDIRECTS} times")

    def _once(self, method: str, url: str, body: bytes | None) -> tuple[int, str, bytes]:
        parts = urlsplit(url)
        headers = {"Host": parts.netloc, "Accept-Language": "en"}
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            # What a browser says of a form on our own page; the reader refuses any other.
            headers["Sec-Fetch-Site"] = "same-origin"
            headers["Origin"] = f"{parts.scheme}://{parts.netloc}"
        connection = HTTPConnection(parts.hostname or "", parts.port or 80, timeout=TIMEOUT_SECONDS)
        try:
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request(method, path or "/", body, headers)
            answer = connection.getresponse()
            for line in answer.headers.get_all("Set-Cookie", []):
                self._keep(line)
            return answer.status, answer.headers.get("Location", ""), answer.read()
        finally:
            connection.close()

    def _keep(self, line: str) -> None:
        for name, morsel in SimpleCookie(line).items():
            if morsel["max-age"] == "0" or not morsel.value:
                self._cookies.pop(name, None)
            else:
                self._cookies[name] = morsel.value
