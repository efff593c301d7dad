"""Run commands as a user runs them, in one process."""

from __future__ import annotations

import io

import pandas as pd
from typer.testing import CliRunner, Result

from ipt_evidence.cli import app


def run(*args: object, **environment: str | None) -> Result:
    """Run a command; nothing may end in a traceback."""
    result = CliRunner().invoke(app, [str(a) for a in args], env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.stderr
    assert result.exit_code in (0, 1, 2)
    return result


def table_of(result: Result) -> pd.DataFrame:
    """Return what a command printed with --format csv."""
    assert result.exit_code == 0, result.stderr
    return pd.read_csv(io.StringIO(result.stdout), keep_default_na=False)
