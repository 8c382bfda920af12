"""People who read, sort and answer their mail by a browser meanwhile; what they were told is checked at the end."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from http.client import HTTPException

from demo.visitor import Form, Page, Visitor
from messenger import link

from .house import House

PASSWORD = "a long walk by the sea"
ANSWERED = "bob@example.com"
#: From one click to the next.
PAUSE_SECONDS = (0.1, 0.8)
FOLDERS = ("", "Archive", "Trash")


class Person(threading.Thread):
    """One of them; ``answers`` are the words of each answer, and what the page said became of it."""

    def __init__(self, house: House, address: str, seed: int) -> None:
        super().__init__(name=address, daemon=True)
        self.address = address
        self.answers: dict[str, str] = {}
        self.pages: Counter[str] = Counter()
        self._house = house
        self._chance = random.Random(f"person {seed} {address}")
        self._visitor = Visitor()
        self._leaving = threading.Event()

    def sign_up(self) -> None:
        """Follow the link of a notice, and choose a password."""
        config = self._house.config
        token = link.token(link.load_key(config.notice.link_key), self.address, int(time.time()))
        form = self._visitor.open(link.url(self._house.url, token)).form_with("password")
        self._visitor.send(form, password=PASSWORD, again=PASSWORD)

    def run(self) -> None:
        while not self._leaving.is_set():
            try:
                self.click()
            except (OSError, HTTPException, LookupError) as error:
                self.pages[type(error).__name__] += 1
            self._leaving.wait(self._chance.uniform(*PAUSE_SECONDS))

    def leave(self) -> None:
        self._leaving.set()
        self.join()

    def see_all(self) -> None:
        """Open every folder, which brings the index up to date. Raises where a page isn't there."""
        for folder in (*FOLDERS, "Sent", "Drafts"):
            page = self._open(f"/folder/{folder}" if folder else "/")
            if page.status != 200:
                raise LookupError(f"{page.url}: expected a page, found status {page.status}")

    def click(self) -> None:
        """Do one thing, such as people do."""
        folder = self._chance.choices(FOLDERS, (6, 2, 1))[0]
        page = self._open(f"/folder/{folder}" if folder else "/")
        names = [url.rpartition("/")[2] for url in dict.fromkeys(page.links) if "/message/" in url]
        if not names:
            return
        name = self._chance.choice(names[:20])
        act = self._chance.choices(("open", "move", "flag", "answer"), (5, 3, 3, 1))[0]
        if act == "open":
            for frame in self._open(f"/message/{name}").frames:
                self._count(self._visitor.open(frame))
        elif act == "answer":
            self._answer(name)
        else:
            self._act(act, folder, name)

    def _act(self, act: str, folder: str, name: str) -> None:
        moves: Sequence[str] = {"": ("archive", "delete")}.get(folder, ("inbox",))
        do = self._chance.choice(moves if act == "move" else ("read", "unread", "star", "unstar"))
        fields = {"back": self._house.url, "folder": folder, "name": name, "do": do}
        self._count(self._visitor.send(Form(f"{self._house.url}/act", "post", fields)))

    def _answer(self, name: str) -> None:
        words = f"Thank you {self._chance.getrandbits(64):016x}."
        form = self._open(f"/message/{name}/reply").form_with("subject")
        self.answers[words] = "unknown"
        page = self._visitor.send(form, text=words, do="send")
        self._count(page)
        if "Your message is on its way" in page.text:
            self.answers[words] = "left"
        elif "It is not known whether" in page.text:
            self.answers[words] = "unclear"

    def _open(self, path: str) -> Page:
        page = self._visitor.open(self._house.url + path)
        self._count(page)
        if "/login" in page.url:
            self._count(self._visitor.send(page.form_with("password"), address=self.address, password=PASSWORD))
            page = self._visitor.open(self._house.url + path)
        return page

    def _count(self, page: Page) -> None:
        self.pages[str(page.status)] += 1
