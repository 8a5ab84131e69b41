"""Real YARN and HDFS servers for tests; no part of the product."""
