"""`python -m tests.cluster.hadoop up`: YARN and HDFS for trying things out, until Ctrl-C."""

import argparse
import signal
import tempfile
import time
from pathlib import Path

from tests.cluster.hadoop.servers import Hadoop


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.hadoop", description=__doc__)
    parser.add_argument("command", choices=["up"])
    parser.add_argument("--nodes", type=int, default=2, help="node managers (default: 2)")
    parser.add_argument("--cores", type=int, default=4, help="of each node (default: 4)")
    parser.add_argument("--memory", type=int, default=4096, metavar="MB", help="of each node (default: 4096)")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="histospark-hadoop-", ignore_cleanup_errors=True) as folder:
        try:
            with Hadoop(Path(folder), wanted.nodes, wanted.cores, wanted.memory) as servers:
                for name, value in servers.environment.items():
                    print(f"export {name}={value}")
                print(
                    f"# {servers.uri} and {servers.web} are up after {time.monotonic() - started:.0f} s; Ctrl-C ends it"
                )
                print(f"# logs: {folder}", flush=True)
                signal.pause()
        except KeyboardInterrupt:
            print("# ended")


if __name__ == "__main__":
    main()
