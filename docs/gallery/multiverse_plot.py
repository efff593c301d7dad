"""Multiverse.

Ways to analyse the same trials that someone could defend: estimates above, the choices behind each below.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
every = ipt.multiverse(
    acute[acute["condition"] == "depression"],
    which={
        "rating": {"all": None, "clinician": {"rating": "clinician"}, "self-report": {"rating": "self"}},
        "risk_of_bias": {"all": None, "low": {"rob_low_risk_count": [3, 4]}},
    },
    how={"effect_rule": ["aggregate", "highest"], "rho": [0.6], "tau2_method": ["REML"]},
)
figure = ipt.multiverse_plot(every, favours=("control", "IPT"))
