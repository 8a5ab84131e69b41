"""What a scheduler calls every night: what is new is done, and told on one page."""
