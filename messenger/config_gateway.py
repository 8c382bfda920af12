"""The section [gateway]: where messenger-gateway listens, whose keys it works with, what other ways mail has.

What must be protected is no setting here but the policy, a file of its own that is read again when it changes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from . import config_forms as forms
from .config_forms import Form
from .config_kinds import Socket, Words

WAYS = ("smime", "pgp", "pdf", "webmail")


@dataclass(frozen=True)
class Gateway:
    socket: Socket = "/var/spool/postfix/webmail-messenger-gateway/gateway.sock"
    #: "observe": log and record what would be done, and change nothing.
    mode: Annotated[str, Form('"enforce" or "observe"', forms.one_of("enforce", "observe"))] = "enforce"
    policy: Path = Path("gateway.toml")
    size_limit: Annotated[int, Form("bytes, from 10240 to 2147483647", forms.between(10_240, 2_147_483_647))] = (
        52_428_800
    )
    #: Signs tunnel mails; their certificate is pinned at Messenger's end.
    sender_certificate: Path = Path("keys/webmail-sender.pem")
    sender_key: Path = Path("keys/webmail-sender.key")
    recipient_certificate: Path = Path("keys/webmail-recipient.pem")
    #: ADDRESS.pem for each other webmail recipient that the policy names.
    more_recipients: Path | None = None
    #: AES-256-GCM and RSA-OAEP instead of AES-256-CBC and PKCS#1 v1.5.
    modern: bool = True
    sendmail: Words = ("/usr/sbin/sendmail",)
    smtp: Annotated[str, Form('"HOST:PORT", or "" to use sendmail', forms.host_port_or_nothing)] = ""
    #: Notices, receipts and PDFs that come from there are never wrapped.
    messenger_hosts: Annotated[tuple[str, ...], Form('addresses such as ["127.0.0.1"]', forms.networks)] = (
        "127.0.0.0/8",
        "::1/128",
    )
    #: Which way is tried first.
    order: Annotated[
        tuple[str, ...], Form('"smime", "pgp", "pdf", "webmail", in the order to try them', forms.words_of(*WAYS))
    ] = WAYS
    certificates: Path | None = None
    #: Keep the certificates of signed mail that comes in, where their chain ends in ``trusted_roots``.
    harvest: bool = False
    trusted_roots: Path = Path("/etc/ssl/certs/ca-certificates.crt")
    #: ADDRESS.pem and ADDRESS.key for each sender whose S/MIME mail is signed.
    sender_keys: Path | None = None
    #: A GnuPG home folder, or a file with an address or a domain in each line: who has a PGP key.
    pgp_keys: Path | None = None
    pgp_filter: Annotated[str, Form('"HOST:PORT", or "" for none', forms.host_port_or_nothing)] = ""
    #: Settings of users and domains in tables of Postfix: "ldap:/etc/postfix/webmail.cf".
    tables: Annotated[tuple[str, ...], Form('tables such as ["ldap:/etc/postfix/webmail.cf"]', forms.tables)] = ()
    table_seconds: Annotated[int, Form("seconds, from 0 to 86400", forms.between(0, 86_400))] = 60
    observed: Path = Path("/var/lib/webmail-messenger/gateway/observed.jsonl")

    def complaints(self) -> Iterator[tuple[str, str]]:
        """Keys that make no sense beside another one, and why."""
        if self.harvest and self.certificates is None:
            yield "certificates", "expected a folder, because harvest keeps certificates there, found none"
        if self.pgp_keys and not self.pgp_filter:
            yield "pgp_filter", "expected HOST:PORT of what encrypts with PGP, because pgp_keys is set, found none"
