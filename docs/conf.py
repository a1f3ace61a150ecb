"""The documentation site: `make docs` builds it into `site/`, warnings are errors.

Nothing in a page is fetched from a network: fonts are the system's, search is local.
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import generate

import ftml

project = "ftml"
release = ftml.__version__
author = "the authors of ftml"

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["generated/*"]

smartquotes = False  # X'X is a product, no quotation

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["ftml.css"]
html_title = f"ftml {release}"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False


def setup(app):
    """Write the generated pages before the sources are read."""
    app.connect("config-inited", lambda app, config: generate.write(app.confdir))
