"""Define `vivavoce ui`, which serves the demo page in a process of its own."""

from typing import Annotated

import typer

from vivavoce.cli.options import option
from vivavoce.cli.serve import listen, reachable_at


def ui(
    port: Annotated[int, option("Port. 0 takes any free one.", min=0, max=65_535)] = 8501,
    host: Annotated[
        str, option("Address to listen on. 127.0.0.1 for this machine only.", default="0.0.0.0")
    ] = "0.0.0.0",
    server: Annotated[
        str,
        option(
            "Address of the speech server, also read from TTS_API_URL.",
            metavar="URL",
            envvar="TTS_API_URL",
        ),
    ] = "http://localhost:8000",
) -> None:
    """Serve the demo page for a browser.

    The page needs a running server and the extra `ui`. It opens no browser
    and sends no usage data. Ctrl-C stops it.

    Examples:
      vivavoce ui
      vivavoce ui --port 9001 --server http://dgx:8000
    """
    import uvicorn

    from vivavoce.ui.launch import create_page

    with listen(host, port) as listener:
        page = create_page(server)
        where = reachable_at(host, listener.getsockname()[1])
        typer.echo("\n".join([f"the demo page of {server}", *where]))
        runner = uvicorn.Server(uvicorn.Config(page, log_config=None, timeout_graceful_shutdown=3))
        runner.run(sockets=[listener])
    if not runner.started:
        raise typer.Exit(1)  # uvicorn has logged the reason
