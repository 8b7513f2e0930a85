"""ct_pipeline keeps the email list of a CleverTap account clean."""

__version__ = "0.1.0"
