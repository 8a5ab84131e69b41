"""An application that starts when it is told to, and ends when YARN has room for it: `urgent.py NOTE`, a file."""

import sys
import time
from pathlib import Path

from pyspark.sql import SparkSession

if __name__ == "__main__":
    while not Path(sys.argv[1]).exists():
        time.sleep(0.05)
    SparkSession.builder.appName("urgent").getOrCreate().stop()
