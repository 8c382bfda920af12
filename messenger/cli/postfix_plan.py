"""What an existing Postfix lacks for the ends of the tunnel on this host, worked out without changing anything.

What is there already is left as it stands, and only added to.
"""

from collections.abc import Iterator, Sequence

from ..config import Config
from . import postfix_gateway, postfix_intake, postfix_standalone
from .postfix import Plan, Postfix, ask, milter_address
from .postfix_milters import Meaning, asks, signers_before, unasked, with_ours
from .roles import Role
from .status import Failed

#: Two times base64, and what S/MIME adds.
OVERHEAD = 1.9


def plan(postfix: Postfix, config: Config, role: Role, next_hop: str | None = None) -> Plan:
    """Work out what is missing for *role*; *next_hop* is where a gateway sends tunnel mail, None as before."""
    intake, gateway = (milter_address(name, postfix.queue) for name in (config.intake.socket, config.gateway.socket))
    ours = [intake] * role.messenger + [gateway] * role.gateway
    by_smtp = _by_smtp(postfix, ours, role, first=_alone(config, role))
    wanted = {"smtpd_milters": by_smtp}
    tables = {}
    if _alone(config, role):
        pass
    elif role.messenger:
        tables = postfix_intake.tables(postfix, config)
        wanted |= postfix_intake.parameters(postfix, config)
    else:
        tables = postfix_gateway.tables(postfix, config, next_hop)
        wanted |= postfix_gateway.parameters(postfix, bool(tables))
    if role.gateway:
        wanted["non_smtpd_milters"] = _by_sendmail(postfix, ours, by_smtp)
    return Plan(
        tables={path: text for path, text in tables.items() if not path.is_file() or path.read_text() != text},
        table_type=postfix.meant["default_database_type"],
        parameters={name: value for name, value in wanted.items() if value != postfix.written[name].strip()},
        warnings=tuple(_warnings(postfix, config, role, by_smtp)),
    )


def _alone(config: Config, role: Role) -> bool:
    """Whether mail comes to Messenger here directly, and not through the tunnel."""
    return role.messenger and config.intake.mode == "standalone"


def _by_smtp(postfix: Postfix, ours: Sequence[str], role: Role, *, first: bool) -> str:
    # Asked by every smtpd, or by one that the site keeps for it.
    places = (postfix.meant["smtpd_milters"], *postfix.overrides)
    missing = [address for address in ours if not any(asks(address, place) for place in places)]
    written = postfix.written["smtpd_milters"].strip()
    return with_ours(written, missing, _meaning(postfix), before_signer=role.gateway, first=first)


def _by_sendmail(postfix: Postfix, ours: Sequence[str], by_smtp: str) -> str:
    """What sendmail(1) hands in is seen by no smtpd: other people's mail, and the gateway's own."""
    written = postfix.written["non_smtpd_milters"].strip()
    places = (postfix.meant["non_smtpd_milters"], by_smtp if "smtpd_milters" in written else "")
    missing = [address for address in ours if not any(asks(address, place) for place in places)]
    return with_ours(written, missing, _meaning(postfix), before_signer=True)


def _meaning(postfix: Postfix) -> Meaning:
    def meaning(name: str) -> str:
        try:
            return ask(postfix.folder, "-h", name)
        except Failed:
            return ""

    return meaning


def _warnings(postfix: Postfix, config: Config, role: Role, by_smtp: str) -> Iterator[str]:
    sockets = {"the milter": config.intake.socket} if role.messenger else {}
    sockets |= {"messenger-gateway": config.gateway.socket} if role.gateway else {}
    addresses = {name: milter_address(socket, postfix.queue) for name, socket in sockets.items()}
    for line in postfix.overrides:
        blind = [name for name, address in addresses.items() if _passes_by(line, address)]
        if blind:
            does = "does" if len(blind) == 1 else "do"
            yield f'master.cf has "{line}": {" and ".join(blind)} {does} not see what comes in there'
    for name, address in addresses.items():
        yield from _unasked(postfix, name, address, by_smtp)
    if _alone(config, role):
        yield from postfix_standalone.warnings(postfix, config, addresses["the milter"], by_smtp)
    elif role.messenger:
        yield from postfix_intake.warnings(postfix, config)
    if role.gateway:
        yield from _order(postfix, addresses["messenger-gateway"], by_smtp)
        yield from postfix_gateway.warnings(postfix, config, by_smtp, beside=role.messenger)
    for name, address in addresses.items():
        if postfix.chrooted and address.startswith("unix:/"):
            key = "[intake] socket" if name == "the milter" else "[gateway] socket"
            yield (
                f"smtpd runs in a chroot (master.cf) and can't see {sockets[name]}: put {key}"
                f" into {postfix.meant['queue_directory']}, or use inet:PORT@127.0.0.1"
            )
    if int(postfix.meant["mail_version"].split(".")[0]) < 3:
        yield f"Postfix {postfix.meant['mail_version']}: 3.0 or newer is needed"
    if not _alone(config, role):
        yield from _sizes(postfix, config, role)


def _passes_by(line: str, address: str) -> bool:
    return "no_milters" in line if "receive_override" in line else not asks(address, line)


def _unasked(postfix: Postfix, name: str, address: str, by_smtp: str) -> Iterator[str]:
    """What was arranged by hand may let mail pass while nobody answers."""
    default = postfix.meant["milter_default_action"]
    for place in (by_smtp, postfix.meant["non_smtpd_milters"], *(line.partition("=")[2] for line in postfix.overrides)):
        if action := unasked(address, place, default):
            yield (
                f'"{place.strip()}": while {name} does not answer, Postfix does not wait but does "{action}" with mail:'
                f" write {{ {address}, default_action=tempfail }}"
            )
            return


def _order(postfix: Postfix, address: str, by_smtp: str) -> Iterator[str]:
    meaning = _meaning(postfix)
    if signers := signers_before(address, by_smtp, meaning):
        yield (
            f"smtpd_milters asks {', '.join(signers)} before messenger-gateway: mail that is signed already keeps the"
            f" words that set a rule off in its subject. Put {address} before it"
        )
    elif not asks(address, postfix.meant["smtpd_milters"]) and postfix.meant["smtpd_milters"].strip():
        yield "if another milter signs mail (DKIM), messenger-gateway belongs before it in smtpd_milters"


def _sizes(postfix: Postfix, config: Config, role: Role) -> Iterator[str]:
    limit = int(postfix.meant["message_size_limit"])
    wanted = config.intake.size_limit if role.messenger else config.gateway.size_limit
    if limit == 0 or limit >= wanted:
        return
    # Postfix wants a mailbox to hold the largest mail, or delivers nothing more.
    others = [
        f"{name}={wanted}"
        for name in ("mailbox_size_limit", "virtual_mailbox_limit")
        if 0 < int(postfix.meant[name]) < wanted
    ]
    key = "[intake]" if role.messenger else "[gateway]"
    yield (
        f"Postfix takes mail up to {limit} bytes (message_size_limit), {key} size_limit is {wanted}. A tunnel mail"
        f" is about {OVERHEAD} times its message, so messages over {int(limit / OVERHEAD)} bytes would not pass."
        f" If they should: postconf -e {' '.join([f'message_size_limit={wanted}', *others])}"
    )
