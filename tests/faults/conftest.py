"""Data directories in memory, as for the journal's own tests."""

from tests.core.journal.conftest import data

__all__ = ["data"]
