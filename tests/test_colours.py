"""Accent colours: contrast as WCAG 2.2 counts it, and colours that can be read."""

import itertools
import re
from pathlib import Path

import pytest

import messenger_reader
from messenger import colours
from messenger.colours import DARK, LIGHT, contrast, nearest, weakest

STYLE = (Path(messenger_reader.__file__).parent / "static" / "style.css").read_text()


def test_contrast_is_counted_as_wcag_does():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the well-known grey that just fails
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=lambda scheme: scheme.name)
def test_whatever_a_site_wants_the_nearest_colour_can_be_read(scheme):
    steps = range(0, 256, 51)
    wanted = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in itertools.product(steps, repeat=3)]

    assert min(weakest(nearest(colour, scheme), scheme) for colour in wanted) >= colours.MINIMUM


def test_a_colour_that_can_be_read_stays_as_it_is():
    assert nearest("#0f5c66", LIGHT) == "#0f5c66"
    assert colours.complaint("#0f5c66", LIGHT) == ""
    assert colours.complaint("", DARK) == ""


def test_the_grounds_are_those_of_the_style_sheet():
    light, dark = re.findall(r"--paper: (#\w+); --card: (#\w+)", STYLE)[:2]

    assert light == (LIGHT.paper, LIGHT.card)
    assert dark == (DARK.paper, DARK.card)
