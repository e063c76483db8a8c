"""Paths that remember what is below them: thousands of histories go through the same few names,
and ``pathlib`` would parse each of them hundreds of times."""

import os
from collections.abc import Iterator
from pathlib import PosixPath

Key = str | os.PathLike[str]


class KnownPath(PosixPath):
    """As a PosixPath; ``path / name`` and ``path.parent`` give the same object each time."""

    def __truediv__(self, key: Key) -> "KnownPath":
        known: dict[Key, KnownPath] = self.__dict__
        found = known.get(key)
        if found is None:
            found = known[key] = super().__truediv__(key)
        return found

    def __fspath__(self) -> str:
        return self.__str__()

    def iterdir(self) -> Iterator["KnownPath"]:
        """As of a path."""
        for name in os.listdir(self):
            yield self / name
