"""The commands of `python -m app`; one file a command. The server imports nothing of this."""

import typer

from app.cli import tasks
from app.cli.doctor import doctor

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for name in tasks.NAMES:
    app.command(name)(tasks.command(name))
app.command("vqa", hidden=True)(tasks.command("ask"))  # what the contract calls it
app.command()(doctor)


@app.callback()
def about() -> None:
    """Qwen3-VL server: the commands around it."""
