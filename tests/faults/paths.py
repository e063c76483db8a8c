"""Paths that remember what is below them: thousands of histories go through the same few names,
and ``pathlib`` would parse each of them hundreds of times."""

import os
from collections.abc import Generator
from functools import cached_property
from pathlib import PosixPath

Key = str | os.PathLike[str]


class KnownPath(PosixPath):
    """As a PosixPath; ``path / name`` gives the same object each time."""

    def __truediv__(self, key: Key) -> "KnownPath":
        found = self._below.get(key)
        if found is None:
            found = self._below[key] = super().__truediv__(key)
        return found

    def __fspath__(self) -> str:
        return self._text

    @cached_property
    def _below(self) -> dict[Key, "KnownPath"]:
        return {}

    @cached_property
    def _text(self) -> str:
        return str(self)

    def exists(self, **given: bool) -> bool:
        """As of a path, of which nobody forbids to ask."""
        return os.path.exists(self._text) if not given else super().exists(**given)

    def iterdir(self) -> Generator["KnownPath", None, None]:
        """As of a path."""
        for name in os.listdir(self):
            yield self / name
