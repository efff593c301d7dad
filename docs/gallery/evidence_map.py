"""Evidence map.

What was studied against what, how much, and with what result; gaps are seen as gaps.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[effects["phase"] == "acute"]
fits = ipt.pool_by(acute, ["condition", "contrast"], overall=False, dependence="aggregate")
figure = ipt.evidence_map(fits)
