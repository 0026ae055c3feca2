"""Sphinx's configuration of the gallery; `tools.gallery.building` lays out the sources and calls Sphinx."""

from __future__ import annotations

from docutils import nodes

project = "Calcium workshop"
author = "The calcium-workshop developers"
copyright = author
language = "en"

extensions = ["myst_nb", "sphinx_copybutton", "sphinx.ext.githubpages"]
root_doc = "index"
templates_path = ["templates"]
# The front page takes parts of it in.
exclude_patterns = ["README.md", "templates"]

# Quotes in the text of a lesson may be code.
smartquotes = False
nb_execution_mode = "off"
nb_merge_streams = True
nb_number_source_lines = False
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
# A lesson's code is Python; without this its output would be guessed at.
nb_render_text_lexer = "none"

html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["gallery.css"]
html_js_files = [("gallery.js", {"defer": "defer"})]
html_favicon = "_static/icon.svg"
html_show_sourcelink = False
html_copy_source = False
html_show_sphinx = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
html_math_renderer = "mathml"
copybutton_exclude = ".linenos, .gp, .go"
copybutton_selector = "div.cell_input div.highlight pre, div.highlight-sh pre, div.highlight-python pre"

# For `make links`: external addresses only; those inside the site are checked in the built pages.
linkcheck_timeout = 20
linkcheck_retries = 2
linkcheck_workers = 5
linkcheck_anchors = True
linkcheck_report_timeouts_as_broken = True
# Publishers answer programs with "forbidden" where people get the paper; a DOI that doesn't exist is a 404.
linkcheck_allow_unauthorized = True


def _mathml(text: str, display: bool) -> str:
    from docutils.utils.math.latex2mathml import tex2mathml

    return str(tex2mathml(text, as_block=display))


def _inline(self, node: nodes.math) -> None:
    self.body.append(_mathml(node.astext(), display=False))
    raise nodes.SkipNode


def _block(self, node: nodes.math_block) -> None:
    self.body.append(f'<div class="math">{_mathml(node.astext(), display=True)}</div>')
    raise nodes.SkipNode


def setup(app) -> dict:
    """Draw mathematics as MathML, which browsers know by themselves."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
