import pytest

import ipt_evidence as ipt

from .helpers import make_groups


@pytest.fixture
def fits():
    """Four groups: five trials of which one is not usable, one trial, three trials, and none that is usable."""
    return ipt.pool_by(make_groups(), "condition", tau2_method="DL", ci_method="wald")
