"""The library that writes Word documents, and what to say when it is missing."""

from __future__ import annotations

from ipt_evidence.errors import MissingExtraError


def require_docx() -> None:
    """Raise a helpful error when python-docx is not installed.

    Raises
    ------
    MissingExtraError
        It is not; the message names the extra.
    """
    try:
        import docx  # noqa: F401
    except ImportError as error:
        message = 'a Word document needs python-docx: pip install "ipt-evidence[word]"'
        raise MissingExtraError(message) from error
