"""Decisions go back: verified list files, and later the writes to CleverTap."""
