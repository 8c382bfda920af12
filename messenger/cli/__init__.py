"""The ``messenger`` command: sets a site up, keeps its tunnel, and looks into single mails for support."""

from .main import main

__all__ = ["main"]
