"""What tests submit to YARN."""
