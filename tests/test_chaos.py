"""``make chaos``: the plan is what the seed says, its checks see what is wrong, and a short run holds."""

from __future__ import annotations

import itertools
import os
import shutil

import pytest

from demo.postfix import PostfixMissing, require
from messenger.mailbox import mailbox_of
from proof.chaos import plan
from proof.chaos.__main__ import show
from proof.chaos.run import run

try:
    require()
    missing = ""
except PostfixMissing as error:
    missing = str(error)

#: By hand: CHAOS_SECONDS=600 CHAOS_SEED=7 pytest tests/test_chaos.py
SECONDS, SEED = (int(os.environ.get(f"CHAOS_{name}", default)) for name, default in (("SECONDS", "20"), ("SEED", "1")))
RATE, EVERY = 4.0, 1.0

with_postfix = pytest.mark.skipif(bool(missing), reason=missing)


def test_the_same_seed_gives_the_same_plan_and_another_one_another():
    first, again, other = ((plan.mails(n, 60, 4, ["x", "y"]), plan.faults(n, 600, 2)) for n in (1, 1, 2))

    assert first == again
    assert first != other


def test_a_plan_has_mail_of_all_kinds_and_sizes_and_every_fault():
    mails = [mail for seed in range(20) for mail in plan.mails(seed, 600, 4, ["x"])]
    faults = plan.faults(1, 600, 2)

    kinds = [mail.kind for mail in mails]
    assert kinds.count("hostile") * 20 == len(mails)
    assert {mail.kind for mail in mails} == {"plain", "pdf", "hostile"}
    assert min(mail.size for mail in mails if mail.kind == "plain") == plan.KB
    assert 20 * plan.MB < max(mail.size for mail in mails) < 25 * plan.MB
    assert {len(mail.rcpt_tos) for mail in mails if mail.kind != "hostile"} == set(range(1, 51))
    assert {cut for mail in mails for cut in mail.cuts} == {"body", "answer", "reset"}
    assert {fault.kind for fault in faults} == {kind for kind, _ in plan.FAULTS}
    assert {(fault.kind, fault.target) for fault in faults} >= {("kill", "milter"), ("stop", "postfix")}


@pytest.mark.postfix
@with_postfix
def test_whatever_fails_each_mail_that_was_taken_is_there_once_and_was_announced():
    """And the checks are no blind ones: at the end something is made wrong on purpose."""
    seen: dict[str, list[str]] = {}

    def tamper(house, look):
        inboxes = (mailbox_of(house.config.mail.root, address).root / "new" for address in plan.PEOPLE[5:])
        lost, doubled, strange = itertools.islice((box for box in inboxes if any(box.glob("*"))), 3)
        next(lost.iterdir()).unlink()
        shutil.copy(next(doubled.iterdir()), doubled / "another")
        (strange / "stranger").write_bytes(b"A: 1\n" * 5)
        for caught in sorted((house.postfix.home / "caught" / "new").iterdir())[:20]:
            caught.unlink()
        next(house.config.intake.ledger.glob("??/*")).unlink()
        seen.update(look())

    report = run(SEED, SECONDS, RATE, EVERY, print, at_the_end=tamper)

    show(report)
    assert {name: wrong for name, wrong in report.checks.items() if wrong} == {}
    assert sum(report.faults.values()) - report.faults["left out"] >= SECONDS / EVERY / 3
    assert report.answers["550"] >= report.mails // 20
    assert {name for name, wrong in seen.items() if wrong} >= {
        "each mail is in each mailbox exactly once",
        "no refused mail left a trace",
        "each recipient has one or two notices",
        "the ledger has what was taken and nothing else",
    }
