"""Seal the site's keys under a passphrase for a backup, and open them: scrypt (RFC 7914) and AES-256-GCM.

    webmail-messenger keys 1 <newline>   16 octets salt   12 octets nonce   the sealed octets, with a tag of 16

The salt goes into scrypt (N 131072, r 8, p 1) with the passphrase; line, salt and nonce are authenticated too. What is
sealed is JSON: a list of objects with path, mode, user, group and data (base64).
"""

import base64
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ..tree import Row
from .status import DATA, NO_INPUT, Failed

NAME = "keys.sealed"
_MAGIC = b"webmail-messenger keys 1\n"
_SALT, _NONCE = 16, 12
# What OWASP asks for: 128 MiB and about half a second.
_COST, _BLOCKS, _LANES = 2**17, 8, 1
#: Whoever has the backup can try as fast as they like.
PASSPHRASE_CHARACTERS = 12


class Key(NamedTuple):
    #: Its path is that of the file on the machine, without the first slash.
    row: Row
    data: bytes


def passphrase_in(path: Path) -> bytes:
    """Return the first line of a file. Failed if it is too short to keep anybody out."""
    try:
        first = path.read_bytes().split(b"\n", 1)[0].strip()
    except FileNotFoundError as error:
        raise Failed(f"{path}: no passphrase there; write one into that file, on one line", NO_INPUT) from error
    if len(first) < PASSPHRASE_CHARACTERS:
        text = f"expected a passphrase of at least {PASSPHRASE_CHARACTERS} characters on the first line"
        raise Failed(f"{path}: {text}, found {len(first)}; choose a longer one", DATA)
    return first


def seal(keys: Iterable[Key], passphrase: bytes) -> bytes:
    """Return *keys* so that only *passphrase* opens them."""
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    clear = json.dumps([_object(key) for key in keys]).encode("ascii")
    head = _MAGIC + salt + nonce
    return head + AESGCM(_key(passphrase, salt)).encrypt(nonce, clear, head)


def opened(sealed: bytes, passphrase: bytes) -> list[Key]:
    """Return the keys in *sealed*. Failed if the passphrase is another one, or the file is damaged."""
    head, rest = sealed[: len(_MAGIC) + _SALT + _NONCE], sealed[len(_MAGIC) + _SALT + _NONCE :]
    if not head.startswith(_MAGIC):
        raise Failed(f"{NAME}: not made by this version of Messenger; take another backup", DATA)
    salt, nonce = head[len(_MAGIC) : -_NONCE], head[-_NONCE:]
    try:
        clear = AESGCM(_key(passphrase, salt)).decrypt(nonce, rest, head)
    except InvalidTag as error:
        text = "this passphrase doesn't open the keys, or the file is damaged; give the one they were sealed with"
        raise Failed(f"{NAME}: {text}", DATA) from error
    return [
        Key(
            Row(given["path"], int(given["mode"], 8), given["user"], given["group"]),
            base64.b64decode(given["data"]),
        )
        for given in json.loads(clear)
    ]


def _key(passphrase: bytes, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=_COST, r=_BLOCKS, p=_LANES).derive(passphrase)


def _object(key: Key) -> dict[str, str]:
    row = key.row
    data = base64.b64encode(key.data).decode("ascii")
    return {"path": row.path, "mode": f"{row.mode:04o}", "user": row.user, "group": row.group, "data": data}
