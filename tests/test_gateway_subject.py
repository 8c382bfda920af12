"""Words in a subject that set a rule off: found however it is encoded, and taken out without a trace."""

import time

import pytest

from messenger.gateway.subject import hits, text, without
from messenger.message import headers


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (b"[secure] The offer", b"The offer"),
        (b"Re: [SECURE] The offer", b"Re: The offer"),
        (b"The offer [Secure]", b"The offer"),
        (b"The [secure] offer", b"The offer"),
        (b"The[secure]offer", b"Theoffer"),
        (b"[secure] [secure] The [secure]  offer", b"The offer"),
        (b"[secure]", b""),
        # Encoded words that hold nothing of it stay byte for byte.
        (b"[secure] =?iso-8859-1?q?Gr=FC=DFe?=", b"=?iso-8859-1?q?Gr=FC=DFe?="),
        (b"=?iso-8859-1?q?Gr=FC=DFe?= [secure]", b"=?iso-8859-1?q?Gr=FC=DFe?="),
        (b"a =?utf-8?q?=5Bsecure=5D?= b =?iso-8859-1?q?Gr=FC=DFe?=", b"a b =?iso-8859-1?q?Gr=FC=DFe?="),
        # Raw letters, as they came.
        (b"Gr\xfc\xdfe [secure] aus K\xf6ln", b"Gr\xfc\xdfe aus K\xf6ln"),
        ("Grüße [secure] aus Köln".encode(), "Grüße aus Köln".encode()),
        # Untouched where it isn't found: not even unfolded.
        (b"The\r\n  secure =?utf-8?b?b2ZmZXI=?=", b"The\r\n  secure =?utf-8?b?b2ZmZXI=?="),
    ],
)
def test_the_word_goes_and_the_rest_stays_as_it_was(value, left):
    assert without(value, ["[secure]"]) == left


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (b"=?utf-8?q?=5Bsecure=5D_Gr=C3=BC=C3=9Fe?=", "Grüße"),
        (b"=?utf-8?b?W3NlY3VyZV0gR3LDvMOfZQ==?=", "Grüße"),
        # Cut in two, in two charsets and both encodings.
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe_=5Bsec?= =?us-ascii?b?dXJlXQ==?=", "Grüße"),
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?= [secure] =?iso-8859-1?q?=FCber_alles?=", "Grüße über alles"),
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe_=5Bsecure=5D?= to all", "Grüße to all"),
        (b"[sec=?utf-8?q?ure=5D_Gr=C3=BC=C3=9Fe?=", "Grüße"),
        (b"=?utf-8?q?a=5Bsecure=5D?=\r\n =?utf-8?q?_=E2=82=AC_?=\r\n =?utf-8?q?b?=", "a € b"),
    ],
)
def test_encoded_words_are_made_anew_where_it_stood_in_them(value, left):
    changed = without(value, ["[secure]"])

    assert headers.words(headers.loose(changed)) == left
    assert changed.isascii()
    assert all(len(word) <= 75 for word in changed.split())


def test_a_long_subject_comes_back_in_lines_and_in_whole_characters():
    value = b"\r\n ".join(b"=?utf-8?q?=F0=9F=94=92" + b"=C3=BC" * 9 + b"?=" for _ in range(40))
    value = b"=?utf-8?q?=5Bsecure=5D?=\r\n " + value

    changed = without(value, ["[secure]"])

    assert headers.words(headers.loose(changed)) == ("🔒" + "ü" * 9) * 40
    assert max(map(len, changed.split(b"\r\n"))) <= 76
    for word in changed.split():
        headers.words(word.decode()).encode("utf-8", "strict")
        assert "\ufffd" not in headers.words(word.decode())


def test_words_count_in_their_place_and_only_there_they_are_taken_out():
    subject = "Re: AW[2]: Fwd: Secure how to be secure"

    assert hits(subject, ["secure"], "start") == ("Secure",)
    assert hits(subject, ["secure"], "end") == ("secure",)
    assert hits(subject, ["secure"]) == ("Secure", "secure")
    assert without(subject.encode(), hits(subject, ["secure"], "start")) == b"Re: AW[2]: Fwd: how to be secure"
    assert without(subject.encode(), hits(subject, ["secure"], "end")) == b"Re: AW[2]: Fwd: Secure how to be"
    assert not hits("insecure: x secure.", ["secure"], "start")
    assert not hits("insecure: x secure.", ["secure"], "end")


def test_words_are_found_with_other_blanks_other_accents_and_unseen_letters():
    assert hits("Streng\u00a0  Vertraulich: x", ["streng vertraulich"]) == ("Streng\u00a0  Vertraulich",)
    assert hits("ge\u0308heim", ["gëheim"]) == ("ge\u0308heim",)
    assert hits("[sec\u200bure] x", ["[secure]"]) == ("[sec\u200bure]",)
    assert hits("x .* y", [".*"]) == (".*",)
    assert hits("anything", ["", " "]) == ()
    assert text(b"a =?utf-8?q?=F0=9F?= b") == headers.words("a =?utf-8?q?=F0=9F?= b")


def test_hostile_subjects_take_no_time():
    begun = time.process_time()

    for value in (
        b"=?utf-8?q?" + b"[secure]=5B" * 5000 + b"?=",
        b"[secure] " * 7000,
        b"=?utf-8?q?[secure]?= " * 3000,
        b" " * 65_000 + b"[secure]",
        b"re:" * 21_000,
        b"=?" * 30_000 + b"[secure]",
        bytes(range(256)) * 200 + b"[secure]",
    ):
        changed = without(value, ["[secure]", *hits(text(value), ["[secure]"], "start")])
        hits(text(value), ["[secure]"], "end")
        assert not hits(text(changed), ["[secure]"])

    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    "value",
    [
        b"a =?utf-8?q?_=0aB?=[secure] =?utf-8?q?=0d=0aBcc:_a@b?= x",  # where all is written anew
        b"[secure] =?utf-8?q?=0d=0aBcc:_a@b?=",
        b"[secure]" + b"A" * 600 + b"\x0bBcc: a@b " + b"A" * 600 + b"\x0cBcc: a@b " + b"A" * 600,  # where it is folded
    ],
)
def test_no_line_end_that_a_subject_hides_begins_a_field(value):
    left = without(value, ["[secure]"])

    assert b"[secure]" not in left
    assert all(line.startswith((b" ", b"\t")) for line in left.split(b"\n")[1:])
