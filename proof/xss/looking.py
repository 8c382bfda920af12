"""Open every mail in Chromium with some layers on, and note what happened.

Scripts are seen by the debugger, which hears of each piece of code that the page's own world compiles; requests by our
site, which is found at every name, and by the browser's own list of network events, which holds names that were only
looked up. Afterwards everything that can be clicked is clicked.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Error, Playwright

from messenger.message.sanitise import ATTRIBUTES, TAGS

from .layers import SANITISER, Layers
from .site import Site, word

CHROMIUM = "/usr/bin/chromium"
#: For what comes late: animations, timers, refreshes.
LATE_MS = 700
_LISTS = [
    sorted(TAGS),
    sorted({name for names in ATTRIBUTES.values() for name in names} | {"target", "rel", "referrerpolicy"}),
]
#: What the browser's own parser made of a sanitised document, as far as it isn't on our lists.
LEFT_OVER = """
([tags, attributes]) => {
  const wrong = [], note = (what) => wrong.push(what);
  const own = new Set(["HTML", "HEAD", "META", "TITLE", "STYLE", "BODY"]);
  const letter = document.querySelector("body > .mail, body > .text");
  if (!letter || document.querySelectorAll("body > *").length !== 1) return ["outside of our element"];
  if (document.head.children.length !== 5) note("head");
  for (const one of document.querySelectorAll("*")) {
    if (one === letter || (own.has(one.tagName) && !letter.contains(one))) continue;
    if (one.namespaceURI !== "http://www.w3.org/1999/xhtml") note("namespace " + one.namespaceURI);
    if (!tags.includes(one.localName)) note("element " + one.localName);
    for (const {name, value} of one.attributes) {
      if (!attributes.includes(name) && !(name === "class" && value === "quoted")) note("attribute " + name);
      if (name === "src" && !value.startsWith("data:image/")) note("src " + value);
    }
    if (one.localName === "a" && one.hasAttribute("href")) {
      if (!["http:", "https:", "mailto:", "tel:"].includes(one.protocol)) note("link " + one.href);
      if (one.target !== "_blank" || !one.relList.contains("noopener")) note("target " + one.target);
    }
    const style = getComputedStyle(one);
    if (style.position !== "static" || style.transform !== "none") note("lifted " + style.position);
    if (style.backgroundImage !== "none" || style.listStyleImage !== "none") note("image " + style.backgroundImage);
  }
  const copy = document.createElement("div");
  copy.innerHTML = letter.innerHTML;
  if (copy.innerHTML !== letter.innerHTML) note("changes when read again");
  return [...new Set(wrong)];
}
"""
_CLICK = """
() => document.querySelectorAll("a, area, button, input, summary, label, [onclick]").forEach((one) => {
  // A link that opens a page of its own is there to be clicked.
  if (one.target === "_blank" && /^https?:$/.test(one.protocol || "")) return;
  try { one.dispatchEvent(new MouseEvent("click", {bubbles: true, cancelable: true})) } catch {}
})
"""


#: Scripts of its error page, and of the program that drives it.
_BROWSERS_OWN = ("chrome-error:", "__playwright")
#: What the browser asks for of its own accord.
_NOISE = re.compile(r"\b(?:google|googleapis|gvt1|gstatic)\.com\b")


@dataclass
class Seen:
    """What happened with one combination of layers, by the names of the mails."""

    ran: dict[str, str] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    #: Names that were only looked up, or connected to without a word.
    resolved: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    #: Took the page around the frame elsewhere.
    escaped: dict[str, str] = field(default_factory=dict)


def look(playwright: Playwright, site: Site, layers: Layers) -> Seen:
    """Open all mails of *site* with *layers* on."""
    seen = Seen()
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "events.json"
        browser = _launch(playwright, site, events)
        try:
            for batch in range(site.batches):
                _Look(browser, site, layers, seen).batch(batch)
        finally:
            browser.close()
        for host in _hosts(events):
            if host not in " ".join(seen.asked.values()):
                seen.resolved.setdefault(_whose(site, host), host)
    return seen


def _launch(playwright: Playwright, site: Site, events: Path) -> Browser:
    return playwright.chromium.launch(
        executable_path=CHROMIUM,
        args=[
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            # One process for all frames, so that one debugger hears them all.
            "--disable-features=IsolateSandboxedIframes,IsolateOrigins,site-per-process",
            "--disable-site-isolation-trials",
            f"--host-resolver-rules=MAP * 127.0.0.1:{site.server_port}, EXCLUDE localhost",
            f"--log-net-log={events}",
        ],
    )


class _Look:
    """One page full of frames."""

    def __init__(self, browser: Browser, site: Site, layers: Layers, seen: Seen) -> None:
        self._site, self._layers, self._seen = site, layers, seen
        self._context = browser.new_context(service_workers="block", accept_downloads=False)
        self._page = self._context.new_page()
        #: Of each frame, by its id: the name of its mail, or the frame around it.
        self._frames: dict[str, str] = {}
        self._names = {one.name for one in site.items}

    def batch(self, number: int) -> None:
        page, site = self._page, self._site
        site.asked.urls.clear()
        debugger = self._context.new_cdp_session(page)
        debugger.on("Debugger.scriptParsed", self._script)
        debugger.on("Page.frameNavigated", lambda event: self._navigated(event["frame"]))
        debugger.on("Page.frameAttached", self._attached)
        debugger.send("Page.enable")
        debugger.send("Debugger.enable")
        page.on("dialog", lambda dialog: dialog.dismiss())
        address = f"{site.url}/{word(self._layers)}/page/{number}"
        with suppress(Error):  # a page that leads itself elsewhere never comes to its end
            page.goto(address, wait_until="load", timeout=30_000)
        page.wait_for_timeout(LATE_MS)
        for url in site.asked.urls[:]:
            if not _NOISE.search(url):
                self._seen.asked.setdefault(_whose(site, url), url)
        if SANITISER in self._layers:
            self._look_for_leftovers(debugger)
        self._click(debugger, address)
        self._context.close()

    def _navigated(self, frame: dict[str, Any]) -> None:
        if found := re.search(r"/mail/(\d+)$", frame["url"]):
            self._frames[frame["id"]] = self._site.items[int(found[1])].name

    def _attached(self, event: dict[str, Any]) -> None:
        self._frames.setdefault(event["frameId"], event["parentFrameId"])

    def _script(self, event: dict[str, Any]) -> None:
        world = event.get("executionContextAuxData", {})
        if not world.get("isDefault") or not event["url"] or event["url"].startswith(_BROWSERS_OWN):
            return
        self._seen.ran.setdefault(self._owner(world.get("frameId", "")), event["url"][:80])

    def _owner(self, frame: str) -> str:
        """The mail that a frame belongs to, or a frame inside it."""
        for _ in range(10):
            frame = self._frames.get(frame, frame)
        return frame

    def _look_for_leftovers(self, debugger: CDPSession) -> None:
        for frame, name in self._mails():
            if wrong := _inside(debugger, frame, f"({LEFT_OVER})({json.dumps(_LISTS)})"):
                self._seen.left[name] = ", ".join(wrong)
        for frame, around in self._frames.items():
            if around not in self._names and self._owner(frame) in self._names:
                self._seen.left[self._owner(frame)] = "a frame inside"

    def _click(self, debugger: CDPSession, address: str) -> None:
        for frame, _ in self._mails():
            _inside(debugger, frame, f"({_CLICK})()")
        with suppress(Error):
            self._page.wait_for_timeout(LATE_MS)
        if self._page.url != address:
            self._seen.escaped[self._page.url[:80]] = self._page.url

    def _mails(self) -> list[tuple[str, str]]:
        """The frames of the mails on the page, with the mails' names."""
        return [(frame, name) for frame, name in self._frames.items() if name in self._names]


def _inside(debugger: CDPSession, frame: str, code: str) -> Any:
    """Run *code* of ours in a frame, in a world of its own, which no policy and no sandbox keeps from looking."""
    try:
        world = debugger.send("Page.createIsolatedWorld", {"frameId": frame})["executionContextId"]
        asked = {"expression": code, "contextId": world, "returnByValue": True, "timeout": 5000}
        return debugger.send("Runtime.evaluate", asked)["result"].get("value")
    except Error as error:
        return [str(error)[:80]] if "No frame" not in str(error) else None


def _whose(site: Site, url: str) -> str:
    """The vector that a host belongs to; else the address itself."""
    found = re.search(r"\bv(\d+)\.evil\.test", url)
    return site.items[int(found[1])].name if found and int(found[1]) < len(site.items) else url[:80]


def _hosts(events: Path) -> Iterable[str]:
    """Names that the browser wanted to find, whether or not it said anything there."""
    text = events.read_text("utf-8", "replace") if events.exists() else ""
    found = set(re.findall(r'"host":"(?:https?://)?([^":/]+)', text))
    return sorted(one for one in found if one != "127.0.0.1" and "." in one and not _NOISE.search(one))
