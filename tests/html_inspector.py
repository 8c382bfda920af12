"""Reads HTML that was sanitised, and fails at anything that isn't on our lists."""

import re
from html.parser import HTMLParser

from messenger.message import styles
from messenger.message.sanitise import ATTRIBUTES, TAGS

_ALLOWED = {name for names in ATTRIBUTES.values() for name in names} | {"target", "rel", "referrerpolicy"}
DECLARATION = re.compile(r"[a-z-]+:[#\w .,%'/()-]+")


class Inspector(HTMLParser):
    """Fails at anything that isn't on our lists."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS, tag
        for name, value in attrs:
            assert name in _ALLOWED, name
            value = value or ""
            if name == "href":
                assert re.match(r"(?:https?://|mailto:|tel:)", value, re.IGNORECASE), value
            if name == "src":
                assert re.match(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+=*\Z", value), value
            if name == "style":
                for declaration in value.split(";"):
                    assert DECLARATION.fullmatch(declaration), declaration
                    assert declaration.split(":")[0] in styles.PROPERTIES
                    assert "(" not in re.sub(r"\b(?:rgb|hsl)a?\(", "", declaration), declaration

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)
