"""Every mail that must be refused is refused, for the reason expected, and in bounded time."""

import time

import pytest

from messenger import tunnel
from tests.hostile_mails import HOSTILE, KEYS

#: CPU seconds. The aim is one; this only keeps a test run from hanging (bench/unwrap.py measures).
GUARD = 20


@pytest.mark.parametrize("name", HOSTILE)
def test_is_refused(name):
    code, maker = HOSTILE[name]
    mail = maker()
    started = time.process_time()

    with pytest.raises(tunnel.Refused) as refused:
        tunnel.unwrap(mail, KEYS)

    assert refused.value.code == code, refused.value
    assert not refused.value.temporary
    assert time.process_time() - started < GUARD
