"""Evidence synthesis of trials of Interpersonal Psychotherapy: every number traced to its trial.

The names below are the whole public interface, grouped by room. They are loaded when first used, so that importing the
package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipt_evidence.diagnostics.excess_significance import excess_significance
    from ipt_evidence.diagnostics.failsafe import failsafe_n
    from ipt_evidence.diagnostics.limit_meta import LimitMeta, limit_meta
    from ipt_evidence.diagnostics.p_curve import p_curve
    from ipt_evidence.diagnostics.p_uniform import p_uniform_star
    from ipt_evidence.diagnostics.pet_peese import PetPeese, pet_peese
    from ipt_evidence.diagnostics.power import power
    from ipt_evidence.diagnostics.small_study import begg_test, egger_test
    from ipt_evidence.diagnostics.small_study_events import debray_test, harbord_test, peters_test
    from ipt_evidence.diagnostics.small_study_result import SmallStudyTest
    from ipt_evidence.diagnostics.trim_and_fill import TrimAndFill, trim_and_fill
    from ipt_evidence.diagnostics.z_values import caliper_test, z_curve
    from ipt_evidence.effects.compute import effect_sizes
    from ipt_evidence.effects.convert import convert, nnt, to_points
    from ipt_evidence.figures.alt_text import alt_text
    from ipt_evidence.figures.forest import forest_plot
    from ipt_evidence.figures.forest_rows import forest_rows
    from ipt_evidence.figures.output import save_figure
    from ipt_evidence.pooling.batch import pool_many
    from ipt_evidence.pooling.bayes import bayes
    from ipt_evidence.pooling.bayes_result import BayesFit
    from ipt_evidence.pooling.binary import pool_binary
    from ipt_evidence.pooling.binary_result import BinaryFit
    from ipt_evidence.pooling.dependence import multilevel
    from ipt_evidence.pooling.fit import pool
    from ipt_evidence.pooling.location_scale import LocationScale, location_scale
    from ipt_evidence.pooling.model_comparison import compare_models
    from ipt_evidence.pooling.multilevel_result import MultilevelFit
    from ipt_evidence.pooling.prediction import bootstrap_prediction
    from ipt_evidence.pooling.regression import meta_regression
    from ipt_evidence.pooling.regression_result import MetaRegression
    from ipt_evidence.pooling.result import PooledFit, PooledFits
    from ipt_evidence.pooling.sampling_covariance import sampling_covariance
    from ipt_evidence.pooling.simulate import simulate
    from ipt_evidence.pooling.subgroups import pool_by
    from ipt_evidence.sources.registry import list_datasets, load_dataset
    from ipt_evidence.studies.one_per_trial import one_per_trial
    from ipt_evidence.studies.read import read_studies
    from ipt_evidence.studies.table import validate_studies

_HOMES = {
    "list_datasets": "sources.registry",
    "load_dataset": "sources.registry",
    "read_studies": "studies.read",
    "validate_studies": "studies.table",
    "one_per_trial": "studies.one_per_trial",
    "effect_sizes": "effects.compute",
    "convert": "effects.convert",
    "nnt": "effects.convert",
    "to_points": "effects.convert",
    "pool": "pooling.fit",
    "pool_by": "pooling.subgroups",
    "pool_many": "pooling.batch",
    "simulate": "pooling.simulate",
    "bootstrap_prediction": "pooling.prediction",
    "meta_regression": "pooling.regression",
    "compare_models": "pooling.model_comparison",
    "location_scale": "pooling.location_scale",
    "multilevel": "pooling.dependence",
    "sampling_covariance": "pooling.sampling_covariance",
    "pool_binary": "pooling.binary",
    "bayes": "pooling.bayes",
    "PooledFit": "pooling.result",
    "PooledFits": "pooling.result",
    "MetaRegression": "pooling.regression_result",
    "LocationScale": "pooling.location_scale",
    "MultilevelFit": "pooling.multilevel_result",
    "BinaryFit": "pooling.binary_result",
    "BayesFit": "pooling.bayes_result",
    "egger_test": "diagnostics.small_study",
    "begg_test": "diagnostics.small_study",
    "peters_test": "diagnostics.small_study_events",
    "harbord_test": "diagnostics.small_study_events",
    "debray_test": "diagnostics.small_study_events",
    "SmallStudyTest": "diagnostics.small_study_result",
    "trim_and_fill": "diagnostics.trim_and_fill",
    "pet_peese": "diagnostics.pet_peese",
    "limit_meta": "diagnostics.limit_meta",
    "TrimAndFill": "diagnostics.trim_and_fill",
    "PetPeese": "diagnostics.pet_peese",
    "LimitMeta": "diagnostics.limit_meta",
    "p_curve": "diagnostics.p_curve",
    "p_uniform_star": "diagnostics.p_uniform",
    "failsafe_n": "diagnostics.failsafe",
    "excess_significance": "diagnostics.excess_significance",
    "z_curve": "diagnostics.z_values",
    "caliper_test": "diagnostics.z_values",
    "power": "diagnostics.power",
    "forest_plot": "figures.forest",
    "forest_rows": "figures.forest_rows",
    "alt_text": "figures.alt_text",
    "save_figure": "figures.output",
}

__all__ = [  # noqa: RUF022 (grouped by room, not by alphabet)
    "list_datasets",
    "load_dataset",
    "read_studies",
    "validate_studies",
    "one_per_trial",
    "effect_sizes",
    "convert",
    "nnt",
    "to_points",
    "pool",
    "pool_by",
    "pool_many",
    "simulate",
    "bootstrap_prediction",
    "meta_regression",
    "compare_models",
    "location_scale",
    "multilevel",
    "sampling_covariance",
    "pool_binary",
    "bayes",
    "PooledFit",
    "PooledFits",
    "MetaRegression",
    "LocationScale",
    "MultilevelFit",
    "BinaryFit",
    "BayesFit",
    "egger_test",
    "begg_test",
    "peters_test",
    "harbord_test",
    "debray_test",
    "SmallStudyTest",
    "trim_and_fill",
    "pet_peese",
    "limit_meta",
    "TrimAndFill",
    "PetPeese",
    "LimitMeta",
    "p_curve",
    "p_uniform_star",
    "failsafe_n",
    "excess_significance",
    "z_curve",
    "caliper_test",
    "power",
    "forest_plot",
    "forest_rows",
    "alt_text",
    "save_figure",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("ipt-evidence")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
