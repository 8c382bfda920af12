"""Look settings up: for a sender and a recipient, through all the levels of the policy, with where each was said.

One chain for every setting but encrypt_mode: the recipient's own, the sender's own, the recipient's domain, the
sender's domain (each: the domain itself, then wildcards, the longest first), global, factory. At one place the policy
comes before tables. encrypt_mode is looked up for each side alone, and the stricter one holds. docs/policy.md has it.
Knows no file and no Postfix: policy and tables are handed in.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from ..envelope import AddressError, domain_of, normal
from .setting_forms import FORMS
from .values import EncryptMode, Policy, Setting, Settings

_MODE = "encrypt_mode"
#: A company writes to the same people again and again.
_REMEMBERED = 8192
_STRICTEST_FIRST = (EncryptMode.MANDATORY, EncryptMode.FORCE, EncryptMode.NO_ENCRYPTION, EncryptMode.ALLOW)


@dataclass(frozen=True)
class Answer:
    """What tables say of one key."""

    settings: Mapping[str, bool | str]
    #: By setting: the table that said it.
    tables: Mapping[str, str] = field(default_factory=dict)


#: Raises an error of its own, a temporary one, where a table can't be asked.
Asked = Callable[[str], Answer | Mapping[str, bool | str]]


class Levels:
    """The levels of one policy. Takes addresses in any spelling; for any number of threads."""

    def __init__(self, policy: Policy, tables: Asked | None, defaults: Settings) -> None:
        self._policy = policy
        self._tables = tables
        self._defaults = defaults
        # Only a table changes its answer while the policy stays the same.
        self._found = self._first if tables else lru_cache(_REMEMBERED)(self._first)

    def setting(self, name: str, sender: str, recipient: str) -> Setting:
        """Return what holds of *name* for mail from *sender* to *recipient*; raises KeyError for an unknown name."""
        if name == _MODE:
            return stricter(self.mode_of(recipient), self.mode_of(sender))
        (own, own_domains), (others, other_domains) = _places(recipient), _places(sender)
        return self._found(name, own + others, own_domains + other_domains)

    def mode_of(self, address: str) -> Setting:
        """Return the encrypt_mode of one side."""
        return self._found(_MODE, *_places(address))

    def every(self, sender: str, recipient: str) -> tuple[Setting, ...]:
        """Return all settings for mail from *sender* to *recipient*; an empty one has no say but global's.

        An address without a local part, "@example.com" or "@*.example.com", is its domain or wildcard alone.
        """
        return tuple(self.setting(name, sender, recipient) for name in FORMS)

    def _first(self, name: str, users: tuple[str, ...], domains: tuple[str, ...]) -> Setting:
        default = getattr(self._defaults, name, None)
        if name not in FORMS or default is None:
            raise KeyError(name)
        for value, origin in self._said(name, users, domains):
            return Setting(name, default if value == "" else value, origin)
        return Setting(name, default, "factory")

    def _said(self, name: str, users: tuple[str, ...], domains: tuple[str, ...]) -> Iterator[tuple[bool | str, str]]:
        """What is said of *name*, the narrowest first."""
        for kind, keys, level in (("user", users, self._policy.users), ("domain", domains, self._policy.domains)):
            for key in keys:
                if name in level.get(key, {}):
                    yield level[key][name], f"{kind} {key}"
                answer = self._asked(key)
                if name in answer.settings:
                    yield answer.settings[name], f"{kind} {key} ({answer.tables.get(name, 'table')})"
        if name in self._policy.everywhere:
            yield self._policy.everywhere[name], "global"

    def _asked(self, key: str) -> Answer:
        answer = self._tables(key) if self._tables else {}
        return answer if isinstance(answer, Answer) else Answer(answer)


def stricter(one: Setting, other: Setting) -> Setting:
    """Of two sides' encrypt_mode return the one that holds for a mail between them; of equals, *one*."""
    return min(one, other, key=lambda setting: _STRICTEST_FIRST.index(EncryptMode(str(setting.value))))


def wildcards(domain: str) -> tuple[str, ...]:
    """Return what a domain may be meant by besides its name, the longest first: never its own wildcard."""
    if domain.startswith("["):
        return ()
    labels = domain.split(".")
    return tuple("*." + ".".join(labels[at:]) for at in range(1, len(labels)))


# A pure function, asked for each setting of each recipient of a mail.
@lru_cache(4096)
@lru_cache(_REMEMBERED)
def _places(address: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where settings of *address* may stand: as a user, and by its domain."""
    users: tuple[str, ...] = ()
    if address.startswith("@*."):
        return users, (address[1:], *wildcards(address[3:]))
    try:
        users, domain = (normal(address),), domain_of(address)
    except AddressError:
        # Postfix takes more than the grammar does, and the domain's word is to hold for that too.
        try:
            domain = domain_of(f"postmaster@{address.strip('<>').rpartition('@')[2]}") if "@" in address else ""
        except AddressError:
            domain = ""
    return users, (domain, *wildcards(domain)) if domain else ()
