"""Well-formed mail means the same to us as to the standard library, part for part."""

import email
import email.policy
from email.message import EmailMessage, Message
from random import Random

import pytest

from messenger import message
from messenger.message import clean

LINES = ["hello", "Grüße", "你好", "--x", "From here", "> q", "a=b", "", "   ", "x" * 200, "\t tab", "."]
NAMES = ["a.bin", "Grüße.pdf", "x" * 90 + ".txt", "two words.txt"]


def text(dice: Random) -> str:
    return "\n".join(dice.choice(LINES) for _ in range(dice.randint(1, 6))) + "\n"


def made(dice: Random, depth: int = 0) -> EmailMessage:
    mail = EmailMessage(policy=dice.choice([email.policy.SMTP, email.policy.default]))
    encoding = dice.choice(["base64", "quoted-printable"])
    mail.set_content(text(dice), cte=encoding)
    if dice.random() < 0.5:
        mail.add_alternative(f"<p>{text(dice)}</p>", subtype="html", cte=encoding)
        if dice.random() < 0.5:
            mail.get_payload()[1].add_related(dice.randbytes(50), "image", "png", cid="<x@y>")
    for _ in range(dice.randint(0, 3)):
        if dice.random() < 0.2 and depth < 2:
            mail.add_attachment(made(dice, depth + 1))
        else:
            content = dice.randbytes(dice.randint(0, 3000))
            mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=dice.choice(NAMES))
    return mail


def leaves(node: Message, number: str = "") -> list[tuple[str, Message]]:
    if node.get_content_maintype() != "multipart":
        return [(number or "1", node)]
    return [
        leaf
        for place, child in enumerate(node.get_payload(), 1)
        for leaf in leaves(child, f"{number}.{place}".lstrip("."))
    ]


@pytest.mark.parametrize("seed", range(60))
def test_a_mail_is_the_same_to_both(seed):
    dice = Random(seed)
    built = made(dice)
    built["Subject"] = dice.choice(["Grüße " * 20, "plain", "日本語" * 30])
    raw = built.as_bytes()
    standard = email.message_from_bytes(raw, policy=email.policy.default)

    ours = message.read(raw)

    html = standard.get_body(("html",))
    assert ours.subject == standard["subject"].strip()
    assert ours.text == clean.block(standard.get_body(("plain",)).get_content()).rstrip()
    assert ours.html == (clean.block(html.get_content()) if html else None)
    assert ours.problems == ("no-from", "no-date")
    for number, part in leaves(standard):
        listed, content = message.part(raw, number)
        if part.get_content_type() != "message/rfc822":
            assert content == part.get_payload(decode=True)
            assert listed.filename == part.get_filename(listed.filename)
