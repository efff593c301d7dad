"""Settings of the documentation; `make docs` builds it without a network, and a warning is an error."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
import command_line
import project_pages
import row_contract

import ipt_evidence
from ipt_evidence import errors

HERE = Path(__file__).parent

project = "ipt_evidence"
author = "The ipt_evidence maintainers"
project_copyright = author
version = release = installed_version("ipt-evidence")
language = "en"

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "mathml",
    "project_pages",
    "finish_pages",
]
templates_path = ["_templates"]
exclude_patterns = ["_ext", "_generated", "_templates", "**/.ipynb_checkpoints"]
default_role = "code"
add_module_names = False
smartquotes = False  # "REML" in a docstring is what a reader copies
suppress_warnings: list[str] = []

PUBLIC = {f"ipt_evidence.{name}" for name in ipt_evidence.__all__} | {
    f"ipt_evidence.errors.{name}" for name in vars(errors)
}
project_pages.write(HERE)
project_pages.forget(HERE / "reference" / "names", PUBLIC)
command_line.write(HERE / "_generated" / "command_line.md")
row_contract.write(HERE / "_generated" / "row_contract.md")

# Notebooks are shown with the outputs they are stored with; other tests run them.
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}
nb_render_markdown_format = "myst"
nb_merge_streams = True
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "amsmath", "attrs_inline", "attrs_block"]
myst_heading_anchors = 4
myst_update_mathjax = False

autosummary_generate = True
autosummary_generate_overwrite = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False
numpydoc_validation_checks = {"all", "ES01", "SA01", "RT03", "PR04", "PR01", "EX01", "YD01"}
# Methods of results say in one line what they return. The last three pass options on, document them as **options, and
# show all of them in their signature, which the check takes for a contradiction.
numpydoc_validation_exclude = {
    r"^ipt_evidence\.[A-Z]\w+\.\w+$",
    r"^ipt_evidence\.errors\.",
    r"^ipt_evidence\.(analysis_menu|pool_by|write_report|forest_plot|forest_pages|forest_rows)$",
}

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "pydata_sphinx_theme"
html_title = f"ipt_evidence {release}"
html_short_title = "ipt_evidence"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False
html_show_sphinx = False
html_last_updated_fmt = None
html_theme_options = {
    "logo": {"text": "ipt_evidence"},
    "show_version_warning_banner": False,
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 8,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "back_to_top_button": False,
}
html_context = {"default_mode": "auto"}
html_sidebars: dict[str, list[str]] = {"index": [], "gallery/index": []}


def hide_fields(app, what, name, target, options, signature, returned):  # type: ignore[no-untyped-def]
    """Leave out the call of a class that only functions of the package make: its fields are listed as attributes."""
    if what == "class" and "Attributes\n" in (target.__doc__ or "") and "Parameters\n" not in target.__doc__:
        return "", None
    return None


def setup(app):  # type: ignore[no-untyped-def]
    """Connect what only this project needs."""
    app.connect("autodoc-process-signature", hide_fields)
