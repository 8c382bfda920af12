"""Do what the plan says fails, each fault in a thread of its own, and mend it when its time is over."""

from __future__ import annotations

import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing

from messenger_reader import index

from . import processes
from .house import House
from .plan import READERS, Fault

CLOCK = {"+3h": 10_800, "-3h": -10_800, "+2d": 172_800, "-2d": -172_800, "+40s": 40, "-40s": -40}
#: systemd starts again after a moment (RestartSec=).
RESTART_SECONDS = 0.3
#: Some of these are shorter than what a process waits for a database, none much longer.
LOCKED_TIMES = 3.0


class Faults(threading.Thread):
    """Does *faults* as their time comes. ``done`` counts them; one whose target is broken already is left out."""

    def __init__(self, house: House, faults: Iterable[Fault], seed: int) -> None:
        super().__init__(name="faults", daemon=True)
        self.done: Counter[str] = Counter()
        self.errors: list[str] = []
        #: When the milter was killed (time.monotonic()).
        self.kills: list[float] = []
        self._house = house
        self._faults = list(faults)
        self._chance = random.Random(f"doing {seed}")
        self._postfix, self._clock, self._database = threading.Lock(), threading.Lock(), threading.Lock()
        self._acts: dict[str, Callable[[Fault], bool]] = {
            "kill": self._kill,
            "kill-all": self._kill,
            "kill-child": self._kill_child,
            "stop": self._stop_and_start,
            "freeze": self._freeze,
            "full": self._break_disk,
            "no-inodes": self._break_disk,
            "read-only": self._break_disk,
            "locked": self._lock_database,
            "clock": self._put_clock,
        }

    def run(self) -> None:
        began = time.monotonic()
        threads = []
        for fault in self._faults:
            time.sleep(max(0.0, began + fault.at - time.monotonic()))
            threads.append(threading.Thread(target=self._one, args=(fault,), daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _one(self, fault: Fault) -> None:
        lock = self._lock_of(fault)
        if not lock.acquire(blocking=False):
            self.done["left out"] += 1
            return
        try:
            happened = self._acts[fault.kind](fault)
        except Exception as error:  # a fault that could not be done is no proof
            self.errors.append(f"{fault.kind} {fault.target}: {error!r}")
        else:
            self.done[f"{fault.kind} {fault.target}" if happened else "left out"] += 1
        finally:
            lock.release()

    def _lock_of(self, fault: Fault) -> threading.Lock:
        """Who holds this breaks the target; it is whole again when it is released."""
        if fault.kind in ("full", "no-inodes", "read-only"):
            return self._house.disks[fault.target].lock
        if fault.kind in ("locked", "clock"):
            return self._database if fault.kind == "locked" else self._clock
        return self._postfix if fault.target == "postfix" else self._house.services[fault.target].lock

    def _kill(self, fault: Fault) -> bool:
        service = self._house.services[fault.target]
        if fault.target == "milter":
            self.kills.append(time.monotonic())
        service.kill(everything=fault.kind == "kill-all")
        time.sleep(RESTART_SECONDS + fault.lasts / 4)
        service.start()
        return True

    def _kill_child(self, fault: Fault) -> bool:
        if fault.target == "postfix":
            children = processes.descendants(self._house.postfix_master())
        else:
            children = self._house.services[fault.target].children()
        if children:
            processes.send(self._chance.choice(children), signal.SIGKILL)
        return bool(children)

    def _stop_and_start(self, fault: Fault) -> bool:
        if fault.target == "postfix":
            self._house.postfix.stop()
            time.sleep(fault.lasts)
            self._house.postfix.start()
            return True
        service = self._house.services[fault.target]
        # Not yet up, it ends by the signal itself.
        if (status := service.stop()) not in (0, -signal.SIGTERM):
            self.errors.append(f"{fault.target} ended with status {status} when it was told to stop")
        service.start()
        return True

    def _freeze(self, fault: Fault) -> bool:
        service = self._house.services[fault.target]
        service.signal(signal.SIGSTOP)
        time.sleep(fault.lasts)
        service.signal(signal.SIGCONT)
        return True

    def _break_disk(self, fault: Fault) -> bool:
        disk = self._house.disks[fault.target]
        try:
            if fault.kind == "full":
                disk.fill()
            elif fault.kind == "no-inodes":
                disk.use_up_inodes()
            elif not disk.make_read_only():
                return False
            time.sleep(fault.lasts)
        finally:
            disk.mend()
        return True

    def _lock_database(self, fault: Fault) -> bool:
        config = self._house.config
        path = config.accounts.database
        if fault.target == "index":
            path = index.path_of(config.reader.cache, READERS[0])
        if not path.exists():
            return False
        with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as other:
            other.execute("BEGIN EXCLUSIVE")
            time.sleep(fault.lasts * LOCKED_TIMES)
            other.execute("ROLLBACK")
        return True

    def _put_clock(self, fault: Fault) -> bool:
        self._house.clock.put(CLOCK[fault.target])
        time.sleep(fault.lasts)
        self._house.clock.put(0)
        return True
