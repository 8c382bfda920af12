"""The time zones somebody can choose from, by part of the world: those of zone.tab, one or more for every country.

Names that have been replaced are left out, but an account may still have one.
"""

from functools import cache
from importlib.resources import files
from zoneinfo import available_timezones

#: As the names of zones begin; each is also a word that is translated.
REGIONS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
UTC = "UTC"
#: Region, and in it the name of each zone with what a person calls it.
Groups = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


@cache
def groups() -> Groups:
    """All zones but UTC."""
    table = files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8")
    names = sorted({line.split("\t")[2] for line in table.splitlines() if line and not line.startswith("#")})
    return tuple(
        (region, tuple((name, place(name)) for name in names if name.startswith(f"{region}/"))) for region in REGIONS
    )


def place(name: str) -> str:
    """What stands behind the region: "Argentina, Buenos Aires"."""
    return name.partition("/")[2].replace("_", " ").replace("/", ", ") or name


def known(name: str) -> bool:
    """Whether *name* is a time zone, in the list or not."""
    return name in _all()


@cache
def _all() -> frozenset[str]:
    return frozenset(available_timezones())
