"""Sphinx builds the site from this folder: ``make docs``."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import _check  # noqa: E402
import _gallery  # noqa: E402 (it keeps the functions that `setup` replaces)
import _notebooks  # noqa: E402
from _site import (  # noqa: E402
    PROJECTS,
    classes,
    compiled_functions,
    displayed_math,
    escape_shapes,
    exceptions,
    inline_math,
    inventory,
    links,
    public_name,
    versions,
)

import fastnn  # noqa: E402

project = "fastnn"
author = copyright = "the fastnn authors"
version = release = fastnn.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
# docs/examples.md lists the gallery instead of its own first page.
exclude_patterns = ["_build", "lessons", "gallery/index.rst"]

# Names of other libraries, in docs/inventories/ so that the build needs no network: tools/inventories.py.
intersphinx_mapping = {name: (address, inventory(name)) for name, address in PROJECTS.items()}
# A link that leads nowhere is an error, but single backticks also mark arguments, constants and fields.
nitpicky = True
nitpick_ignore_regex = [("py:obj", r"[a-z]\w*|[A-Z_]+|net\..*")]
# The second: docs/examples.md names programs, and needs no list of what each of them uses.
suppress_warnings = ["config.cache", "sphinx_gallery.config"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4

autosummary_generate = True
# The attributes that the page of a layer shows, of those that it has; the page of `Layer` has the rest.
autosummary_context = {
    "layer_attributes": {
        *("weights", "bias", "recurrent_weights", "depthwise_weights", "pointwise_weights"),
        *("projection_weights", "projection_bias", "output_weights", "output_bias"),
        *("gamma", "beta", "moving_mean", "moving_variance"),
        *("mean", "scale", "data_min", "data_max", "fill_values", "categories"),
        *("forward_layer", "backward_layer", "branches", "body", "shortcut"),
    }
}
autodoc_typehints = "none"
# Every method has its place on the page of its class.
numpydoc_show_class_members = False
# Types of arguments and results are links, where they name a class.
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
numpydoc_xref_aliases = {
    **classes(fastnn),
    **exceptions("python"),
    "function": ":func:`callable`",
    "Executor": "concurrent.futures.Executor",
    "path": "os.PathLike",
    "hashable": ":term:`hashable`",
    "DataFrame": "pandas.DataFrame",
    "Axes": "matplotlib.axes.Axes",
}
autodoc_default_options = {
    "members": True,
    # Methods of other libraries' classes are described by their own sites.
    "inherited-members": "object, int, BaseEstimator, ClassifierMixin, RegressorMixin, "
    "Base, Classifier, Regressor",
    "exclude-members": "get_metadata_routing, set_fit_request, set_partial_fit_request, set_score_request, "
    "set_predict_request, with_traceback, add_note",
}
default_role = "py:obj"

sphinx_gallery_conf = {
    "examples_dirs": ["../examples", "lessons"],
    "gallery_dirs": ["gallery", "learn"],
    "within_subsection_order": "FileNameSortKey",
    "minigallery_sort_order": "_gallery.position",
    "ignore_pattern": r"^(pole|plain_numpy)\.py",  # modules that examples import
    "filename_pattern": r"\.py$",
    "reset_argv": "_gallery.arguments",
    "reset_modules": ("matplotlib", "_gallery.compiled"),
    "reset_modules_order": "both",
    "image_scrapers": ("_gallery.pictures",),
    "first_notebook_cell": "# The arguments of the program, such as ['', '--epochs', '5'].\n"
    "import sys\n\nsys.argv = ['']\n%matplotlib inline",
    "abort_on_example_error": True,
    "copyfile_regex": r"",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1e9,
}

templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["versions.js", ("site.js", {"defer": "defer"})]
html_extra_path = ["switcher.json"]
html_additional_pages = {"404": "404.html"}
html_theme = "pydata_sphinx_theme"
html_math_renderer = "mathml"
html_title = "fastnn"
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto", **versions(fastnn.__version__)}
html_show_sourcelink = False
# Pages that are a section of their own have nothing to list beside them.
html_sidebars: dict[str, list[str]] = {page: [] for page in ("benchmarks", "faq", "why_fast")}
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "navbar_end": ["versions", "theme-switcher", "navbar-icon-links"],
}


def setup(app):
    """Connect what docs/_site.py does to pages and docstrings."""
    compiled_functions(fastnn)
    app.add_html_math_renderer("mathml", (inline_math, None), (displayed_math, None))
    app.connect("builder-inited", _notebooks.complete, priority=900)  # once the gallery is there
    app.connect("build-finished", _check.report)
    app.connect("source-read", links)
    app.connect("missing-reference", public_name)
    app.connect("doctree-read", _gallery.thumbnails)
    app.connect("include-read", lambda app, path, name, source: links(app, name, source))
    app.connect("autodoc-process-docstring", escape_shapes, priority=100)
