"""The commands of `python -m app`; one file a command. The server imports nothing of this."""

import typer

from app.cli.doctor import doctor

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.command()(doctor)


@app.callback()
def about() -> None:
    """Qwen3-VL server: the commands around it."""
