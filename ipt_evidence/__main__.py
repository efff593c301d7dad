"""Run the commands with ``python -m ipt_evidence``."""

from ipt_evidence.cli import app

app(prog_name="ipt-evidence")
