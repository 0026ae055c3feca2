"""The command `workshop`: run the lessons on a movie, list them, write the report again."""

from __future__ import annotations

from pathlib import Path

import click

from cnmf_engine.errors import InputError
from workshop_utils import __version__

__all__ = ["main"]

# Everything the workshop itself says in its own words; anything else is a fault and keeps its traceback.
_SPOKEN = (InputError, FileNotFoundError)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="workshop")
def main() -> None:
    """Learn and run one-photon calcium imaging."""


@main.command()
@click.option("--movie", default="demo", show_default=True, help="'demo', a known name, a file or a folder.")
@click.option(
    "--results",
    default="results",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder to write to.",
)
@click.option("--engine", help="auto, caiman or embedded; by default what WORKSHOP_ENGINE says, else auto.")
@click.option(
    "-p",
    "--parameter",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="Value (YAML) for the lessons; repeat.",
)
@click.option("--steps", help="Numbers of lessons, such as 2-4 or 1,3-5. All by default.")
@click.option("--force", is_flag=True, help="Run also what has been done already.")
@click.option(
    "--notebooks", type=click.Path(path_type=Path), help="Folder of the notebooks, if not the workshop's own."
)
def run(
    movie: str,
    results: Path,
    engine: str | None,
    pairs: tuple[str, ...],
    steps: str | None,
    force: bool,
    notebooks: Path | None,
) -> None:
    """
    Execute the lessons in order and write one report.

    Run again, it carries on where it stopped: what was done with the same movie, parameters, engine and
    notebook is skipped.
    """
    from workshop_utils import runner
    from workshop_utils.engine import EngineError
    from workshop_utils.options import parse_parameters, parse_steps

    try:
        report = runner.run(
            movie,
            results,
            engine=engine,
            steps=parse_steps(steps) if steps is not None else None,
            parameters=parse_parameters(pairs) if pairs else {},
            force=force,
            folder=notebooks,
            say=lambda line: click.echo(line),
        )
    except (*_SPOKEN, EngineError, runner.RunError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Report:\n{report}")


@main.command("list")
@click.option(
    "--notebooks", type=click.Path(path_type=Path), help="Folder of the notebooks, if not the workshop's own."
)
def list_lessons(notebooks: Path | None) -> None:
    """Show the lessons with their parameters, and the movies known by name."""
    from workshop_utils import data
    from workshop_utils.lessons import lessons
    from workshop_utils.notebook_files import parameters_of, title_of

    try:
        for number, path in lessons(notebooks).items():
            click.secho(f"{number}  {title_of(path)}", bold=True)
            for name, default in parameters_of(path).items():
                click.echo(f"      {name} = {default!r}")
        click.secho("\nMovies", bold=True)
        click.echo("      demo: the simulated recording that comes with the workshop")
        for name, entry in data.registry().items():
            click.echo(f"      {name}: {entry.description or entry.licence or entry.address}")
    except _SPOKEN as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.option(
    "--results",
    default="results",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of a run.",
)
def report(results: Path) -> None:
    """Write the report of a results folder again."""
    from workshop_utils import report as page

    try:
        click.echo(page.build(results))
    except _SPOKEN as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
