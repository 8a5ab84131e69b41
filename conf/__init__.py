"""The recipes (YAML) as package data, so that the demo finds its own wherever it is installed."""
