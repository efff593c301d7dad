"""Evidence synthesis of trials of Interpersonal Psychotherapy: every number traced to its trial.

The names below are the whole public interface, grouped by room. They are loaded when first used, so that importing the
package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipt_evidence.diagnostics.bias_table import BiasTable, bias_table
    from ipt_evidence.diagnostics.copas import copas, copas_contour
    from ipt_evidence.diagnostics.copas_result import CopasModel
    from ipt_evidence.diagnostics.excess_significance import excess_significance
    from ipt_evidence.diagnostics.failsafe import failsafe_n
    from ipt_evidence.diagnostics.gosh import Gosh, gosh
    from ipt_evidence.diagnostics.gosh_clusters import GoshClusters
    from ipt_evidence.diagnostics.influence import baujat, blup, influence
    from ipt_evidence.diagnostics.influence_table import InfluenceTable
    from ipt_evidence.diagnostics.leave_out import cumulative, leave_one_out
    from ipt_evidence.diagnostics.limit_meta import LimitMeta, limit_meta
    from ipt_evidence.diagnostics.outliers import Outliers, outliers
    from ipt_evidence.diagnostics.p_curve import p_curve
    from ipt_evidence.diagnostics.p_uniform import p_uniform_star
    from ipt_evidence.diagnostics.p_uniform_plain import p_uniform
    from ipt_evidence.diagnostics.pet_peese import PetPeese, pet_peese
    from ipt_evidence.diagnostics.power import power
    from ipt_evidence.diagnostics.selection import selection_model, weight_sensitivity
    from ipt_evidence.diagnostics.selection_result import SelectionModel, WeightSensitivity
    from ipt_evidence.diagnostics.small_study import begg_test, egger_test
    from ipt_evidence.diagnostics.small_study_events import debray_test, harbord_test, peters_test
    from ipt_evidence.diagnostics.small_study_result import SmallStudyTest
    from ipt_evidence.diagnostics.trim_and_fill import TrimAndFill, trim_and_fill
    from ipt_evidence.diagnostics.worst_case import worst_case
    from ipt_evidence.diagnostics.worst_case_result import WorstCase
    from ipt_evidence.diagnostics.z_values import caliper_test, z_curve
    from ipt_evidence.effects.compute import effect_sizes
    from ipt_evidence.effects.convert import convert, nnt, to_points
    from ipt_evidence.evidence.absolute import AbsoluteEffects, absolute_effects
    from ipt_evidence.evidence.absolute_sds import control_sds
    from ipt_evidence.evidence.claims import Claims, check_claims
    from ipt_evidence.evidence.menu import AnalysisMenu, analysis_menu
    from ipt_evidence.evidence.multiverse import Multiverse, multiverse
    from ipt_evidence.evidence.multiverse_declared import read_choices
    from ipt_evidence.evidence.reproduce import Reproduction, reproduce
    from ipt_evidence.figures.albatross import albatross_plot
    from ipt_evidence.figures.alt_text import alt_text
    from ipt_evidence.figures.baujat import baujat_plot
    from ipt_evidence.figures.bubble import bubble_plot
    from ipt_evidence.figures.drapery import drapery_plot
    from ipt_evidence.figures.evidence_map import evidence_map
    from ipt_evidence.figures.forest import forest_plot
    from ipt_evidence.figures.forest_pages import forest_pages
    from ipt_evidence.figures.forest_rows import forest_rows
    from ipt_evidence.figures.funnel import funnel_plot
    from ipt_evidence.figures.gosh_plot import gosh_plot
    from ipt_evidence.figures.influence_panel import influence_plot
    from ipt_evidence.figures.labbe import labbe_plot
    from ipt_evidence.figures.menu_plot import menu_plot
    from ipt_evidence.figures.multiverse_plot import multiverse_plot
    from ipt_evidence.figures.network_plot import network_plot
    from ipt_evidence.figures.orchard import orchard_plot
    from ipt_evidence.figures.output import save_figure
    from ipt_evidence.figures.p_curve_plot import p_curve_plot
    from ipt_evidence.figures.posterior import posterior_plot
    from ipt_evidence.figures.prisma import prisma_flow
    from ipt_evidence.figures.radial import radial_plot
    from ipt_evidence.figures.rainforest import rainforest_plot
    from ipt_evidence.figures.rob_plots import risk_of_bias_plot
    from ipt_evidence.figures.style import FigureStyle
    from ipt_evidence.figures.tau2_profile import tau2_profile_plot
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
    from ipt_evidence.pooling.network import network
    from ipt_evidence.pooling.network_result import NetworkFit
    from ipt_evidence.pooling.network_table import network_table
    from ipt_evidence.pooling.prediction import bootstrap_prediction
    from ipt_evidence.pooling.regression import meta_regression
    from ipt_evidence.pooling.regression_result import MetaRegression
    from ipt_evidence.pooling.result import PooledFit, PooledFits
    from ipt_evidence.pooling.sampling_covariance import sampling_covariance
    from ipt_evidence.pooling.simulate import simulate
    from ipt_evidence.pooling.subgroups import pool_by
    from ipt_evidence.reports.document import write_report
    from ipt_evidence.reports.findings import summary_of_findings
    from ipt_evidence.reports.findings_judgements import read_judgements
    from ipt_evidence.reports.methods_text import methods_text
    from ipt_evidence.reports.tables import ReportTable
    from ipt_evidence.reports.tables_study import study_table
    from ipt_evidence.sources.download import download
    from ipt_evidence.sources.header_guess import guess_mapping
    from ipt_evidence.sources.mapping import ColumnMapping
    from ipt_evidence.sources.metafor_table_write import to_metafor
    from ipt_evidence.sources.registry import list_datasets, load_dataset
    from ipt_evidence.sources.releases import list_releases
    from ipt_evidence.sources.summaries import change_sd, mean_sd_from_quantiles, sd_from_ci, sd_from_se, skewness_test
    from ipt_evidence.studies.arms import shared_arms
    from ipt_evidence.studies.arms_combine import combine_arms
    from ipt_evidence.studies.arms_split import split_shared_control
    from ipt_evidence.studies.compare import VersionDiff, diff_studies
    from ipt_evidence.studies.export import write_studies
    from ipt_evidence.studies.one_per_trial import one_per_trial
    from ipt_evidence.studies.quality import flags_summary, quality_flags, without_flagged
    from ipt_evidence.studies.read import read_studies
    from ipt_evidence.studies.table import validate_studies

_HOMES = {
    "list_datasets": "sources.registry",
    "load_dataset": "sources.registry",
    "download": "sources.download",
    "list_releases": "sources.releases",
    "diff_studies": "studies.compare",
    "VersionDiff": "studies.compare",
    "read_studies": "studies.read",
    "guess_mapping": "sources.header_guess",
    "ColumnMapping": "sources.mapping",
    "mean_sd_from_quantiles": "sources.summaries",
    "skewness_test": "sources.summaries",
    "sd_from_se": "sources.summaries",
    "sd_from_ci": "sources.summaries",
    "change_sd": "sources.summaries",
    "write_studies": "studies.export",
    "to_metafor": "sources.metafor_table_write",
    "validate_studies": "studies.table",
    "shared_arms": "studies.arms",
    "combine_arms": "studies.arms_combine",
    "split_shared_control": "studies.arms_split",
    "quality_flags": "studies.quality",
    "flags_summary": "studies.quality",
    "without_flagged": "studies.quality",
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
    "network": "pooling.network",
    "network_table": "pooling.network_table",
    "NetworkFit": "pooling.network_result",
    "pool_binary": "pooling.binary",
    "bayes": "pooling.bayes",
    "PooledFit": "pooling.result",
    "PooledFits": "pooling.result",
    "MetaRegression": "pooling.regression_result",
    "LocationScale": "pooling.location_scale",
    "MultilevelFit": "pooling.multilevel_result",
    "BinaryFit": "pooling.binary_result",
    "BayesFit": "pooling.bayes_result",
    "selection_model": "diagnostics.selection",
    "weight_sensitivity": "diagnostics.selection",
    "copas": "diagnostics.copas",
    "copas_contour": "diagnostics.copas",
    "worst_case": "diagnostics.worst_case",
    "SelectionModel": "diagnostics.selection_result",
    "WeightSensitivity": "diagnostics.selection_result",
    "CopasModel": "diagnostics.copas_result",
    "WorstCase": "diagnostics.worst_case_result",
    "BiasTable": "diagnostics.bias_table",
    "leave_one_out": "diagnostics.leave_out",
    "cumulative": "diagnostics.leave_out",
    "influence": "diagnostics.influence",
    "baujat": "diagnostics.influence",
    "blup": "diagnostics.influence",
    "outliers": "diagnostics.outliers",
    "Outliers": "diagnostics.outliers",
    "gosh": "diagnostics.gosh",
    "Gosh": "diagnostics.gosh",
    "GoshClusters": "diagnostics.gosh_clusters",
    "InfluenceTable": "diagnostics.influence_table",
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
    "p_uniform": "diagnostics.p_uniform_plain",
    "p_uniform_star": "diagnostics.p_uniform",
    "failsafe_n": "diagnostics.failsafe",
    "excess_significance": "diagnostics.excess_significance",
    "z_curve": "diagnostics.z_values",
    "caliper_test": "diagnostics.z_values",
    "power": "diagnostics.power",
    "bias_table": "diagnostics.bias_table",
    "analysis_menu": "evidence.menu",
    "AnalysisMenu": "evidence.menu",
    "reproduce": "evidence.reproduce",
    "Reproduction": "evidence.reproduce",
    "check_claims": "evidence.claims",
    "Claims": "evidence.claims",
    "absolute_effects": "evidence.absolute",
    "AbsoluteEffects": "evidence.absolute",
    "control_sds": "evidence.absolute_sds",
    "multiverse": "evidence.multiverse",
    "Multiverse": "evidence.multiverse",
    "read_choices": "evidence.multiverse_declared",
    "study_table": "reports.tables_study",
    "ReportTable": "reports.tables",
    "summary_of_findings": "reports.findings",
    "read_judgements": "reports.findings_judgements",
    "methods_text": "reports.methods_text",
    "write_report": "reports.document",
    "forest_plot": "figures.forest",
    "funnel_plot": "figures.funnel",
    "baujat_plot": "figures.baujat",
    "radial_plot": "figures.radial",
    "labbe_plot": "figures.labbe",
    "influence_plot": "figures.influence_panel",
    "gosh_plot": "figures.gosh_plot",
    "drapery_plot": "figures.drapery",
    "bubble_plot": "figures.bubble",
    "orchard_plot": "figures.orchard",
    "rainforest_plot": "figures.rainforest",
    "albatross_plot": "figures.albatross",
    "tau2_profile_plot": "figures.tau2_profile",
    "posterior_plot": "figures.posterior",
    "p_curve_plot": "figures.p_curve_plot",
    "menu_plot": "figures.menu_plot",
    "multiverse_plot": "figures.multiverse_plot",
    "risk_of_bias_plot": "figures.rob_plots",
    "network_plot": "figures.network_plot",
    "prisma_flow": "figures.prisma",
    "evidence_map": "figures.evidence_map",
    "forest_pages": "figures.forest_pages",
    "FigureStyle": "figures.style",
    "forest_rows": "figures.forest_rows",
    "alt_text": "figures.alt_text",
    "save_figure": "figures.output",
}

__all__ = [  # noqa: RUF022 (grouped by room, not by alphabet)
    "list_datasets",
    "load_dataset",
    "download",
    "list_releases",
    "diff_studies",
    "VersionDiff",
    "read_studies",
    "guess_mapping",
    "ColumnMapping",
    "mean_sd_from_quantiles",
    "skewness_test",
    "sd_from_se",
    "sd_from_ci",
    "change_sd",
    "write_studies",
    "to_metafor",
    "validate_studies",
    "shared_arms",
    "combine_arms",
    "split_shared_control",
    "quality_flags",
    "flags_summary",
    "without_flagged",
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
    "network",
    "network_table",
    "NetworkFit",
    "pool_binary",
    "bayes",
    "PooledFit",
    "PooledFits",
    "MetaRegression",
    "LocationScale",
    "MultilevelFit",
    "BinaryFit",
    "BayesFit",
    "selection_model",
    "weight_sensitivity",
    "copas",
    "copas_contour",
    "worst_case",
    "SelectionModel",
    "WeightSensitivity",
    "CopasModel",
    "WorstCase",
    "BiasTable",
    "leave_one_out",
    "cumulative",
    "influence",
    "baujat",
    "blup",
    "outliers",
    "Outliers",
    "gosh",
    "Gosh",
    "GoshClusters",
    "InfluenceTable",
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
    "p_uniform",
    "p_uniform_star",
    "failsafe_n",
    "excess_significance",
    "z_curve",
    "caliper_test",
    "power",
    "bias_table",
    "analysis_menu",
    "AnalysisMenu",
    "reproduce",
    "Reproduction",
    "check_claims",
    "Claims",
    "absolute_effects",
    "AbsoluteEffects",
    "control_sds",
    "multiverse",
    "Multiverse",
    "read_choices",
    "study_table",
    "ReportTable",
    "summary_of_findings",
    "read_judgements",
    "methods_text",
    "write_report",
    "forest_plot",
    "funnel_plot",
    "baujat_plot",
    "radial_plot",
    "labbe_plot",
    "influence_plot",
    "gosh_plot",
    "drapery_plot",
    "bubble_plot",
    "orchard_plot",
    "rainforest_plot",
    "albatross_plot",
    "tau2_profile_plot",
    "posterior_plot",
    "p_curve_plot",
    "menu_plot",
    "multiverse_plot",
    "risk_of_bias_plot",
    "network_plot",
    "prisma_flow",
    "evidence_map",
    "forest_pages",
    "FigureStyle",
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
