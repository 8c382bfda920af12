"""The root of our errors. An error knows whether trying the same thing again later would help."""


class MessengerError(Exception):
    """Something we expected could go wrong. ``str()`` is for the log or the operator, never for a client."""

    #: Would the same mail pass if it were sent again later? Decides 4xx or 5xx.
    temporary = False
