"""`python -m tests.cluster.hadoop.container_memory … JOB`: how much overhead an executor needs before YARN kills it.

    python -m tests.cluster.hadoop.container_memory --cores 1 --cores 2 tile --conf RECIPE --slides SLIDES

A job runs again and again on real node managers, in one executor whose overhead is halved in on: more where its
container was killed, less where it lasted. The heap is touched as a whole at the start, so that what is found
holds for a heap in full use. Node managers look every half second here, by default every three: they see more peaks.
"""

import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click

from tests.cluster.hadoop.servers import Hadoop
from tests.cluster.hadoop.submitting import SMALL, spark_submit
from tests.conftest import ROOT

_KILLED: Final = "Container killed by YARN for exceeding physical memory limits"
_NODE_MB: Final = 16384  # by which YARN counts; taken is what the job takes
_USED: Final = re.compile(r"Resource usage of ProcessTree .*? ([\d.]+) (MB|GB) of [\d.]+ .B physical memory used")
_MONITOR: Final = "org.apache.hadoop.yarn.server.nodemanager.containermanager.monitor.ContainersMonitorImpl"
_AUDIT: Final = f"logger.audit.name = {_MONITOR}.audit\nlogger.audit.level = debug\n"
_JOBS: Final = {"tile": ROOT / "preprocessing" / "job.py", "infer": ROOT / "inference" / "job.py"}


@dataclass
class Search:
    """Where the overhead of an executor has to lie, MB.

    Attributes:
        killed: the most that was too little.
        lasted: the least that was enough.
        peaks: what the node manager saw the container take in runs that lasted, MB.
    """

    killed: int
    lasted: int
    peaks: list[float] = field(default_factory=list)


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--cores", multiple=True, type=int, default=(1, 2), help="of the executor, as often as wanted")
@click.option("--heap", default=1024, metavar="MB", help="of the executor (default: 1024)")
@click.option("--between", nargs=2, type=int, default=(0, 4096), metavar="MB MB", help="too little, and enough")
@click.option("--to", default=64, metavar="MB", help="how exactly (default: 64)")
@click.argument("job", type=click.Choice(sorted(_JOBS)))
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def main(
    cores: tuple[int, ...], heap: int, between: tuple[int, int], to: int, job: str, words: tuple[str, ...]
) -> None:
    """Print the overhead that JOB, with its own options but --out, needs for each number of cores."""
    with tempfile.TemporaryDirectory(prefix="histospark-memory-") as folder:
        servers = Hadoop(Path(folder) / "servers", nodes=0, cores=16, memory_mb=_NODE_MB)
        with servers:
            with (servers.conf_dir / "servers-log4j2.properties").open("a") as settings:
                settings.write(_AUDIT)
            servers.add_node()
            servers.wait_for_nodes(1)
            for count in cores:
                search = Search(*between)
                while search.lasted - search.killed > to:
                    _try(servers, Path(folder) / "out", (job, *words), count, heap, search)
                click.echo(
                    f"{job}, {count} cores, heap {heap} MB: killed with an overhead of {search.killed} MB, not with "
                    f"{search.lasted} MB; the container took {max(search.peaks, default=0):.0f} MB"
                )


def _try(servers: Hadoop, out: Path, words: tuple[str, ...], cores: int, heap: int, search: Search) -> None:
    """Run the job once with an overhead in the middle, and note how it went."""
    overhead = (search.killed + search.lasted) // 2 // 32 * 32  # YARN rounds up to its steps
    settings = {
        **SMALL, "spark.executor.cores": str(cores), "spark.executor.memory": f"{heap}m",
        "spark.executor.memoryOverhead": f"{overhead}m",
        "spark.executor.extraJavaOptions": f"-Xms{heap}m -XX:+AlwaysPreTouch",
    }  # fmt: skip
    shutil.rmtree(out, ignore_errors=True)
    log = servers.nodes[0].log
    seen = log.stat().st_size
    job = spark_submit(servers, _JOBS[words[0]], *words[1:], "--out", out, settings=settings)
    assert job.stdout is not None
    said, was_killed = [], False
    for line in job.stdout:
        said.append(line)
        if _KILLED in line:
            was_killed = True
            job.terminate()
            break
    job.stdout.close()
    code = job.wait()
    if was_killed:
        search.killed = overhead
    elif code == 0:
        search.lasted = overhead
        with log.open(errors="replace") as lines:
            lines.seek(seen)
            found = _USED.findall(lines.read())
        search.peaks.append(max(float(number) * (1024 if unit == "GB" else 1) for number, unit in found))
    else:
        raise click.ClickException("the job ended with " + f"{code}: {''.join(said)[-3000:]}")
    click.echo(f"  {cores} cores, overhead {overhead} MB: {'killed' if was_killed else f'{search.peaks[-1]:.0f} MB'}")


if __name__ == "__main__":
    main()
