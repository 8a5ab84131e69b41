"""Real HDFS and YARN on this machine: name node, data node, resource manager and node managers, each its own process.

All listen on 127.0.0.1 only. The first start fetches 51 MB from Maven Central.
"""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, Self

import pytest

from cluster.java import ensure_java
from tests.cluster.daemon import Daemon
from tests.cluster.hadoop.jars import NoWayThereError, server_jars
from tests.cluster.hadoop.settings import HOST, Ports, write_settings
from tests.cluster.standalone import free_port

_NAME_NODE: Final = "org.apache.hadoop.hdfs.server.namenode.NameNode"
_DATA_NODE: Final = "org.apache.hadoop.hdfs.server.datanode.DataNode"
_RESOURCE_MANAGER: Final = "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager"
_NODE_MANAGER: Final = "org.apache.hadoop.yarn.server.nodemanager.NodeManager"
_STARTS_WITHIN: Final = 300.0  # seconds
_TURNS: Final = 3  # of starting, where somebody else takes a port meanwhile
_JAVA_OPTIONS: Final = (
    "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:-UsePerfData",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
)  # fmt: skip


class Hadoop:
    """HDFS and YARN, from entering it to leaving it; nothing of it survives that, or this process.

    Args:
        folder: for settings, logs and data.
        nodes: node managers started with it; `add_node` starts more.
        cores: of each node, by which YARN counts; the machine may have fewer.
        memory_mb: of each node.

    Attributes:
        uri: of HDFS, without a path.
        web: page of the resource manager.
        conf_dir: settings for clients.
        environment: for clients, in addition to their own.
        nodes: all node managers that were ever started, dead ones included.
    """

    def __init__(self, folder: Path, nodes: int = 2, cores: int = 4, memory_mb: int = 4096) -> None:
        self.folder = folder
        self.nodes: list[Daemon] = []
        self._wanted, self._cores, self._memory_mb = nodes, cores, memory_mb
        self.conf_dir = folder / "conf"
        self.environment = {"HADOOP_CONF_DIR": str(self.conf_dir)}
        self._daemons: list[Daemon] = []

    def __enter__(self) -> Self:
        ensure_java()
        self._java_home = Path(os.environ.get("JAVA_HOME") or Path(shutil.which("java") or "").resolve().parent.parent)
        self._class_path = os.pathsep.join(map(str, [self.conf_dir, *server_jars()]))
        for turn in range(_TURNS):
            try:
                self._start_all()
                break
            except BaseException as error:
                self.close()
                if turn + 1 == _TURNS or "Address already in use" not in str(error):
                    raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start_all(self) -> None:
        """Start on ports that nobody uses; somebody may take one before its server does."""
        ports: set[int] = set()
        while len(ports) < len(fields(Ports)):
            ports.add(free_port())
        self._ports = Ports(*ports)
        self.uri = f"hdfs://{HOST}:{self._ports.hdfs}"
        self.web = f"http://{HOST}:{self._ports.yarn_web}"
        self.nodes.clear()
        self._daemons.clear()
        for name in ("conf", "data", "tmp"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir(parents=True)
        write_settings(self.conf_dir, self._ports, self.folder / "data")
        self.resource_manager = self._start("resource-manager", _RESOURCE_MANAGER)
        for _ in range(self._wanted):
            self.add_node()
        self.tool(_NAME_NODE, "-format", "-nonInteractive").check_returncode()
        self.name_node = self._start("name-node", _NAME_NODE)
        self.data_node = self._start("data-node", _DATA_NODE)
        self._wait("the data node", lambda: self._hdfs_state()["NumLiveDataNodes"] == 1)
        self.wait_for_nodes(self._wanted)

    def add_node(self) -> Daemon:
        """Start one more node manager; `wait_for_nodes` says when it has joined."""
        number = len(self.nodes)
        place = self.node_folder(number)
        settings = {
            "yarn.nodemanager.local-dirs": place / "local",
            "yarn.nodemanager.log-dirs": place / "logs",
            "yarn.nodemanager.resource.memory-mb": self._memory_mb,
            "yarn.nodemanager.resource.cpu-vcores": self._cores,
        }
        arguments = [word for key, value in settings.items() for word in ("-D", f"{key}={value}")]
        self.nodes.append(self._start(f"node-manager-{number}", _NODE_MANAGER, *arguments))
        return self.nodes[-1]

    def node_folder(self, number: int) -> Path:
        """Where a node keeps its containers' files, below `local` and `logs`."""
        return self.folder / f"node-{number}"

    def wait_for_nodes(self, count: int) -> None:
        """Until that many node managers are active by the resource manager's word."""
        self._wait(f"{count} nodes", lambda: self.yarn("metrics")["activeNodes"] == count)

    def yarn(self, path: str) -> Any:
        """What the resource manager says in JSON.

        Args:
            path: behind `/ws/v1/cluster/`, such as `apps` or `nodes`.
        """
        return _json(f"{self.web}/ws/v1/cluster/{path}")

    def tool(self, main_class: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
        """Run one of Hadoop's own programs, as its shell scripts would."""
        return subprocess.run(
            [*self._command(main_class), *map(str, arguments)], capture_output=True, text=True, check=False,
            env=self._their_environment(), cwd=self.folder,
        )  # fmt: skip

    def logs(self, application: str) -> str:
        """All containers' logs of an application that has ended, from where HDFS collects them (`yarn logs`)."""
        return self.tool("org.apache.hadoop.yarn.client.cli.LogsCLI", "-applicationId", application).stdout

    def close(self) -> None:
        """End all."""
        for daemon in reversed(self._daemons):  # who asks before who answers
            daemon.power_off()

    def _start(self, name: str, main_class: str, *arguments: str) -> Daemon:
        command = [*self._command(main_class), *arguments]
        self._daemons.append(Daemon(name, command, self.folder / f"{name}.log", self._their_environment()))
        return self._daemons[-1]

    def _command(self, main_class: str) -> list[str]:
        here = (
            f"-Djava.io.tmpdir={self.folder / 'tmp'}",
            f"-Dlog4j2.configurationFile={self.conf_dir / 'servers-log4j2.properties'}",
        )
        return [str(self._java_home / "bin" / "java"), *_JAVA_OPTIONS, *here, "-cp", self._class_path, main_class]

    def _their_environment(self) -> dict[str, str]:
        # A cluster knows nothing of the Python that pytest runs in.
        theirs = {key: os.environ[key] for key in ("HOME", "LANG", "USER", "TZ") if key in os.environ}
        return theirs | self.environment | {"JAVA_HOME": str(self._java_home), "PATH": os.defpath}

    def _hdfs_state(self) -> Any:
        bean = "Hadoop:service=NameNode,name=FSNamesystemState"
        return _json(f"http://{HOST}:{self._ports.hdfs_web}/jmx?qry={bean}")["beans"][0]

    def _wait(self, what: str, is_there: Callable[[], bool]) -> None:
        alive = [daemon for daemon in self._daemons if daemon.is_alive()]
        deadline = time.monotonic() + _STARTS_WITHIN
        while time.monotonic() < deadline:
            with suppress(OSError, LookupError):  # it does not listen yet, or knows nothing
                if is_there():
                    return
            for daemon in alive:
                if not daemon.is_alive():
                    raise RuntimeError(f"{daemon.name} ended: {daemon.log.read_text()[-3000:]}")
            time.sleep(0.1)
        raise TimeoutError(f"{what} did not come up: see the logs in {self.folder}")


def _json(url: str) -> Any:
    request = urllib.request.Request(url, headers={"Accept": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as page:
        return json.load(page)


@pytest.fixture(scope="session")
def hadoop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hadoop]:
    """HDFS and YARN with two nodes; a test leaves them as they were."""
    try:
        servers = Hadoop(tmp_path_factory.mktemp("hadoop"))
        with servers:
            yield servers
    except NoWayThereError as error:
        pytest.skip(f"no real YARN and HDFS here: {error}")
