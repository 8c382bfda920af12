"""What every subject of the accounts stands on: the file, the site's rules, the hasher.

Part of messenger.accounts: nobody else reads this.
"""

from pathlib import Path

from .. import passwords
from .file import AccountsFile, damage


class Store:
    """The accounts in one SQLite file; safe to use from several threads and processes."""

    def __init__(
        self,
        path: Path,
        *,
        site_name: str = "",
        idle_minutes: int = 15,
        absolute_hours: int = 8,
        require_totp: str = "offered",
        totp_key: bytes = b"",
        hasher: passwords.Hasher | None = None,
    ) -> None:
        """Open *path*, made with its tables if it isn't there; *hasher* is for tests that can't wait.

        *require_totp* is "never", "offered" or "always". Without *totp_key* nobody can enrol a second factor.
        """
        self._file = AccountsFile(path)
        self._site_name = site_name
        self._idle = idle_minutes * 60
        self._absolute = absolute_hours * 3600
        self._require_totp = require_totp
        self._totp_key = totp_key
        self._hasher = hasher or passwords.Hasher()

    def check(self) -> None:
        """Raise AccountsError unless the database answers."""
        with self._file.reading() as db:
            db.execute("SELECT 1 FROM account LIMIT 1").fetchone()

    @staticmethod
    def damage(path: Path) -> list[str]:
        """Return what is damaged in the database at *path*, and [] for nothing. Changes nothing, and reads all of it.

        AccountsError if it is no database, or can't be read. Run it as the owner: SQLite puts files beside it.
        """
        return damage(path)

    def close(self) -> None:
        """Close this thread's connection."""
        self._file.close()
