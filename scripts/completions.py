"""Completion of our commands in bash, zsh and fish, as click writes it. `completions()` returns the files."""

from click.shell_completion import get_completion_class

from .man_pages import programs

#: Where Debian's shells look, without the leading slash; {} is the command.
PLACES = {
    "bash": "usr/share/bash-completion/completions/{}",
    "zsh": "usr/share/zsh/vendor-completions/_{}",
    "fish": "usr/share/fish/vendor_completions.d/{}.fish",
}


def completions() -> dict[str, str]:
    """Return texts by the path they belong to."""
    found = {}
    for shell, place in PLACES.items():
        writer = get_completion_class(shell)
        assert writer, shell
        for name, command in programs().items():
            variable = f"_{name.upper().replace('-', '_')}_COMPLETE"
            made = writer(command, {}, name, variable)
            # Not source(): that asks this machine's bash for its version.
            found[place.format(name)] = made.source_template % made.source_vars() + "\n"
    return found
