"""The table of who may open what. Real users are tried against it where the services run (tests/test_units.py)."""

from pathlib import Path

from . import rights

ROOT = Path(__file__).parent.parent


def test_a_path_too_many_or_too_few_is_told():
    reader = rights.PROCESSES["reader"]
    could = {f"{rights.SETTINGS}/keys/link.key": "r", f"{rights.STATE}/mail": "r", f"{rights.STATE}/accounts": "rw"}

    assert list(rights.differing(reader, could)) == [
        "messenger-reader may not open /etc/webmail-messenger/keys/link.key and could r",
        "messenger-reader may rw /var/lib/webmail-messenger/mail and could r",
    ]


def test_each_process_of_the_table_is_tried():
    table = (ROOT / "systemd").glob("messenger-*.service")
    services = {path.stem.removeprefix("messenger-").rstrip("@") for path in table}

    assert services - {"cleanup"} == set(rights.CREDENTIALS)
    for name in services - {"cleanup"}:
        text = (ROOT / "systemd" / f"messenger-{name}.service").read_text()
        process = rights.PROCESSES[name]
        assert f"User={process.user}\n" in text
        (groups,) = [line for line in text.splitlines() if line.startswith("SupplementaryGroups=")]
        assert groups.partition("=")[2].split() == [*process.groups, "postdrop"]
        handed = {line.partition("=")[2].partition(":")[0] for line in text.splitlines() if line.startswith("LoadCred")}
        assert handed == set(rights.CREDENTIALS[name])
