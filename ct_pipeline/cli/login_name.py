"""Who is at the keyboard: the name that an approval or an undo is kept under unless another is given."""

import getpass


def login_name() -> str:
    """Empty where the user has no name, as in many containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
