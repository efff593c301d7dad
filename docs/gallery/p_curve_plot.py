"""p-curve.

How the significant p-values are spread, beside what no effect and a power of 33% would give.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
fit = ipt.pool(acute[acute["condition"] == "depression"], dependence="aggregate")
figure = ipt.p_curve_plot(ipt.p_curve(fit))
