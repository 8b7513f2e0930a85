"""What a verdict depends on beside the evidence: today's rules, and the operator's choices."""

from datetime import timedelta
from typing import NamedTuple


class JudgingRules(NamedTuple):
    """``version`` names all of it, the lists and the reply rules behind the evidence included."""

    version: str
    is_role_safe: bool = False  # a role address is safe to send to, as far as everything else allows
    fresh_for: timedelta = timedelta(days=30)  # how long a definitive reply outweighs later undecided ones
