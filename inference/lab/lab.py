"""`histospark lab`: a run in the browser."""

import ipaddress
import secrets
import socket
from typing import Final

import click

from cluster.errors import ExitCode, JobError, UsageError

_SHORTEST_TOKEN: Final = 16
_TOKEN_BYTES: Final = 24
_CONNECTIONS: Final = 256


@click.command()
@click.option("--run", "run", required=True, help="Output folder of infer (URI).")
@click.option("--slides", default=None, help="Folder, glob or manifest of slides that have moved since.")
@click.option("--model-id", default=None, help="Which model's results, where RUN holds those of several.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen at; beyond this machine, a token is asked for.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8321, show_default=True, help="0 takes a free one.")
@click.option(
    "--token",
    envvar="HISTOSPARK_LAB_TOKEN",
    default=None,
    help="Secret of those who may look; default: none on this machine alone, else a new one. "
    "Better by HISTOSPARK_LAB_TOKEN, as others may list command lines.",
)
def lab(run: str, slides: str | None, model_id: str | None, host: str, port: int, token: str | None) -> ExitCode:
    """Look at a run in the browser: slides, heatmaps, lesions. Ends with Ctrl-C."""
    try:
        import uvicorn  # noqa: PLC0415

        from inference.lab.app import THIS_MACHINE, lab_app  # noqa: PLC0415
        from inference.lab.run_view import RunView  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UsageError(f"the lab needs {error.name}; pip install 'histospark[infer,lab]'") from error
    is_local = is_this_machine(host)
    secret = token_of(token, is_local)
    view = RunView(run, slides, model_id)
    slides_there = len(view.rows.now())  # before the link is told, so that the first view is quick
    with listening(host, port) as place:
        config = uvicorn.Config(
            lab_app(view, secret, THIS_MACHINE if is_local else ("*",)),
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
        click.echo(f"{slides_there} slides of {view.uri}, model {view.model_id}")
        click.echo(f"open {link(host, place.getsockname()[1], secret)} (Ctrl-C ends the lab)")
        try:
            uvicorn.Server(config).run(sockets=[place])
        except KeyboardInterrupt:
            click.echo("the lab is closed", err=True)
    return ExitCode.GOOD


def is_this_machine(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def token_of(given: str | None, is_local: bool) -> str | None:
    """The token that is asked for; None where nobody else reaches the port and none was wanted.

    Raises:
        UsageError: it is too short, or no cookie can hold it.
    """
    if given is None:
        return None if is_local else secrets.token_urlsafe(_TOKEN_BYTES)
    if len(given) < _SHORTEST_TOKEN or not all(sign.isascii() and (sign.isalnum() or sign in "-_.~") for sign in given):
        raise UsageError(
            f"a token has {_SHORTEST_TOKEN} signs or more out of A-Z a-z 0-9 - _ . ~; leave --token out for a new one"
        )
    return given


def listening(host: str, port: int) -> socket.socket:
    """A socket at an address.

    Raises:
        UsageError: no such address here.
        JobError: the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise UsageError(f"--host {host} is no address: {error.strerror}") from error
    place = socket.socket(family, kind, protocol)  # asyncio sends without delay (Nagle) only where TCP is named
    try:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(address)
        place.listen()  # from here on a browser waits, where the server is not yet ready
    except OSError as error:
        place.close()
        raise JobError(
            f"cannot listen at {host}:{port}: {error.strerror}; choose another by --port or --host"
        ) from error
    return place


def link(host: str, port: int, token: str | None) -> str:
    """What a person opens."""
    everywhere = host in {"0.0.0.0", "::", ""}
    name = socket.gethostname() if everywhere else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/" + ("" if token is None else f"?token={token}")
