"""The wording of the mail hosts' replies, read from reply_styles.toml."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

BASE_STYLE = "postfix"
REFUSES_EVERYBODY = "refused_without_reason"
_FILE = Path(__file__).with_name("reply_styles.toml")


class ReplyStyle:
    """The replies of one kind of mail server, by name."""

    def __init__(self, name: str, templates: Mapping[str, str]) -> None:
        self.name = name
        self._templates = templates

    def reply(self, name: str, **facts: str) -> tuple[int, tuple[str, ...]]:
        """Code and lines of the reply called ``name``, with its placeholders filled.

        Raises:
            KeyError: neither this style nor the base style has the reply, or a placeholder has no fact.
        """
        code, _, text = self._templates[name].strip().partition(" ")
        return int(code), tuple(text.format(**facts).split("\n"))

    def is_bare(self, name: str) -> bool:
        """Whether the reply called ``name`` is, word for word, what a host of this style says to refuse everybody."""
        return self._templates.get(name) == self._templates[REFUSES_EVERYBODY]


@cache
def reply_styles() -> Mapping[str, ReplyStyle]:
    """Every style by name; what a style does not word itself, it says like the base style."""
    tables: dict[str, dict[str, str]] = tomllib.loads(_FILE.read_text("utf-8"))
    base = tables[BASE_STYLE]
    return {name: ReplyStyle(name, base | table) for name, table in tables.items()}
