"""Risk of bias: traffic light.

Each trial and domain as a sign and a colour.
"""

import ipt_evidence as ipt

studies = ipt.load_dataset("ipt")
figure = ipt.risk_of_bias_plot(studies[studies["rob_low_risk_count"] >= 3])
