"""Dagster: what it shows, when it runs which stage, and the processes that serve it."""
