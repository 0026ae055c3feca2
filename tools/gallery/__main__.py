"""`python -m tools.gallery` builds the site; `python -m tools.gallery --links` checks links to elsewhere."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cnmf_engine.base.errors import InputError, MissingFileError
from workshop_utils.session.runner import RunError


def main(arguments: list[str] | None = None) -> int:
    """Build the site, or check links; 0 when all is well, 1 otherwise."""
    parser = argparse.ArgumentParser(description="Render the executed lessons to a static site.")
    parser.add_argument("--folder", type=Path, default=Path("build/gallery"), help="for results and the site")
    parser.add_argument("--links", action="store_true", help="only ask whether links to elsewhere work")
    chosen = parser.parse_args(arguments)
    from tools.gallery.building import build, check_links
    from tools.gallery.staging import Problem

    folder = chosen.folder.resolve()
    try:
        if chosen.links:
            check_links(folder)
            return 0
        site = build(folder)
    except (Problem, RunError, InputError, MissingFileError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Open it: {site / 'index.html'}")
    print(f"Or as on a web server: {sys.executable} -m http.server --bind 127.0.0.1 --directory {site}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
