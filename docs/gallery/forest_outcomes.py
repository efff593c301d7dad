"""Several outcomes of a trial.

Trials that measured the outcome more than once keep their rows together; the bracket says what was combined.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
fit = ipt.pool(acute[acute["condition"] == "anxiety"], dependence="aggregate", rho=0.6)
figure = ipt.forest_plot(fit, rows="outcomes", style="apa")
