"""What the methods paragraph cites: one entry per source, cited by its key."""

from __future__ import annotations

REFERENCES = {
    "page": "Page MJ, McKenzie JE, Bossuyt PM, et al. The PRISMA 2020 statement: an updated guideline for reporting "
    "systematic reviews. BMJ 2021;372:n71. doi:10.1136/bmj.n71",
    "hedges": "Hedges LV. Distribution theory for Glass's estimator of effect size and related estimators. J Educ Stat "
    "1981;6:107-128. doi:10.3102/10769986006002107",
    "chinn": "Chinn S. A simple method for converting an odds ratio to effect size for use in meta-analysis. Stat Med "
    "2000;19:3127-3131. doi:10.1002/1097-0258(20001130)19:22<3127::AID-SIM784>3.0.CO;2-M",
    "reml": "Viechtbauer W. Bias and efficiency of meta-analytic variance estimators in the random-effects model. J "
    "Educ Behav Stat 2005;30:261-293. doi:10.3102/10769986030003261",
    "dl": "DerSimonian R, Laird N. Meta-analysis in clinical trials. Control Clin Trials 1986;7:177-188. "
    "doi:10.1016/0197-2456(86)90046-2",
    "pm": "Paule RC, Mandel J. Consensus values and weighting factors. J Res Natl Bur Stand 1982;87:377-385. "
    "doi:10.6028/jres.087.022",
    "pmm": "Viechtbauer W. Median-unbiased estimators for the amount of heterogeneity in meta-analysis. European "
    "Congress of Methodology, Valencia, 2021. "
    "https://www.wvbauer.com/lib/exe/fetch.php/talks:2021_viechtbauer_eam_median_tau2.pdf",
    "multistep": "van Aert RCM, Jackson D. Multistep estimators of the between-study variance: the relationship with "
    "the Paule-Mandel estimator. Stat Med 2018;37:2616-2629. doi:10.1002/sim.7665",
    "eb": "Morris CN. Parametric empirical Bayes inference: theory and applications. J Am Stat Assoc 1983;78:47-55. "
    "doi:10.1080/01621459.1983.10477920",
    "sj": "Sidik K, Jonkman JN. Simple heterogeneity variance estimation for meta-analysis. J R Stat Soc C "
    "2005;54:367-384. doi:10.1111/j.1467-9876.2005.00489.x",
    "he": "Hedges LV, Olkin I. Statistical Methods for Meta-Analysis. Academic Press, 1985.",
    "hs": "Hunter JE, Schmidt FL. Methods of Meta-Analysis: Correcting Error and Bias in Research Findings. 2nd ed. "
    "Sage, 2004.",
    "hsk": "Brannick MT, Potter SM, Benitez B, Morris SB. Bias and precision of alternate estimators in meta-analysis: "
    "benefits of blending Schmidt-Hunter and Hedges approaches. Organ Res Methods 2019;22:490-514. "
    "doi:10.1177/1094428117741966",
    "hk": "Hartung J, Knapp G. A refined method for the meta-analysis of controlled clinical trials with binary "
    "outcome. Stat Med 2001;20:3875-3889. doi:10.1002/sim.1009",
    "sj_ci": "Sidik K, Jonkman JN. A simple confidence interval for meta-analysis. Stat Med 2002;21:3153-3159. "
    "doi:10.1002/sim.1262",
    "kh": "Knapp G, Hartung J. Improved tests for a random effects meta-regression with a single covariate. Stat Med "
    "2003;22:2693-2710. doi:10.1002/sim.1482",
    "kr": "Kenward MG, Roger JH. Small sample inference for fixed effects from restricted maximum likelihood. "
    "Biometrics 1997;53:983-997. doi:10.2307/2533558",
    "henmi": "Henmi M, Copas JB. Confidence intervals for random effects meta-analysis and robustness to publication "
    "bias. Stat Med 2010;29:2969-2983. doi:10.1002/sim.4029",
    "cr": "Hedges LV, Tipton E, Johnson MC. Robust variance estimation in meta-regression with dependent effect size "
    "estimates. Res Synth Methods 2010;1:39-65. doi:10.1002/jrsm.5",
    "cr2": "Tipton E. Small sample adjustments for robust variance estimation with meta-regression. Psychol Methods "
    "2015;20:375-393. doi:10.1037/met0000011",
    "prediction": "Higgins JPT, Thompson SG, Spiegelhalter DJ. A re-evaluation of random-effects meta-analysis. J R "
    "Stat Soc A 2009;172:137-159. doi:10.1111/j.1467-985X.2008.00552.x",
    "qprofile": "Viechtbauer W. Confidence intervals for the amount of heterogeneity in meta-analysis. Stat Med "
    "2007;26:37-52. doi:10.1002/sim.2514",
    "profile": "Hardy RJ, Thompson SG. A likelihood approach to meta-analysis with random effects. Stat Med "
    "1996;15:619-629. doi:10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A",
    "jackson": "Jackson D. Confidence intervals for the between-study variance in random effects meta-analysis using "
    "generalised Cochran heterogeneity statistics. Res Synth Methods 2013;4:220-229. doi:10.1002/jrsm.1081",
    "biggerstaff": "Biggerstaff BJ, Jackson D. The exact distribution of Cochran's heterogeneity statistic in one-way "
    "random effects meta-analysis. Stat Med 2008;27:6093-6110. doi:10.1002/sim.3428",
    "i2": "Higgins JPT, Thompson SG. Quantifying heterogeneity in a meta-analysis. Stat Med 2002;21:1539-1558. "
    "doi:10.1002/sim.1186",
    "q": "Cochran WG. The combination of estimates from different experiments. Biometrics 1954;10:101-129. "
    "doi:10.2307/3001666",
    "three_level": "Van den Noortgate W, López-López JA, Marín-Martínez F, Sánchez-Meca J. Three-level meta-analysis "
    "of dependent effect sizes. Behav Res Methods 2013;45:576-594. doi:10.3758/s13428-012-0261-6",
    "che": "Pustejovsky JE, Tipton E. Meta-analysis with robust variance estimation: expanding the range of working "
    "models. Prev Sci 2022;23:425-438. doi:10.1007/s11121-021-01246-3",
    "furukawa": "Furukawa TA, Leucht S. How to obtain NNT from Cohen's d: comparison of two methods. PLoS One "
    "2011;6:e19070. doi:10.1371/journal.pone.0019070",
    "grade": "Guyatt G, Oxman AD, Akl EA, et al. GRADE guidelines: 1. Introduction-GRADE evidence profiles and summary "
    "of findings tables. J Clin Epidemiol 2011;64:383-394. doi:10.1016/j.jclinepi.2010.04.026",
    "egger": "Egger M, Davey Smith G, Schneider M, Minder C. Bias in meta-analysis detected by a simple, graphical "
    "test. BMJ 1997;315:629-634. doi:10.1136/bmj.315.7109.629",
    "influence": "Viechtbauer W, Cheung MW-L. Outlier and influence diagnostics for meta-analysis. Res Synth Methods "
    "2010;1:112-125. doi:10.1002/jrsm.11",
    "numpy": "Harris CR, Millman KJ, van der Walt SJ, et al. Array programming with NumPy. Nature 2020;585:357-362. "
    "doi:10.1038/s41586-020-2649-2",
    "scipy": "Virtanen P, Gommers R, Oliphant TE, et al. SciPy 1.0: fundamental algorithms for scientific computing in "
    "Python. Nat Methods 2020;17:261-272. doi:10.1038/s41592-019-0686-2",
}
ESTIMATORS: dict[str, tuple[str, tuple[str, ...]]] = {
    "REML": ("restricted maximum likelihood (REML)", ("reml",)),
    "ML": ("maximum likelihood (ML)", ("reml",)),
    "DL": ("the method of DerSimonian and Laird (DL)", ("dl",)),
    "DLIT": ("the iterated method of DerSimonian and Laird (DLIT)", ("multistep",)),
    "PM": ("the method of Paule and Mandel (PM)", ("pm",)),
    "PMM": ("the median-unbiased method of Paule and Mandel (PMM)", ("pmm",)),
    "EB": ("empirical Bayes (EB)", ("eb",)),
    "SJ": ("the method of Sidik and Jonkman (SJ)", ("sj",)),
    "SJIT": ("the iterated method of Sidik and Jonkman (SJIT)", ("sj", "pm")),
    "HE": ("the method of Hedges (HE)", ("he",)),
    "HS": ("the method of Hunter and Schmidt (HS)", ("hs",)),
    "HSk": ("the method of Hunter and Schmidt with correction for few trials (HSk)", ("hsk",)),
}
INTERVALS: dict[str, tuple[str, tuple[str, ...]]] = {
    "wald": ("Wald (normal) intervals", ()),
    "t": ("intervals of the t distribution", ()),
    "hksj": ("Hartung-Knapp-Sidik-Jonkman intervals", ("hk", "sj_ci")),
    "hksj-adhoc": (
        "Hartung-Knapp-Sidik-Jonkman intervals with the ad hoc correction, never narrower than Wald's",
        ("hk", "sj_ci", "kh"),
    ),
    "kr": ("Kenward-Roger intervals", ("kr",)),
    "henmi-copas": ("Henmi-Copas intervals, which rest on common-effect weights", ("henmi",)),
    "cr0": ("cluster-robust (CR0) intervals", ("cr",)),
    "cr1": ("cluster-robust (CR1) intervals", ("cr",)),
    "cr2": ("cluster-robust (CR2) intervals with Satterthwaite degrees of freedom", ("cr", "cr2")),
}
