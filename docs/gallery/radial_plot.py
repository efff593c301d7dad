"""Radial plot.

Galbraith's plot: precise trials stand far out, and a slope from the origin is an effect.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
fit = ipt.pool(acute[acute["condition"] == "depression"], dependence="aggregate")
figure = ipt.radial_plot(fit)
