"""What the servers and their clients read: Hadoop's configuration files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

HOST: Final = "127.0.0.1"
URGENT: Final = "urgent"
"""The second queue: each has a right to half of the cluster and may use all of it while the other does not want it."""


@dataclass(frozen=True)
class Ports:
    """Where servers listen that others have to find; the rest takes what is free."""

    hdfs: int
    hdfs_web: int
    yarn: int
    yarn_scheduler: int
    yarn_tracker: int
    yarn_admin: int
    yarn_web: int


def write_settings(folder: Path, ports: Ports, data: Path) -> None:
    """Write core-site.xml, hdfs-site.xml, yarn-site.xml, capacity-scheduler.xml and the servers' log4j2.properties.

    Args:
        folder: gets them; clients know it as `HADOOP_CONF_DIR`.
        ports: of the servers.
        data: holds all that the servers keep.
    """
    for name, settings in (
        ("core-site", _core(ports, data)),
        ("hdfs-site", _hdfs(ports, data)),
        ("yarn-site", _yarn(ports)),
        ("capacity-scheduler", _queues()),
    ):
        rows = "".join(
            f"  <property><name>{escape(key)}</name><value>{escape(value)}</value></property>\n"
            for key, value in settings.items()
        )
        (folder / f"{name}.xml").write_text(f'<?xml version="1.0"?>\n<configuration>\n{rows}</configuration>\n')
    (folder / "servers-log4j2.properties").write_text(
        "rootLogger.level = info\n"
        "rootLogger.appenderRef.out.ref = out\n"
        "appender.out.type = Console\n"
        "appender.out.name = out\n"
        "appender.out.target = SYSTEM_ERR\n"
        "appender.out.layout.type = PatternLayout\n"
        "appender.out.layout.pattern = %d{HH:mm:ss.SSS} %p %c{1}: %m%n%ex\n"
    )


def _core(ports: Ports, data: Path) -> Mapping[str, str]:
    return {
        "fs.defaultFS": f"hdfs://{HOST}:{ports.hdfs}",
        "hadoop.tmp.dir": str(data),
        # All start at once and wait for each other, in small steps.
        "ipc.client.connect.retry.interval": "200",
        "ipc.client.connect.max.retries": "150",
    }


def _hdfs(ports: Ports, data: Path) -> Mapping[str, str]:
    return {
        "dfs.namenode.http-address": f"{HOST}:{ports.hdfs_web}",
        "dfs.namenode.name.dir": f"{data}/names",
        "dfs.namenode.edits.noeditlogchannelflush": "true",  # no test takes the machine's power away
        "dfs.namenode.safemode.extension": "0",
        "dfs.datanode.data.dir": f"{data}/blocks",
        "dfs.datanode.address": f"{HOST}:0",
        "dfs.datanode.http.address": f"{HOST}:0",
        "dfs.datanode.ipc.address": f"{HOST}:0",
        "dfs.heartbeat.interval": "1",
        "dfs.replication": "1",
    }


def _yarn(ports: Ports) -> Mapping[str, str]:
    return {
        "yarn.resourcemanager.hostname": HOST,
        "yarn.resourcemanager.address": f"{HOST}:{ports.yarn}",
        "yarn.resourcemanager.scheduler.address": f"{HOST}:{ports.yarn_scheduler}",
        "yarn.resourcemanager.resource-tracker.address": f"{HOST}:{ports.yarn_tracker}",
        "yarn.resourcemanager.admin.address": f"{HOST}:{ports.yarn_admin}",
        "yarn.resourcemanager.webapp.address": f"{HOST}:{ports.yarn_web}",
        "yarn.resourcemanager.connect.retry-interval.ms": "500",
        "yarn.resourcemanager.connect.max-wait.ms": "60000",
        "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": "250",
        "yarn.nm.liveness-monitor.expiry-interval-ms": "10000",
        "yarn.scheduler.minimum-allocation-mb": "32",
        "yarn.scheduler.include-port-in-node-name": "true",  # several nodes on one machine
        "yarn.resourcemanager.scheduler.monitor.enable": "true",
        "yarn.resourcemanager.monitor.capacity.preemption.monitoring_interval": "1000",
        "yarn.resourcemanager.monitor.capacity.preemption.max_wait_before_kill": "1000",
        "yarn.resourcemanager.monitor.capacity.preemption.total_preemption_per_round": "1.0",
        "yarn.resourcemanager.monitor.capacity.preemption.natural_termination_factor": "1.0",
        "yarn.nodemanager.hostname": HOST,
        "yarn.nodemanager.address": f"{HOST}:0",
        "yarn.nodemanager.localizer.address": f"{HOST}:0",
        "yarn.nodemanager.webapp.address": f"{HOST}:0",
        # By default the node leaves containers to the system's own limits, which only root can set up. Without those it
        # looks itself, as most clusters do. Resident memory is what
        # containers get killed for; virtual memory says nothing about a JVM of today.
        "yarn.nodemanager.pmem-check-enabled": "true",
        "yarn.nodemanager.vmem-check-enabled": "false",
        "yarn.nodemanager.resource.memory.enforced": "false",
        "yarn.nodemanager.container-monitor.interval-ms": "500",
        "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "100",
        "yarn.log-aggregation-enable": "true",
        "yarn.nodemanager.remote-app-log-dir": "/logs",
    }


def _queues() -> Mapping[str, str]:
    root = "yarn.scheduler.capacity.root"
    settings = {
        "yarn.scheduler.capacity.maximum-am-resource-percent": "1.0",
        "yarn.scheduler.capacity.node-locality-delay": "-1",
        f"{root}.queues": f"default,{URGENT}",
    }
    for queue in ("default", URGENT):
        settings |= {
            f"{root}.{queue}.capacity": "50",
            f"{root}.{queue}.maximum-capacity": "100",
            f"{root}.{queue}.user-limit-factor": "100",  # one user may take all
        }
    return settings
