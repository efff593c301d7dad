"""The command line ``ipt-evidence``, in the words of the Python names.

Results go to standard output, messages to standard error.

Exit status: 0 done, 1 a problem with the data or a download (said in one message), 2 wrong usage.
"""

from ipt_evidence.cli.main import app

__all__ = ["app"]
