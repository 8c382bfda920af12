"""A site's own accent colour: whether people can read it, and what stands beside it.

Pages and mails of ours share two schemes, light and dark; a colour is text, a border and the ground of buttons in
either. Pure: colours in, colours out, written as "#rrggbb".
"""

import colorsys
from dataclasses import dataclass

#: WCAG 2.2, success criterion 1.4.3: contrast of text with what is behind it.
MINIMUM = 4.5


@dataclass(frozen=True)
class Scheme:
    """What is behind an accent, as style.css and the mails' templates have it."""

    name: str
    paper: str
    card: str
    #: How much of the accent is in the ground of what is pointed at.
    share: float
    inks: tuple[str, str]


LIGHT = Scheme("light", paper="#f6f4ef", card="#fffefb", share=0.09, inks=("#ffffff", "#000000"))
DARK = Scheme("dark", paper="#121618", card="#1a2023", share=0.12, inks=("#ffffff", "#000000"))


@dataclass(frozen=True)
class Accent:
    """An accent with its company: *ink* is text on it, *tint* a ground that it is text on."""

    colour: str
    ink: str
    tint: str


@dataclass(frozen=True)
class Accents:
    """A site's accents, one for each scheme."""

    light: Accent
    dark: Accent


#: What a site has that sets none; style.css has the same.
OURS = Accents(Accent("#0f5c66", "#ffffff", "#e5efee"), Accent("#7fcbd1", "#05272b", "#1e2d30"))


def accents(colour: str, colour_dark: str) -> Accents:
    """Return the accents of a site that sets these two, each "#rrggbb" or empty; the dark one is made of the other."""
    if colour and not colour_dark:
        colour_dark = nearest(colour, DARK)
    return Accents(
        accent(colour, LIGHT) if colour else OURS.light, accent(colour_dark, DARK) if colour_dark else OURS.dark
    )


def accent(colour: str, scheme: Scheme) -> Accent:
    """Return *colour* with what goes with it in *scheme*."""
    ink = max(scheme.inks, key=lambda one: contrast(one, colour))
    return Accent(colour, ink, _mixed(colour, scheme.card, scheme.share))


def weakest(colour: str, scheme: Scheme) -> float:
    """Return the lowest contrast, from 1 to 21, that *colour* meets anywhere in *scheme*."""
    found = accent(colour, scheme)
    grounds = (scheme.paper, scheme.card, found.tint)
    return min(contrast(found.ink, colour), *(contrast(colour, ground) for ground in grounds))


def nearest(colour: str, scheme: Scheme) -> str:
    """Return *colour* itself if it can be read in *scheme*, else the nearest lighter or darker one of its hue."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*(part / 255 for part in _parts(colour)))
    step = 0.005 if scheme is DARK else -0.005
    while weakest(colour, scheme) < MINIMUM:
        lightness = min(max(lightness + step, 0.0), 1.0)
        colour = _written(*(part * 255 for part in colorsys.hls_to_rgb(hue, lightness, saturation)))
    return colour


def complaint(colour: str, scheme: Scheme) -> str:
    """Return a sentence about a *colour* that can't be read in *scheme*, with one that can; empty if there is none."""
    if not colour or (found := weakest(colour, scheme)) >= MINIMUM:
        return ""
    return (
        f"expected a contrast of at least {MINIMUM}:1 on {scheme.name} pages (WCAG 2.2), found {colour} with"
        f' {found:.1f}:1; the nearest that can be read is "{nearest(colour, scheme)}"'
    )


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2.2, from 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    # WCAG 2.2, "relative luminance".
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (part / 255 for part in _parts(colour))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _mixed(colour: str, ground: str, share: float) -> str:
    pairs = zip(_parts(colour), _parts(ground), strict=True)
    return _written(*(part * share + under * (1 - share) for part, under in pairs))


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _written(*parts: float) -> str:
    return "#" + "".join(f"{round(part):02x}" for part in parts)
