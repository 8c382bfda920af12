"""The one error of opening a tunnel mail: it is refused for good, and the log learns why."""

from ..errors import MessengerError


class Refused(MessengerError):
    """This mail will never be accepted. ``code`` is stable, for counting; ``reason`` is a sentence for the log."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


def malformed(reason: str) -> Refused:
    return Refused("malformed", reason)


def unsupported(reason: str) -> Refused:
    return Refused("unsupported", reason)
