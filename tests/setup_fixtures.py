"""What tests of messenger setup share: what a folder holds, and machines without our users."""

import codecs
import os
import shutil
import tempfile
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from messenger import config, link, totp
from messenger.cli import places
from messenger.cli.tunnel_files import sender_key, tunnel_keys

from .cli_fixtures import messenger_fixture, setup_words  # noqa: F401
from .other_user import WHY_NOT


def contents(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def assert_complete(folder: Path) -> None:
    """Everything a start needs is there and usable."""
    settings = config.load(folder / "messenger.toml")
    assert tunnel_keys(settings).recipients
    assert sender_key(settings)
    assert len(link.load_key(settings.notice.link_key)) == 32
    assert len(totp.load_key(settings.accounts.totp_key)) == 32
    assert len(link.load_key(settings.pdf.key)) == 32
    for path in (settings.mail.root, settings.intake.ledger, settings.accounts.database.parent, settings.reader.cache):
        assert path.is_dir()
    assert not [path for path in folder.rglob(".*") if path.is_file()], "a draft was left behind"


@pytest.fixture(name="nobody")
def nobody_fixture():
    """Go on as an ordinary user, in a folder of that user's; root again afterwards."""
    if os.geteuid() == 0 and WHY_NOT:
        pytest.skip(WHY_NOT)
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))  # the folders of pytest are shut to others
    if os.geteuid() != 0:
        yield folder
    else:
        # Python lies below /root, maybe: what it first looks for as nobody, it never finds again.
        codecs.lookup("ascii")
        codecs.lookup("utf-8-sig")
        import_module("importlib.readers")
        os.chown(folder, 65534, 65534)
        os.setegid(65534)
        os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(0)
            os.setegid(0)
    shutil.rmtree(folder)


@pytest.fixture(autouse=True, name="no_users")
def no_users_fixture(monkeypatch):
    """As if nothing of ours were installed on this machine, whatever is."""

    def missing(name):
        raise KeyError(name)

    monkeypatch.setattr(places, "pwd", SimpleNamespace(getpwnam=missing))
    monkeypatch.setattr(places, "grp", SimpleNamespace(getgrnam=missing))
