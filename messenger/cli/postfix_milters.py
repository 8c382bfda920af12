"""Lists of milters as Postfix writes them: who is in one, who signs, where one of ours belongs. Text in, text out."""

import re
from collections.abc import Callable, Iterator, Sequence

CONTENT_TIMEOUT = "300s"

#: What is known to sign mail, by name or by the ports in everybody's instructions: OpenDKIM, OpenARC, Rspamd.
_SIGNER = re.compile(r"dkim|openarc|rspamd|:(8891|12301|11332)\b", re.IGNORECASE)
_ENTRY = re.compile(r"\{[^}]*\}|[^\s,]+")

#: Tells what a $name in a list stands for.
Meaning = Callable[[str], str]


def entry(address: str) -> str:
    """Return *address* as an entry: while nobody answers there, senders are told to come again."""
    return f"{{ {address}, default_action=tempfail, content_timeout={CONTENT_TIMEOUT} }}"


def asks(address: str, milters: str) -> bool:
    """Whether *address* is in the list *milters*."""
    return re.search(rf"(^|[\s,{{=]){re.escape(address)}($|[\s,}}])", milters) is not None


def with_ours(
    written: str, missing: Sequence[str], meaning: Meaning, *, before_signer: bool, first: bool = False
) -> str:
    """Add entries for the addresses in *missing*: behind all others, before the first that signs, or *first*."""
    ours = ", ".join(entry(address) for address in missing)
    if not ours or not written:
        return ours or written
    if first:
        return f"{ours}, {written}"
    at = next((start for start, one in _entries(written) if _signs(one, meaning)), None) if before_signer else None
    return f"{written}, {ours}" if at is None else f"{written[:at]}{ours}, {written[at:]}"


def signers_before(address: str, milters: str, meaning: Meaning) -> list[str]:
    """Name what signs before *address* is asked; nothing where it isn't in the list."""
    return [one for one in asked_before(address, milters) if _signs(one, meaning)]


def asked_before(address: str, milters: str) -> list[str]:
    """Name the milters that are asked before *address*; nothing where it isn't in the list."""
    found = [one for _, one in _entries(milters)]
    ours = next((number for number, one in enumerate(found) if asks(address, one)), 0)
    return found[:ours]


def unasked(address: str, milters: str, default: str) -> str:
    """Return what Postfix does with mail while *address* doesn't answer, if that isn't to wait; else "".

    *default* is ``milter_default_action``.
    """
    for _, one in _entries(milters):
        if asks(address, one):
            said = re.search(r"\bdefault_action\s*=\s*(\w+)", one)
            action = (said[1] if said else default).strip()
            return "" if action in ("tempfail", "shutdown") else action
    return ""


def _entries(milters: str) -> Iterator[tuple[int, str]]:
    return ((match.start(), match[0]) for match in _ENTRY.finditer(milters))


def _signs(one: str, meaning: Meaning) -> bool:
    if one.startswith("$"):
        one = meaning(one.strip("${}()"))
    return _SIGNER.search(one) is not None
