"""Risk of bias: summary.

The share of trials at each level of risk.
"""

import ipt_evidence as ipt

studies = ipt.load_dataset("ipt")
figure = ipt.risk_of_bias_plot(studies[studies["rob_low_risk_count"].notna()], kind="summary")
