"""What every page of the reader shares: the site's name, logo and colours, the language, how people's addresses are
written, and where style sheet and icon are.
"""

from hashlib import sha256
from pathlib import Path
from typing import Protocol

from flask import Flask, Response, url_for
from markupsafe import Markup

from messenger.envelope import AddressError, display

from . import language, own_look

STATIC = Path(__file__).parent / "static"
#: Endpoints of what a site brought along. Like static files they are the same for everybody.
STYLE, LOGO = "look.style", "look.logo"
#: A logo is opened by itself only by who types its address; an SVG is a document then, and this one can do nothing.
LOGO_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class Site(Protocol):
    """What a page needs to know of the settings."""

    @property
    def name(self) -> str: ...
    @property
    def portal_url(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def logo(self) -> Path | None: ...
    @property
    def colour(self) -> str: ...
    @property
    def colour_dark(self) -> str: ...
    @property
    def help_text(self) -> Path | None: ...
    @property
    def imprint_url(self) -> str: ...
    @property
    def privacy_url(self) -> str: ...


def install(app: Flask, site: Site) -> None:
    """Give *app*'s templates what ``base.html`` stands on."""
    language.install(app, site_language=site.language, site_time_zone=site.time_zone)
    # A line that holds nothing but a tag of the template leaves no line on the page.
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    versions = {path.name: sha256(path.read_bytes()).hexdigest()[:12] for path in STATIC.iterdir()}
    own: dict[str, tuple[str, str]] = {}
    if site.colour or site.colour_dark:
        served = own_look.style((STATIC / "style.css").read_bytes(), site.colour, site.colour_dark)
        own["style.css"] = _serve(app, STYLE, "/site/style.css", served)
    if site.logo:
        own["logo"] = _serve(app, LOGO, "/site/logo", own_look.logo(site.logo))
    texts = own_look.help_texts(site.help_text) if site.help_text else {"": Markup()}

    def asset(name: str) -> str:
        """The address of a file in static/, or of the site's own. It changes with the content, so a browser may keep
        it for good. Empty for a logo the site doesn't have.
        """
        if name in own:
            endpoint, version = own[name]
            return url_for(endpoint, v=version)
        return url_for("static", filename=name, v=versions[name]) if name in versions else ""

    def help_text() -> Markup:
        return texts.get(language.current()) or texts[""]

    app.jinja_env.globals.update(site=site, asset=asset, help_text=help_text)
    app.jinja_env.filters["address"] = address


def problems(site: Site) -> None:
    """Raise LookError if a file of the site's own can't be used."""
    if site.logo:
        own_look.logo(site.logo)
    if site.help_text:
        own_look.help_texts(site.help_text)


def _serve(app: Flask, endpoint: str, path: str, served: own_look.Served) -> tuple[str, str]:
    """Let *app* answer *path* with what was read at the start; return endpoint and version."""

    def view() -> Response:
        answer = Response(served.data, content_type=served.content_type)
        if endpoint == LOGO:
            answer.headers["Content-Security-Policy"] = LOGO_POLICY
        return answer

    app.add_url_rule(path, endpoint, view)
    return endpoint, served.version


def address(given: str) -> str:
    """An address out of a mail as people may see it: what only looks like another domain is spelled out."""
    if given.isascii() and "xn--" not in given.lower():
        return given  # as the sender wrote it
    try:
        return display(given)
    except AddressError:
        local_part, at, domain = given.rpartition("@")
        return local_part + at + domain.encode("ascii", "backslashreplace").decode()
