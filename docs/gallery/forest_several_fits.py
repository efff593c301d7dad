"""The whole evidence in one figure.

One row for each condition and comparator: the diamond is the pooled effect, the line the prediction interval.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[effects["phase"] == "acute"]
fits = ipt.pool_by(acute, ["contrast", "condition"], overall=False, dependence="aggregate")
figure = ipt.forest_plot(fits, rows="fits", equivalence=0.24)
