"""The child processes that sanitise: limited, replaced, never left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from messenger.child_process import ChildError, TimedOut
from messenger.message import sandbox, worker
from messenger.message.sandbox import Pool

#: Takes nh3 half a minute: each attribute is compared with all before it.
SLOW = f"<p {' '.join(map('a{}'.format, range(300_000)))}>"


@pytest.fixture
def pool():
    made = Pool()
    yield made
    made.close()


def children() -> set[int]:
    return {int(one) for one in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_child_sanitises_and_stays_for_the_next_job(pool):
    first = pool.run("<p onclick=x>one", {}, False, 10)
    started = children()
    second = pool.run("<p>two<script>", {}, False, 10)

    assert (first.html, second.html) == ("<p>one</p>", "<p>two</p>")
    assert children() == started


def test_a_child_that_takes_too_long_is_killed_and_replaced(pool):
    pool.run("warm", {}, False, 10)
    (child,) = pool._held.idle
    opened = descriptors()

    begun = time.monotonic()
    with pytest.raises(TimedOut):
        pool.run(SLOW, {}, False, 0.5)

    assert time.monotonic() - begun < 2
    assert child.process.pid not in children()  # no zombie either: those are listed too
    assert descriptors() == opened - 2
    assert pool.run("<p>again", {}, False, 10).html == "<p>again</p>"


def test_a_job_may_use_so_much_cpu_and_no_more(pool):
    with pytest.raises(TimedOut):
        pool.run(SLOW, {}, False, 60)


def test_a_child_killed_between_jobs_is_replaced(pool):
    pool.run("warm", {}, False, 10)
    (child,) = pool._held.idle
    os.kill(child.process.pid, signal.SIGKILL)
    time.sleep(0.05)

    assert pool.run("<p>x", {}, False, 10).html == "<p>x</p>"
    assert child.process.pid not in children()


def test_a_child_killed_in_the_middle_is_an_error_of_ours(pool):
    pool.run("warm", {}, False, 10)
    (child,) = pool._held.idle
    threading.Timer(0.3, os.kill, (child.process.pid, signal.SIGKILL)).start()

    with pytest.raises(ChildError):
        pool.run(SLOW, {}, False, 10)

    assert child.process.pid not in children()


def test_many_threads_share_a_few_children(pool):
    before, most = children(), 0
    results: list[str] = []

    def work(number: int) -> None:
        for _ in range(5):
            results.append(pool.run(f"<i>{number}", {}, False, 30).html)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    while any(one.is_alive() for one in threads):
        most = max(most, len(children() - before))
        time.sleep(0.01)

    assert sorted(results) == sorted(f"<i>{number}</i>" for number in range(8) for _ in range(5))
    assert most <= sandbox.CHILDREN


def test_large_pictures_go_both_ways(pool):
    picture = b"\x89PNG\r\n\x1a\n" + os.urandom(1_900_000)

    shown = pool.run('<img src="cid:a"><img src="cid:b">', {"a": picture, "b": picture}, False, 10)

    assert shown.html.count("data:image/png;base64,") == 2
    assert len(shown.html) > 5_000_000


def test_a_picture_shown_a_thousand_times_does_not_fill_the_memory(pool):
    picture = b"\x89PNG\r\n\x1a\n" + bytes(1_000_000)

    shown = pool.run('<img src="cid:a">' * 1000, {"a": picture}, False, 10)

    assert len(shown.html) < 9_000_000


def test_the_child_can_open_no_file_no_socket_and_start_no_process(tmp_path):
    script = textwrap.dedent("""
        import os, socket, subprocess, sys
        from messenger.message import worker
        worker._give_up_rights()
        for what in (
            lambda: open("/etc/passwd"),
            lambda: socket.socket(),
            lambda: os.open("/dev/null", os.O_RDONLY),
            lambda: subprocess.run(["true"]),
        ):
            try:
                what()
            except OSError:
                continue
            os.write(1, b"could")
        os.write(1, b"done")
    """)

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)

    assert done.stdout == b"done", done.stderr


def test_the_child_has_a_limit_on_memory():
    script = "from messenger.message import worker; worker._give_up_rights(); bytearray(worker.MEMORY)"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)

    assert done.returncode != 0
    assert b"MemoryError" in done.stderr


def test_children_end_with_their_parent():
    script = textwrap.dedent("""
        import os, signal
        from messenger.message.sandbox import Pool
        pool = Pool()
        pool.run("<p>x", {}, False, 10)
        print(pool._held.idle[0].process.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, text=True)

    child = Path(f"/proc/{int(done.stdout)}")
    deadline = time.monotonic() + 5
    while child.exists() and "Z" not in (child / "stat").read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not child.exists() or ") Z " in (child / "stat").read_text()


def test_a_forked_process_starts_children_of_its_own(pool):
    pool.run("warm", {}, False, 10)
    (child,) = pool._held.idle

    forked = os.fork()
    if not forked:
        try:
            fine = pool.run("<p>forked", {}, False, 10).html == "<p>forked</p>" and child not in pool._held.idle
            pool.close()
            os._exit(0 if fine else 1)
        except BaseException:
            os._exit(2)

    assert os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]) == 0
    assert pool.run("<p>parent", {}, False, 10).html == "<p>parent</p>"
    assert pool._held.idle == [child]


def test_waiting_for_a_child_has_an_end_too():
    pool = Pool(children=1)

    def keep_busy() -> None:
        with pytest.raises(TimedOut):
            pool.run(SLOW, {}, False, 1.0)

    busy = threading.Thread(target=keep_busy)
    busy.start()
    time.sleep(0.2)

    with pytest.raises(TimedOut, match="free"):
        pool.run("<p>x", {}, False, 0.3)

    busy.join()
    pool.close()


def test_a_child_that_has_done_its_jobs_is_replaced_before_it_is_asked_for_one_more(pool):
    pool.run("warm", {}, False, 10)
    (first,) = pool._held.idle

    shown = {pool.run("<p>x", {}, False, 10).html for _ in range(worker.JOBS + 1)}

    assert shown == {"<p>x</p>"}
    assert first.process.pid not in children()
