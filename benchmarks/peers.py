"""Other tilers, in an environment of their own, since their pins clash with ours.

    python -m benchmarks.peers          builds the environment

hs2p 6.1 (Apache-2.0) comes from PyPI with its OpenSlide and libvips readers; the libvips wheel brings its library.
TurboJPEG's library does not come by wheel: `apt-get install libturbojpeg0`, or the like.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

import click

from benchmarks.sessions import Session

LOCK = Path(__file__).with_name("peers.lock.txt")
DEFAULT_FOLDER = Path(__file__).parent.parent / ".venv-peers"
_PROBE = "import hs2p, pyvips, openslide, turbojpeg; turbojpeg.TurboJPEG()"


def peers_python(folder: Path) -> Path:
    """The interpreter of the peers' environment, which is built where it is missing or older than its lock.

    Args:
        folder: of the environment.

    Raises:
        ClickException: a package or a library is missing; says which.
    """
    python, stamp = folder / "bin" / "python", folder / "lock.sha256"
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        click.echo(f"building the peers' environment in {folder}")
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "-r", str(LOCK)])
        stamp.write_text(digest)
    found = subprocess.run([str(python), "-c", _PROBE], capture_output=True, text=True, check=False)
    if found.returncode:
        why = (found.stderr.strip().splitlines() or ["no message"])[-1]
        raise click.ClickException(f"hs2p cannot run here ({why}); TurboJPEG needs `apt-get install libturbojpeg0`")
    return python


def hs2p_session(python: Path, cores: int, work: Path) -> Session:
    """hs2p, ready for requests.

    Args:
        python: of the peers' environment.
        cores: it may use.
        work: its folder.
    """
    return Session([python, Path(__file__).with_name("hs2p_session.py")], cores, work)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"{' '.join(command)} failed:\n{done.stderr.strip()}")


@click.command()
@click.option("--peers", type=click.Path(path_type=Path), default=DEFAULT_FOLDER, show_default=True)
def main(peers: Path) -> None:
    """Build the environment and say where it is."""
    click.echo(peers_python(peers))


if __name__ == "__main__":
    main()
