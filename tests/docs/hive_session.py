"""Runs SQL in a Spark session with a Hive metastore of its own, in a process of its own.

Standard input: a JSON list of steps, each a statement, or a pair of paths to be moved. Standard output: the rows of
every query, as JSON, after a line that says so.
"""

import json
import os
import shutil
import sys
import tempfile

from pyspark.sql import SparkSession

from cluster.java import ensure_java

ANSWER = "rows of every query:"


def main(home: str) -> None:
    ensure_java()
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    settings = {
        "spark.ui.enabled": "false",
        "spark.sql.warehouse.dir": f"{home}/warehouse",
        "spark.sql.shuffle.partitions": "1",
        "spark.hadoop.javax.jdo.option.ConnectionURL": "jdbc:derby:memory:metastore;create=true",
        "spark.driver.extraJavaOptions": (
            f"-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dderby.stream.error.file={home}/derby.log"
        ),
    }
    builder = SparkSession.builder.master("local[1]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.enableHiveSupport().getOrCreate()
    rows = []
    for step in json.load(sys.stdin):
        if isinstance(step, list):
            shutil.move(*step)
        else:
            found = spark.sql(step)
            if found.columns:
                rows.append([list(row) for row in found.collect()])
    print(ANSWER)
    print(json.dumps(rows))
    spark.stop()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(folder)
