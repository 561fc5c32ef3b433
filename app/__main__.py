"""`python -m app COMMAND`; the commands are in `app/cli`."""

from app.cli import app

app(prog_name="python -m app")
