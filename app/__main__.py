"""`python -m app COMMAND`: see `app/cli`."""

from app.cli import app

app(prog_name="python -m app")
