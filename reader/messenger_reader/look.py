"""What every page of the reader shares: the site's name, the language, how people's addresses are written, and where
style sheet and icon are.
"""

from hashlib import sha256
from pathlib import Path
from typing import Protocol

from flask import Flask, url_for

from messenger.envelope import AddressError, display

from . import language

STATIC = Path(__file__).parent / "static"


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


def install(app: Flask, site: Site) -> None:
    """Give *app*'s templates what ``base.html`` stands on."""
    language.install(app, site_language=site.language, site_time_zone=site.time_zone)
    # A line that holds nothing but a tag of the template leaves no line on the page.
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    versions = {path.name: sha256(path.read_bytes()).hexdigest()[:12] for path in STATIC.iterdir()}

    def asset(name: str) -> str:
        """The address of a file in static/. It changes with the content, so a browser may keep it for good."""
        return url_for("static", filename=name, v=versions[name])

    app.jinja_env.globals.update(site=site, asset=asset)
    app.jinja_env.filters["address"] = address


def address(given: str) -> str:
    """An address out of a mail as people may see it: what only looks like another domain is spelled out."""
    if given.isascii() and "xn--" not in given.lower():
        return given  # as the sender wrote it
    try:
        return display(given)
    except AddressError:
        local_part, at, domain = given.rpartition("@")
        return local_part + at + domain.encode("ascii", "backslashreplace").decode()
