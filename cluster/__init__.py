"""What runs the jobs: Spark session, Java, storage, progress, the way a command ends."""
