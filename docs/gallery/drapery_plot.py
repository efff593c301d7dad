"""Drapery plot.

The p-value of every hypothetical effect, for each trial and for the pooled effect.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
trials = acute[(acute["condition"] == "depression") & (acute["rob_low_risk_count"] >= 3)]
figure = ipt.drapery_plot(ipt.pool(trials, dependence="aggregate"))
