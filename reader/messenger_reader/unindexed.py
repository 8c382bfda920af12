"""A folder's list as the folder itself gives it, for when the index can't be used: right, and slow where there is much.

Knows no SQL. What is in the mails is for the caller to look up.
"""

from messenger.mailbox import Mailbox, MailboxError

from .index_values import Cursor, Row, Rows


def listed(mailbox: Mailbox, folder: str) -> list[Row]:
    """The whole list, newest first."""
    rows = [Row(entry.name, entry.received, entry.size, entry.flags) for entry in mailbox.list(folder)]
    return sorted(rows, key=lambda row: row.cursor, reverse=True)


def page(mailbox: Mailbox, folder: str, size: int, older: Cursor | None, newer: Cursor | None) -> Rows:
    """As ``Index.page``."""
    rows = listed(mailbox, folder)
    start = 0
    if older:
        start = sum(row.cursor >= older for row in rows)
    elif newer:
        start = max(0, sum(row.cursor > newer for row in rows) - size)
    if start >= len(rows):
        start = 0
    unread = sum(not row.seen for row in rows)
    return Rows(tuple(rows[start : start + size]), start > 0, start + size < len(rows), len(rows), unread)


def neighbours(mailbox: Mailbox, folder: str, name: str) -> tuple[Row | None, Row | None, Row | None]:
    """The row of *name*, and the next newer and the next older one."""
    rows = listed(mailbox, folder)
    for at, row in enumerate(rows):
        if row.name == name:
            return row, rows[at - 1] if at else None, rows[at + 1] if at + 1 < len(rows) else None
    return None, None, None


def counts(mailbox: Mailbox, folders: list[str]) -> list[tuple[str, int, int]]:
    """As ``Index.counts``."""
    found = []
    for folder in folders:
        try:
            flags = [entry.flags for entry in mailbox.list(folder)]
        except MailboxError:  # one that can't be read keeps nobody from the others
            flags = []
        found.append((folder, len(flags), sum("S" not in one for one in flags)))
    return found
