"""The group of commands, and the one border where an error becomes a sentence and an exit status."""

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

import click

from ..errors import MessengerError
from . import status
from .account import account
from .audit import audit
from .backup import backup, restore, verify
from .cleanup import cleanup
from .doctor import doctor
from .gateway import gateway
from .mailbox import mailbox
from .message import message
from .options import config_option
from .pdf import pdf
from .setup import setup
from .tunnel import tunnel


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: messenger setup",
)
@config_option
@click.version_option(version("webmail-messenger"), prog_name="messenger")
def commands() -> None:
    """Set up Webmail Messenger, keep its tunnel, help people with their accounts, look into single mails."""


commands.add_command(setup)
commands.add_command(tunnel)
commands.add_command(message)
commands.add_command(account)
commands.add_command(mailbox)
commands.add_command(audit)
commands.add_command(cleanup)
commands.add_command(doctor)
commands.add_command(backup)
commands.add_command(restore)
commands.add_command(verify)
commands.add_command(pdf)
commands.add_command(gateway)


def main(words: Sequence[str] | None = None) -> None:
    """Run one command and leave with its status."""
    sys.exit(_run(words))


def _run(words: Sequence[str] | None) -> int:
    try:
        result = commands.main(args=words, prog_name="messenger", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return status.USAGE
    except click.Abort:
        return _say("stopped; what was not reported as done has not been done", 130)
    except MessengerError as error:
        return _say(str(error), status.of_error(error))
    except BrokenPipeError:
        # Whoever read our output has seen enough; keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return status.OK
    except SystemExit:
        return status.OK  # click notices that reader first, and would leave with 1
    except OSError as error:
        code, text = status.of_os_error(error)
        return _say(text, code)
    return result if isinstance(result, int) else status.OK


def _say(text: str, code: int) -> int:
    click.echo(f"messenger: {text}", err=True)
    return code
