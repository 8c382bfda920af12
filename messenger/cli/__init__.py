"""The ``messenger`` command."""
