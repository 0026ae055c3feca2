"""The command `workshop`: run the lessons, look after the machine, prepare a class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cnmf_engine.base.errors import InputError, explain
from workshop_utils import __version__

try:
    import click
except ImportError as error:  # installed with --no-deps, as beside CaImAn
    fix = "python -m pip install click, then `workshop doctor`, which says what else is missing"
    raise SystemExit(explain("click, which the command `workshop` is made with", str(error), fix)) from error

__all__ = ["main"]

# Everything the workshop itself says in its own words; anything else is a fault and keeps its traceback.
_SPOKEN = (InputError, FileNotFoundError)

_MOVIE = click.option(
    "--movie", default="demo", show_default=True, help="'demo', 'demo_hard', a name, a file or a folder."
)
_PAIRS = click.option(
    "-p",
    "--parameter",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="Value (YAML) for the lessons; repeat.",
)


def _results(text: str) -> Callable[[Callable], Callable]:
    return click.option(
        "--results", default="results", show_default=True, type=click.Path(path_type=Path), help=text
    )


# \b: click leaves the lines as they are.
_EXAMPLES = """\b
Is all here that I need?   workshop doctor
All lessons on the demo:   workshop run
... on my own recording:   workshop run --movie rec.tif --results my_results
Prepare a class on Colab:  workshop bundle calcium-imaging-data
"""
_BUNDLE_EXAMPLES = """\b
Demo:    workshop bundle calcium-imaging-data
My own:  workshop bundle calcium-imaging-data --movie rec.tif -p frame_rate=20
Check:   workshop bundle calcium-imaging-data --check
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EXAMPLES)
@click.version_option(__version__, prog_name="workshop")
def main() -> None:
    """Learn and run one-photon calcium imaging."""


@main.command()
@_MOVIE
@_results("Folder to write to.")
@click.option("--engine", help="auto, caiman or embedded; by default what WORKSHOP_ENGINE says, else auto.")
@_PAIRS
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
    from workshop_utils.engine import EngineError
    from workshop_utils.session import runner
    from workshop_utils.session.options import parse_parameters, parse_steps

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


@main.command("list", short_help="Show the lessons, their parameters, and known movies.")
@click.option(
    "--notebooks", type=click.Path(path_type=Path), help="Folder of the notebooks, if not the workshop's own."
)
def list_lessons(notebooks: Path | None) -> None:
    """Show the lessons with their parameters, and the movies known by name."""
    from workshop_utils.lessons import lessons
    from workshop_utils.movies import data
    from workshop_utils.session.notebooks import parameters_of, title_of

    try:
        for number, path in lessons(notebooks).items():
            click.secho(f"{number}  {title_of(path)}", bold=True)
            for name, default in parameters_of(path).items():
                click.echo(f"      {name} = {default!r}")
        click.secho("\nMovies", bold=True)
        click.echo("      demo: the simulated recording that comes with the workshop")
        click.echo("      demo_hard: a second one, dense, dim, and moving a lot")
        for name, entry in data.registry().items():
            click.echo(f"      {name}: {entry.description or entry.licence or entry.address}")
    except _SPOKEN as error:
        raise click.ClickException(str(error)) from error


@main.command()
@_results("Folder of a run.")
def report(results: Path) -> None:
    """Write the report of a results folder again."""
    from workshop_utils.session import report as page

    try:
        click.echo(page.build(results))
    except _SPOKEN as error:
        raise click.ClickException(str(error)) from error


@main.command(short_help="Say what is missing on this machine, and what mends it.")
@_MOVIE
@_results("Folder that would be written to.")
@click.pass_context
def doctor(context: click.Context, movie: str, results: Path) -> None:
    """
    Say what this machine has and what is missing, with the command that mends it.

    Changes nothing. Ends with exit code 1 if something has to be mended.
    """
    from workshop_utils.classroom import doctor as examination

    if not examination.show(movie, str(results)):
        context.exit(1)


@main.command(short_help="Make the folder for Drive that a class on Colab needs.", epilog=_BUNDLE_EXAMPLES)
@click.argument("folder", metavar="OUT", type=click.Path(path_type=Path))
@_MOVIE
@click.option("--wheel", type=click.Path(path_type=Path), help="The workshop's wheel, if it can't be found.")
@click.option(
    "--drive-folder",
    help="Where OUT will be on Drive, such as MyDrive/imaging-course. By default where the lessons look.",
)
@click.option("--package", default="", help="Address pip can install the workshop from, if not from OUT.")
@_PAIRS
@click.option("--check", "only_check", is_flag=True, help="Only check OUT: install from it, run lesson 1.")
@click.pass_context
def bundle(
    context: click.Context,
    folder: Path,
    movie: str,
    wheel: Path | None,
    drive_folder: str | None,
    package: str,
    pairs: tuple[str, ...],
    only_check: bool,
) -> None:
    """
    Put all that a class on Colab needs into the folder OUT, which goes on Drive.

    In it: the workshop itself, the lessons, a movie, a README for attendees and instructor. Run again, it
    brings the folder up to date and touches nothing else in it.
    """
    if only_check and (movie != "demo" or wheel or drive_folder or package or pairs):
        raise click.UsageError("--check looks at the folder as it is: give no other options with it.")
    from workshop_utils.classroom import bundle as folders
    from workshop_utils.colab import DRIVE_FOLDER
    from workshop_utils.session.options import parse_parameters

    try:
        if only_check:
            context.exit(0 if all(one.ok for one in folders.check(folder, say=click.echo)) else 1)
        folders.build(
            folder,
            movie=movie,
            wheel=wheel,
            drive_folder=drive_folder or DRIVE_FOLDER,
            package=package,
            parameters=parse_parameters(pairs) if pairs else {},
            say=click.echo,
        )
    except _SPOKEN as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
