"""How `make docs` builds the site: from these pages and the docstrings, without the network."""

from modica_facade import __version__

project = "modica-facade"
author = "the modica-facade contributors"
copyright = author  # noqa: A001 - Sphinx reads this name
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
# The names of the standard library in signatures lead nowhere: their inventory is on the network.
nitpicky = False

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3

default_role = "py:obj"  # single backticks in docstrings are names of this package
add_module_names = False
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 88
autodoc_default_options = {"members": True}
napoleon_use_ivar = False
strip_signature_backslash = True  # or class_ loses its underscore in lists of parameters
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"modica-facade {version}"
html_show_sourcelink = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"navigation_with_keys": True}
