"""Laws, awkward inputs and options of the Bayesian model."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, trapezoid
from scipy.special import ndtr
from scipy.stats import cauchy, halfcauchy, halfnorm, lognorm, norm, uniform

from ipt_evidence.errors import DependenceWarning, NotEstimableError, OptionError, SchemaError
from ipt_evidence.pooling.bayes import bayes
from ipt_evidence.pooling.credible import shortest_mixture
from ipt_evidence.pooling.posterior import Mixtures, Model, posterior_of_tau
from ipt_evidence.pooling.priors import MuPrior, read_mu_prior, read_tau_prior

EXACT = 1e-8
"""Against scipy's adaptive quadrature at a relative tolerance of 1e-11."""
ROUNDING = 1e-9
"""Two routes to one number in double precision."""
Y = np.array([0.2, 0.5, 0.9, -0.1, 0.45])
V = np.array([0.04, 0.02, 0.06, 0.05, 0.03])
TABLE = pd.DataFrame({"study": list("abcde"), "effect": Y, "variance": V})
PRIORS = {
    ("half-normal", 0.5): halfnorm(scale=0.5),
    ("half-cauchy", 0.3): halfcauchy(scale=0.3),
    ("uniform", 2.0): uniform(0, 2),
    ("log-normal", -1.28, 0.87): lognorm(s=0.87, scale=np.exp(-1.28)),
}


def joint(tau, mu_prior, density, y=Y, v=V):
    """Likelihood times prior of tau, the mean integrated out by hand."""
    w = 1 / (v + tau**2)
    p0, m0 = (mu_prior[1] ** -2, mu_prior[0]) if mu_prior else (0.0, 0.0)
    precision = w.sum() + p0
    mean = ((w * y).sum() + p0 * m0) / precision
    constant = np.sqrt(p0 / precision) if mu_prior else np.sqrt(2 * np.pi / precision)
    likelihood = constant * np.prod(np.sqrt(w / (2 * np.pi)))
    likelihood *= np.exp(-0.5 * ((w * (y - mean) ** 2).sum() + p0 * (mean - m0) ** 2))
    return likelihood * density(tau), mean, precision**-0.5


def integral(function, upper=np.inf):
    points = [0.0, 0.05, 0.2, 0.5, 1.0, 2.0]
    parts = [quad(function, a, b, epsabs=0, epsrel=1e-11, limit=200)[0] for a, b in pairwise(points)]
    return sum(parts) + (quad(function, 2.0, upper, epsabs=1e-300, epsrel=1e-11, limit=400)[0] if upper > 2 else 0.0)


@pytest.mark.parametrize("mu_prior", [(0, 4), (0.3, 0.1), None])
@pytest.mark.parametrize("prior", PRIORS)
def test_against_adaptive_quadrature(prior, mu_prior):
    fit = bayes(TABLE, mu_prior=mu_prior, tau_prior=prior)
    density = PRIORS[prior].pdf
    upper = prior[1] if prior[0] == "uniform" else np.inf
    total = integral(lambda t: joint(t, mu_prior, density)[0], upper)
    assert fit.posterior.log_evidence == pytest.approx(np.log(total), abs=EXACT)

    def probability(x, new):
        def inner(t):
            weight, mean, sd = joint(t, mu_prior, density)
            return weight * ndtr((x - mean) / (np.hypot(sd, t) if new else sd))

        return integral(inner, upper) / total

    assert probability(fit.mu.equal_tailed_low, False) == pytest.approx(0.025, abs=EXACT)
    assert probability(fit.mu.shortest_high, False) - probability(fit.mu.shortest_low, False) == pytest.approx(
        0.95, abs=EXACT
    )
    assert probability(fit.prediction.equal_tailed_high, True) == pytest.approx(0.975, abs=EXACT)
    assert fit.p_positive == pytest.approx(1 - probability(0.0, False), abs=EXACT)
    below = quad(lambda t: joint(t, mu_prior, density)[0], 0, fit.tau, epsabs=0, epsrel=1e-11, limit=200)[0]
    assert below / total == pytest.approx(0.5, abs=EXACT)
    if mu_prior:
        at_zero = integral(lambda t: np.prod(norm.pdf(Y, 0, np.sqrt(V + t * t))) * density(t), upper)
        assert fit.bayes_factor_mu == pytest.approx(at_zero / total, rel=1e-7)
    at_zero = joint(0.0, mu_prior, lambda _: 1.0)[0]
    assert fit.bayes_factor_tau == pytest.approx(at_zero / total, rel=EXACT)


def test_shrinkage_against_quadrature():
    fit = bayes(TABLE)
    density = halfnorm(scale=0.5).pdf
    total = integral(lambda t: joint(t, (0, 4), density)[0])
    for i in range(Y.size):

        def mean_of(t, i=i):
            weight, mean, _ = joint(t, (0, 4), density)
            b = V[i] / (V[i] + t * t)
            return weight * ((1 - b) * Y[i] + b * mean)

        assert fit.shrinkage["theta_mean"][i] == pytest.approx(integral(mean_of) / total, abs=EXACT)
        b = integral(lambda t, i=i: joint(t, (0, 4), density)[0] * V[i] / (V[i] + t * t)) / total
        assert fit.shrinkage["shrinkage"][i] == pytest.approx(b, abs=EXACT)
    assert list(fit.shrinkage["study"]) == list("abcde")
    assert (fit.shrinkage["ci_high"] - fit.shrinkage["ci_low"] < 2 * 1.96 * np.sqrt(V)).all()


def test_weights_and_prior_sum_to_hundred_and_make_the_mean():
    fit = bayes(TABLE, mu_prior=(0.7, 0.3))
    assert fit.studies["weight"].sum() + fit.prior_weight == pytest.approx(100, abs=ROUNDING)
    made = (fit.studies["weight"] * Y).sum() + fit.prior_weight * 0.7
    assert made / 100 == pytest.approx(fit.mu.mean, abs=ROUNDING)


effects = st.lists(st.tuples(st.floats(-2, 2), st.floats(0.01, 1.0)), min_size=2, max_size=8)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(effects, st.floats(0.01, 100), st.floats(-5, 5))
def test_scale_and_shift(rows, factor, shift):
    """Effects, priors and results move together."""
    y, v = np.array(rows).T
    one = bayes(pd.DataFrame({"effect": y, "variance": v}), mu_prior=(0.2, 1.5), tau_prior=("half-normal", 0.5))
    other = bayes(
        pd.DataFrame({"effect": factor * (y + shift), "variance": factor**2 * v}),
        mu_prior=(factor * (0.2 + shift), 1.5 * factor),
        tau_prior=("half-normal", 0.5 * factor),
    )
    scale = factor * (1 + abs(shift)) * 1e-7
    assert other.estimate == pytest.approx(factor * (one.estimate + shift), abs=scale)
    assert other.ci_low == pytest.approx(factor * (one.ci_low + shift), abs=10 * scale)
    assert other.pi_high == pytest.approx(factor * (one.pi_high + shift), abs=10 * scale)
    assert other.tau == pytest.approx(factor * one.tau, rel=1e-7)
    assert other.bayes_factor_tau == pytest.approx(one.bayes_factor_tau, rel=1e-6)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(effects)
def test_shortest_is_never_longer_and_has_equal_heights(rows):
    y, v = np.array(rows).T
    fit = bayes(pd.DataFrame({"effect": y, "variance": v}))
    for summary, of in ((fit.mu, "mu"), (fit.tau_summary, "tau"), (fit.prediction, "prediction")):
        short, equal = (
            summary.shortest_high - summary.shortest_low,
            summary.equal_tailed_high - summary.equal_tailed_low,
        )
        assert short <= equal * (1 + ROUNDING)
        low, high = fit.density(np.array([summary.shortest_low, summary.shortest_high]), of=of)
        peak = float(fit.density(np.array([summary.mode]), of=of)[0])
        if summary.shortest_low > 0 or of != "tau":
            assert low == pytest.approx(high, rel=1e-5, abs=1e-6 * peak)
        assert peak >= fit.density(
            np.linspace(summary.equal_tailed_low, summary.equal_tailed_high, 51), of=of
        ).max() * (1 - 1e-6)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(effects)
def test_order_and_sign(rows):
    y, v = np.array(rows).T
    fit = bayes(pd.DataFrame({"effect": y, "variance": v}))
    turned = bayes(pd.DataFrame({"effect": -y[::-1], "variance": v[::-1]}))
    assert turned.estimate == pytest.approx(-fit.estimate, abs=ROUNDING)
    assert turned.ci_low == pytest.approx(-fit.ci_high, abs=1e-7)
    assert turned.tau == pytest.approx(fit.tau, rel=ROUNDING)


def test_two_modes_get_the_shortest_interval():
    """Two far components: the shortest 60% lies around the heavier one, as a fine search finds too."""
    mix = Mixtures(np.array([[0.0, 10.0]]), np.array([[1.0, 1.5]]), np.array([0.65, 0.35]))
    (low, high), mode = shortest_mixture(mix, 0.6, mix.quantile(0.2), mix.quantile(0.8))
    grid = np.linspace(1e-4, 0.4 - 1e-4, 401)
    widths = [mix.quantile(p + 0.6)[0] - mix.quantile(p)[0] for p in grid]
    assert high[0] - low[0] <= min(widths) * (1 + 1e-6)
    assert mode[0] == pytest.approx(0.0, abs=1e-6)


def test_one_component_is_a_normal():
    mix = Mixtures(np.array([[0.3]]), np.array([[2.0]]), np.array([1.0]))
    (low, high), mode = shortest_mixture(mix, 0.95, mix.quantile(0.025), mix.quantile(0.975))
    assert (low[0], high[0]) == pytest.approx(norm(0.3, 2).interval(0.95), abs=ROUNDING)
    assert mode[0] == pytest.approx(0.3, abs=1e-7)


def test_flat_prior_is_the_limit_of_wide_ones():
    flat, wide = bayes(TABLE, mu_prior=None), bayes(TABLE, mu_prior=(0, 1e4))
    assert wide.ci_low == pytest.approx(flat.ci_low, abs=1e-6)
    assert np.isnan(flat.bayes_factor_mu)
    assert np.isnan(flat.log_evidence)
    assert flat.prior_weight == 0


@pytest.mark.parametrize("k", [1, 2])
def test_few_trials(k):
    fit = bayes(TABLE.head(k))
    assert fit.k == k
    assert np.isfinite([fit.estimate, fit.tau, fit.pi_low]).all()
    assert fit.notes


def test_one_trial_with_a_flat_mean_leaves_tau_at_its_prior():
    fit = bayes(TABLE.head(1), mu_prior=None, tau_prior=("half-normal", 0.5))
    prior = halfnorm(scale=0.5)
    assert fit.tau == pytest.approx(prior.median(), abs=ROUNDING)
    assert fit.tau_summary.equal_tailed_high == pytest.approx(prior.ppf(0.975), abs=ROUNDING)


def test_moments_that_do_not_exist_are_not_numbers():
    """One trial, flat mean, half-Cauchy tau: the posterior of tau is the half-Cauchy prior, which has no mean."""
    fit = bayes(TABLE.head(1), mu_prior=None, tau_prior=("half-cauchy", 0.3))
    assert np.isinf(fit.tau_summary.mean)
    assert np.isinf(fit.tau_summary.sd)
    assert np.isnan(fit.mu.mean)
    assert np.isinf(fit.std_error)
    assert fit.tau == pytest.approx(cauchy(scale=0.3).ppf(0.75), abs=ROUNDING)


def test_improper_posteriors_are_refused():
    with pytest.raises(
        NotEstimableError, match="k = 2 is too few for an improper uniform prior of tau and a flat prior"
    ):
        bayes(TABLE.head(2), mu_prior=None, tau_prior="uniform")
    with pytest.raises(NotEstimableError, match="give tau a proper prior"):
        bayes(TABLE.head(1), tau_prior="uniform")
    assert np.isfinite(bayes(TABLE.head(2), tau_prior="uniform").tau)
    assert np.isnan(bayes(TABLE, tau_prior="uniform").bayes_factor_tau)


def test_equal_effects_and_wild_variances():
    equal = bayes(pd.DataFrame({"effect": [0.3] * 6, "variance": [0.04] * 6}))
    assert equal.estimate == pytest.approx(0.3, abs=1e-3)
    assert equal.tau_summary.mode == 0
    assert equal.tau_ci_low == 0
    wild = bayes(pd.DataFrame({"effect": [0.3, 0.300001, 1.1], "variance": [1e-12, 1e-12, 1e12]}))
    assert np.isfinite([wild.estimate, wild.ci_low, wild.ci_high, wild.tau]).all()
    assert wild.estimate == pytest.approx(0.3, abs=1e-2)


def test_far_outlier_and_prior_conflict():
    fit = bayes(pd.DataFrame({"effect": [0.1, 0.2, 0.15, 50.0], "variance": [0.02] * 4}))
    mix = fit.posterior.mixtures()
    low = mix.row(0).cdf(np.array([fit.ci_low]))[0]
    high = mix.row(0).cdf(np.array([fit.ci_high]))[0]
    assert high - low == pytest.approx(0.95, abs=1e-7)


def test_many_trials():
    rng = np.random.default_rng(3)
    y = rng.normal(0.3, 0.3, 2000)
    fit = bayes(pd.DataFrame({"effect": y, "variance": 0.02}))
    assert fit.estimate == pytest.approx(y.mean(), abs=1e-4)
    assert fit.tau == pytest.approx(np.sqrt(y.var() - 0.02), abs=5e-3)
    assert len(fit.shrinkage) == 2000


def test_missing_rows_stay_and_are_said():
    table = pd.concat([TABLE, pd.DataFrame({"study": ["f"], "effect": [np.nan], "variance": [0.1]})], ignore_index=True)
    before = table.copy(deep=True)
    fit = bayes(table)
    pd.testing.assert_frame_equal(table, before)
    assert fit.k == 5
    assert fit.studies["included"].tolist() == [True] * 5 + [False]
    assert len(fit.shrinkage) == 5
    assert any("left out" in note for note in fit.notes)
    assert fit.estimate == bayes(TABLE).estimate


def test_zero_variance_is_refused_with_its_row():
    with pytest.raises(SchemaError, match="row 2"):
        bayes(pd.DataFrame({"effect": [0.1, 0.2], "variance": [0.1, 0.0]}))


def test_nothing_to_pool():
    with pytest.raises(NotEstimableError):
        bayes(pd.DataFrame({"effect": [np.nan], "variance": [0.1]}))


def test_several_effects_of_a_trial():
    table = TABLE.assign(trial_id=["a", "a", "b", "c", "d"])
    fit = bayes(table)
    assert fit.k == 4
    assert any("combined" in note for note in fit.notes)
    with pytest.warns(DependenceWarning):
        independent = bayes(table, dependence="independent")
    assert independent.estimate == pytest.approx(bayes(TABLE).estimate, abs=ROUNDING)


def test_interval_option_chooses_what_is_shown():
    short, equal = bayes(TABLE), bayes(TABLE, interval="equal-tailed")
    assert (short.ci_low, short.ci_high) == (short.mu.shortest_low, short.mu.shortest_high)
    assert (equal.ci_low, equal.ci_high) == (equal.mu.equal_tailed_low, equal.mu.equal_tailed_high)
    assert equal.shrinkage["ci_low"][0] != short.shrinkage["ci_low"][0]
    narrow = bayes(TABLE, level=0.5)
    assert narrow.ci_high - narrow.ci_low < 0.5 * (short.ci_high - short.ci_low)


def test_probability_and_density():
    fit = bayes(TABLE)
    assert fit.probability_above(0.0) == fit.p_positive
    assert fit.probability_above(fit.tau, of="tau") == pytest.approx(0.5, abs=ROUNDING)
    assert fit.probability_above(fit.prediction.median, of="prediction") == pytest.approx(0.5, abs=ROUNDING)
    for of in ("mu", "tau", "prediction"):
        x = np.linspace(0 if of == "tau" else -6, 6, 4001)
        assert trapezoid(fit.density(x, of=of), x) == pytest.approx(1, abs=1e-5)
    with pytest.raises(OptionError, match="'mu', 'tau', 'prediction'"):
        fit.probability_above(0, of="theta")


def test_far_tail_keeps_its_digits():
    fit = bayes(pd.DataFrame({"effect": [-3.0] * 8, "variance": [0.01] * 8}), tau_prior=("half-normal", 0.05))
    assert 0 < fit.p_positive < 1e-30


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tau_prior": ("half-t", 1)}, "tau_prior family must be one of"),
        ({"tau_prior": ("half-normal",)}, "takes scale"),
        ({"tau_prior": ("half-normal", -1)}, "positive"),
        ({"tau_prior": ("log-normal", 0)}, "mean of log tau and sd of log tau"),
        ({"tau_prior": ("half-normal", "wide")}, "as numbers"),
        ({"mu_prior": (0, 0)}, "mu_prior"),
        ({"mu_prior": 3}, "mu_prior"),
        ({"mu_prior": (0, 1, 2)}, "mu_prior"),
        ({"interval": "hpd"}, "interval must be one of"),
        ({"level": 95}, "level"),
        ({"rho": 2}, "rho"),
        ({"dependence": "che"}, "dependence must be one of 'aggregate', 'independent'"),
    ],
)
def test_options_are_checked(options, said):
    with pytest.raises(OptionError, match=said):
        bayes(TABLE, **options)


@pytest.mark.parametrize("prior", PRIORS)
def test_prior_densities(prior):
    ours, theirs = read_tau_prior(prior), PRIORS[prior]
    tau = np.array([0.01, 0.3, 1.1, 1.9])
    assert ours.log_density(tau) == pytest.approx(theirs.logpdf(tau), abs=1e-12)
    step = 1e-6
    slope = (ours.log_density(tau + step) - ours.log_density(tau - step)) / (2 * step)
    assert ours.slope(tau) == pytest.approx(slope, rel=1e-6, abs=1e-8)
    assert ours.proper
    assert ours.describe().startswith("tau ~ ")


def test_prior_at_the_edges():
    assert read_tau_prior(("log-normal", 0, 1)).log_density(np.zeros(1))[0] == -np.inf
    assert read_tau_prior(("uniform", 1)).log_density(np.array([1.5]))[0] == -np.inf
    assert not read_tau_prior("uniform").proper
    assert read_mu_prior(None) == MuPrior(0.0, np.inf)


def test_posterior_quantile_inverts_cdf():
    posterior = posterior_of_tau(Model(Y, V, read_mu_prior((0, 4)), read_tau_prior(("half-cauchy", 0.5))))
    p = np.array([1e-6, 0.01, 0.2, 0.5, 0.9, 0.999, 1 - 1e-6])
    assert posterior.cdf(posterior.quantile(p)) == pytest.approx(p, abs=1e-13)
    assert posterior.cdf(np.array([0.0, 1e12])) == pytest.approx([0, 1], abs=1e-12)
    assert posterior.weight.sum() == pytest.approx(1, abs=1e-14)


def test_what_is_printed():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = bayes(TABLE.assign(measure="SMD"))
    text, html = fit.summary(), fit._repr_html_()
    assert "tau ~ half-normal(0.5)" in text
    assert "P(> 0)" in text
    assert "<caption>Bayesian random effects" in html
    tidy = fit.tidy()
    assert tidy.columns[:2].tolist() == ["group", "k"]
    assert tidy["estimate"][0] == fit.estimate
    assert fit.posteriors()["quantity"].tolist() == ["mu", "tau", "prediction"]
    assert fit.tau2 == fit.tau**2
