"""What opening and writing tunnel mails costs: CPU against libcrypto's own CMS code, and memory.

    python -m bench.unwrap [--quick]

Both sides run in this process, on the same mails, one after the other, best of several runs: the ratios hold on a
busy machine, the milliseconds don't.
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Queue
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from bench.libcrypto import Libcrypto
from messenger import tunnel
from tests import cms_makers as make
from tests import hostile_mails
from tests.tunnel_fixtures import Pair, gateway, keys, messenger, wrapped

KB, MB = 1024, 1024 * 1024
SIZES = {"10 KB": 10 * KB, "1 MB": MB, "25 MB": 25 * MB}
REPEATS = {"10 KB": 200, "1 MB": 20, "25 MB": 5}
#: At most this many times libcrypto's CPU; BER at most this many times DER.
TARGETS = {"10 KB": 2.0, "1 MB": 1.0, "25 MB": 1.0}
BER_TARGET = 2.0
OPENING_MEMORY, WRAPPING_MEMORY, MEMORY_EXTRA = 2.0, 6.0, 4 * MB
HOSTILE_SECONDS = 1.0


def original(size: int) -> bytes:
    """A message with an attachment in base64, as most large ones are."""
    line = b"VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZy4gVGhlIHF1aWNrIGJy\r\n"
    return b"Subject: An attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n" + line * (size // len(line))


@dataclass(frozen=True)
class Form:
    name: str
    recipient: str
    mail: Callable[[bytes], bytes]


def _clear(raw: bytes, sender: str = "rsa2048") -> bytes:
    return make.clear_signed(gateway(sender), make.entity(raw))


SMALL = make.Style(1000)
FORMS = [
    Form("clear, AES-CBC, RSA", "rsa2048", lambda raw: wrapped(raw)),
    Form("clear, AES-GCM, OAEP", "rsa2048", lambda raw: wrapped(raw, modern=True)),
    Form("clear, AES-CBC, EC P-256", "p256", lambda raw: wrapped(raw, recipient="p256")),
    Form(
        "opaque, AES-CBC, RSA",
        "rsa2048",
        lambda raw: make.mail(make.enveloped(make.opaque_signed(gateway(), make.entity(raw)), messenger().certificate)),
    ),
    Form(
        "clear, AES-CBC, RSA, BER in 1,000s",
        "rsa2048",
        lambda raw: make.mail(make.enveloped(_clear(raw), messenger().certificate, style=SMALL)),
    ),
    Form(
        "opaque, AES-CBC, RSA, BER in 1,000s",
        "rsa2048",
        lambda raw: make.mail(
            make.enveloped(
                make.opaque_signed(gateway(), make.entity(raw), style=SMALL), messenger().certificate, style=SMALL
            )
        ),
    ),
]


def pem(pair: Pair) -> tuple[bytes, bytes]:
    key = pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pair.certificate.public_bytes(Encoding.PEM), key


def cost(*works: Callable[[], object], repeats: int) -> list[float]:
    """Best CPU seconds of each, taken in turns so that a busy moment hits all of them."""
    best = [float("inf")] * len(works)
    for _ in range(repeats):
        for place, work in enumerate(works):
            started = time.process_time()
            work()
            best[place] = min(best[place], time.process_time() - started)
    return best


class Promises:
    """Compares figures with what is promised, and remembers what was missed."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def verdict(self, what: str, value: float, target: float) -> str:
        if value > target:
            self.missed.append(f"{what}: {value:.2f}, promised {target:.2f}")
        return f"{value:6.2f} of {target:.2f}  {'ok' if value <= target else 'OVER'}"


def compare_opening(sizes: list[str], promises: Promises) -> None:
    print("Opening (decrypt and verify), CPU, best run\n")
    print(f"{'mail':<37}{'size':>6}{'ours ms':>10}{'libcrypto ms':>14}   ratio, target")
    der: dict[tuple[str, str], float] = {}
    for form in FORMS:
        ours = keys(form.recipient)
        theirs = Libcrypto(*pem(messenger(form.recipient)), pem(gateway())[0])
        for size in sizes:
            raw = original(SIZES[size])
            mail = form.mail(raw)
            assert tunnel.unwrap(mail, ours).raw == raw
            assert raw.replace(b"\r\n", b"\n")[-50:] in theirs.open(mail).replace(b"\r\n", b"\n")[-60:]
            own, other = cost(
                lambda m=mail, k=ours: tunnel.unwrap(m, k),  # type: ignore[misc]
                lambda m=mail, t=theirs: t.open(m),  # type: ignore[misc]
                repeats=REPEATS[size],
            )
            line = f"{form.name:<37}{size:>6}{own * 1000:>10.2f}{other * 1000:>14.2f}   "
            line += promises.verdict(f"{form.name}, {size}", own / other, TARGETS[size])
            plain, _, ber = form.name.partition(", BER")
            der.setdefault((plain, size), own)
            if ber:
                share = promises.verdict(f"{form.name}, {size}, to DER", own / der[plain, size], BER_TARGET)
                line += f"   BER/DER {share}"
            print(line, flush=True)


def _peak(work: Callable[[], object]) -> int:
    """Bytes by which the resident memory rose at most."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * KB for line in lines if line.startswith(name))


def _memory(files: dict[str, bytes], raw: bytes, mails: tuple[bytes, bytes], answer: "Queue[tuple[int, int]]") -> None:
    """In a fresh process: what the memory rises by when a mail is opened, and when one is written."""
    recipient = Pair(load_pem_x509_certificate(files["recipient"]), load_pem_private_key(files["recipient key"], None))
    sender = Pair(load_pem_x509_certificate(files["sender"]), load_pem_private_key(files["sender key"], None))
    ours = tunnel.TunnelKeys((recipient.recipient,), (sender.certificate,))

    def write(message: bytes) -> bytes:
        return wrapped(message, sender=sender.sender, recipient=recipient.certificate)

    small, large = mails
    tunnel.unwrap(small, ours)
    write(original(KB))
    opening = _peak(lambda: tunnel.unwrap(large, ours))
    answer.put((opening, _peak(lambda: write(raw))))


def compare_memory(sizes: list[str], promises: Promises) -> None:
    print("\nMemory beyond the mail itself, in its sizes (less 4 MB; for wrapping in sizes of the original)\n")
    fresh = multiprocessing.get_context("spawn")
    for form in FORMS:
        certificate, key = pem(messenger(form.recipient))
        signer, signer_key = pem(gateway())
        files = {"recipient": certificate, "recipient key": key, "sender": signer, "sender key": signer_key}
        for size in sizes:
            raw = original(SIZES[size])
            mails = form.mail(original(KB)), form.mail(raw)
            answer: Queue[tuple[int, int]] = fresh.Queue()
            child = fresh.Process(target=_memory, args=(files, raw, mails, answer))
            child.start()
            opening, wrapping = (max(peak - MEMORY_EXTRA, 0) for peak in answer.get(timeout=300))
            child.join()
            share = promises.verdict(f"memory, {form.name}, {size}", opening / len(mails[1]), OPENING_MEMORY)
            line = f"{form.name:<37}{size:>6}   opening {share}"
            if form is FORMS[0]:
                share = promises.verdict(f"memory, wrapping, {size}", wrapping / len(raw), WRAPPING_MEMORY)
                line += f"   wrapping {share}"
            print(line, flush=True)


def measure_wrapping(sizes: list[str]) -> None:
    print("\nWrapping (sign and encrypt), CPU ms, best run\n")
    for modern in (False, True):
        for size in sizes:
            raw = original(SIZES[size])
            (own,) = cost(lambda r=raw, m=modern: wrapped(r, modern=m), repeats=REPEATS[size] // 2)  # type: ignore[misc]
            print(
                f"{'AES-GCM, OAEP' if modern else 'AES-CBC, PKCS#1 v1.5':<37}{size:>6}{own * 1000:>10.2f}", flush=True
            )


def measure_hostile(promises: Promises) -> None:
    print(f"\nHostile mails, CPU seconds until refused: the slowest of {len(hostile_mails.HOSTILE)}\n")
    found = []
    for name, (_, maker) in hostile_mails.HOSTILE.items():
        mail = maker()
        started = time.process_time()
        try:
            tunnel.unwrap(mail, hostile_mails.KEYS)
            promises.missed.append(f"accepted: {name}")
        except tunnel.Refused:
            found.append((time.process_time() - started, len(mail), name))
    for seconds, size, name in sorted(found, reverse=True)[:5]:
        print(f"{name:<60}{size:>10}   {promises.verdict(name, seconds, HOSTILE_SECONDS)}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure opening and writing of tunnel mails.")
    parser.add_argument("--quick", action="store_true", help="leave out 25 MB")
    sizes = [size for size in SIZES if not (parser.parse_args().quick and size == "25 MB")]
    promises = Promises()
    compare_opening(sizes, promises)
    compare_memory([size for size in sizes if size != "10 KB"], promises)
    measure_wrapping(sizes)
    measure_hostile(promises)
    for missed in promises.missed:
        print(f"Missed: {missed}")
    return 1 if promises.missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
