"""What can be wrong with the event archive."""

from pathlib import Path

from core.archive.layout import Key


class ArchiveError(Exception):
    """The archive cannot give the events that were asked for."""


class ArchiveGap(ArchiveError):
    """Events are missing behind ``after``; ``oldest`` is the first one at hand behind the gap.

    ``oldest`` is None when there is nothing at hand behind it (yet).
    """

    def __init__(self, after: Key, oldest: Key | None) -> None:
        self.after = after
        self.oldest = oldest
        found = "nothing" if oldest is None else f"event {oldest[0]}.{oldest[1]}"
        super().__init__(
            f"event archive: events behind {after[0]}.{after[1]} are not there; {found} is next"
        )


class ArchiveDamaged(ArchiveError):
    """A file is not what it should be, and there are valid blocks behind the place.

    ``after`` is the last event that was good, ``oldest`` the first of a good segment behind it.
    """

    def __init__(
        self, path: Path, offset: int, reason: str, after: Key, oldest: Key | None = None
    ) -> None:
        self.path = path
        self.offset = offset
        self.reason = reason
        self.after = after
        self.oldest = oldest
        super().__init__(f"event archive: {path}, offset {offset}: {reason}")
