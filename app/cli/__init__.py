"""The commands of `python -m app`, one module per command. The server does not import them."""

import typer

from app.cli import batch, tasks
from app.cli.bench import bench
from app.cli.doctor import doctor
from app.cli.models import models
from app.cli.pull import pull
from app.cli.status import status

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name in tasks.TASK_COMMANDS:
    app.command(name)(tasks.command(name))
app.command("vqa", hidden=True)(tasks.command("ask"))  # the name of the HTTP endpoint
batch_commands = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Run a task on any number of files. Writes one line of JSON per file and can be resumed.",
)
for name in tasks.TASK_COMMANDS:
    batch_commands.command(name)(batch.command(name))
batch_commands.command("vqa", hidden=True)(batch.command("ask"))
app.add_typer(batch_commands, name="batch")
for other in (doctor, pull, models, status, bench):
    app.command()(other)


@app.callback()
def about() -> None:
    """Command-line client and tools of the Qwen3-VL server."""
