"""Cumulative forest plot.

How the pooled effect changed as trials were published.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
trials = acute[(acute["condition"] == "depression") & (acute["rob_low_risk_count"] >= 3)]
figure = ipt.forest_plot(ipt.cumulative(ipt.pool(trials, dependence="aggregate"), order="year"))
