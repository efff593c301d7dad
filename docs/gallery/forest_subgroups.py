"""Subgroups.

Subtotals, heterogeneity within each group and the test between them, in the house style of the BMJ.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
trials = acute[(acute["condition"] == "depression") & (acute["rob_low_risk_count"] >= 3)]
fits = ipt.pool_by(trials, "population_group", dependence="aggregate")
figure = ipt.forest_plot(fits, style="bmj")
