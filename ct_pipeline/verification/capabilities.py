"""What a host said in its EHLO reply. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from ct_pipeline.verification.reply_parser import RawReply


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The lines of the EHLO reply after the greeting line, stripped and upper-cased; none after HELO."""

    lines: tuple[str, ...] = ()

    @classmethod
    def of_lines(cls, lines: Iterable[str]) -> "Capabilities":
        """From all (cleaned) lines of an EHLO reply, the greeting line included."""
        return cls(tuple(line.strip().upper() for line in lines)[1:])

    def has(self, keyword: str) -> bool:
        return keyword in self.lines or any(line.startswith(f"{keyword} ") for line in self.lines)

    def are_repeated_by(self, raw: RawReply) -> bool:
        """Whether ``raw`` can only be an EHLO reply of this host: it lists the very same extensions."""
        if raw.code != 250 or not self.lines or len(raw.lines) != len(self.lines) + 1:
            return False
        return Capabilities.of_lines(raw.lines) == self
