"""Strings become comparable addresses, or the reason why not; role words and domain suggestions (pure)."""
