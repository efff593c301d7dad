"""Risk of bias beside the effects.

Each trial's judgements as a sign and a colour, with their meaning below; here the trials in pregnancy and after birth.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
trials = effects[(effects["contrast"] == "ipt_vs_control") & (effects["population_group"] == "perinatal")]
fit = ipt.pool(trials[trials["phase"] == "acute"], dependence="aggregate")
figure = ipt.forest_plot(fit, risk_of_bias=True, style="cochrane")
