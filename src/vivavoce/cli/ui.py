"""Define `vivavoce ui`, which serves the demo page in a process of its own."""

from typing import Annotated

import typer

from vivavoce.cli.serve import listen, reachable_at


def ui(
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port. 0 takes any free one.")
    ] = 8501,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. 127.0.0.1 for this machine only.", show_default="0.0.0.0"
        ),
    ] = "0.0.0.0",
    server: Annotated[
        str,
        typer.Option(
            metavar="URL",
            envvar="TTS_API_URL",
            help="Address of the speech server, also read from TTS_API_URL.",
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
        typer.echo(
            "\n".join(
                [f"the demo page of {server}", *reachable_at(host, listener.getsockname()[1])]
            )
        )
        runner = uvicorn.Server(uvicorn.Config(page, log_config=None, timeout_graceful_shutdown=3))
        runner.run(sockets=[listener])
    if not runner.started:
        raise typer.Exit(1)  # uvicorn has logged the reason
