"""Profiles come in: contact files, and later the API's pulls."""
