"""Rainforest plot.

Each trial as a drop whose height is its likelihood: precise trials are tall and narrow.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
trials = acute[(acute["condition"] == "depression") & (acute["rob_low_risk_count"] >= 3)]
figure = ipt.rainforest_plot(ipt.pool(trials, dependence="aggregate"))
