"""Leave-one-out forest plot.

The pooled effect without each trial in turn: does one of them carry the result?
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
trials = acute[(acute["condition"] == "depression") & (acute["rob_low_risk_count"] >= 3)]
figure = ipt.forest_plot(ipt.leave_one_out(ipt.pool(trials, dependence="aggregate")))
