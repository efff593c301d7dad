"""A file that is only in memory, such as an upload: readers that take a path take it too, and no disk is touched."""

from __future__ import annotations

import errno
import io
import os
import stat as modes
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    _Base = Path
else:
    _Base = type(Path())


class FileInMemory(_Base):
    """A path whose content is held in memory.

    Parameters
    ----------
    name : str
        Name of the file, with its ending; folders before it are cut off.
    content : bytes
        Content. ``None`` is a file that does not exist, as the neighbours of one in memory do.

    Notes
    -----
    Nothing can write to it, and ``os.fspath`` is refused, so that nothing opens a file of the same name on a disk by
    mistake.

    Examples
    --------
    >>> upload = FileInMemory("folder/trials.csv", b"study,effect")
    >>> upload.name, upload.suffix, upload.is_file(), upload.read_bytes()[:5]
    ('trials.csv', '.csv', True, b'study')
    >>> upload.with_name("another.csv").exists()
    False
    """

    _content: bytes | None

    def __new__(cls, name: str, content: bytes | None = None) -> FileInMemory:
        """Return a path of that name only."""
        made = super().__new__(cls, _last_part(name))
        made._content = content
        return made

    def __init__(self, name: str, content: bytes | None = None) -> None:
        if _TAKES_SEGMENTS:
            base: Any = super()
            base.__init__(_last_part(name))

    def with_segments(self, *segments: str | os.PathLike[str]) -> FileInMemory:
        """Return another path in the same place, where there is no other file."""
        return FileInMemory("/".join(map(str, segments)))

    def with_name(self, name: str) -> FileInMemory:
        """Return a neighbour, which does not exist."""
        return FileInMemory(name)

    def exists(self, **_: Any) -> bool:
        """Return whether there is content."""
        return self._content is not None

    def is_file(self, **_: Any) -> bool:
        """Return whether there is content."""
        return self._content is not None

    def is_dir(self, **_: Any) -> bool:
        """Return no: it is never a folder."""
        return False

    def stat(self, **_: Any) -> os.stat_result:
        """Return the size as the status of a file that nobody may write."""
        return os.stat_result((modes.S_IFREG | 0o400, 0, 0, 1, 0, 0, len(self.read_bytes()), 0, 0, 0))

    def read_bytes(self) -> bytes:
        """Return the content."""
        if self._content is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.name)
        return self._content

    def open(self, mode: str = "r", *_: Any, **options: Any) -> IO[Any]:  # type: ignore[override]
        """Return a stream of the content, of bytes or of text."""
        if set(mode) & set("wax+"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), self.name)
        stream = io.BytesIO(self.read_bytes())
        return stream if "b" in mode else io.TextIOWrapper(stream, encoding=options.get("encoding") or "utf-8")

    def __fspath__(self) -> NoReturn:
        """Refuse: there is no such file on a disk."""
        raise TypeError(f"{self.name} is in memory, not on a disk; use its open() or read_bytes()")

    def __reduce__(self) -> tuple[type[FileInMemory], tuple[str, bytes | None]]:
        return FileInMemory, (self.name, self._content)


_TAKES_SEGMENTS = _Base.__init__ is not object.__init__


def _last_part(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2].replace("\0", "") or "file"


def place_of(path: str | os.PathLike[str]) -> Path:
    """Return a path as a ``Path``; one that is a ``Path`` already, such as a file in memory, stays what it is.

    Parameters
    ----------
    path : path-like
        As users give it.
    """
    return path if isinstance(path, Path) else Path(path)
