"""Fixtures that tests of several modules share: small factories, real files in temporary folders."""
