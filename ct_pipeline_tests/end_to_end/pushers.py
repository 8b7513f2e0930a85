"""Pushes and undos as processes of their own, which can be killed; forked as verifiers are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ct_pipeline.errors import CtPipelineError, PushHeldError
from ct_pipeline.settings import Settings, load_settings
from ct_pipeline.stages.push import push
from ct_pipeline.stages.undo import undo_batch
from ct_pipeline.vocabulary import ChangeKind
from ct_pipeline_tests.end_to_end.verifiers import Verifiers, serve, to_json


@dataclass(frozen=True)
class PushOutcome:
    """What a push or an undo that was not killed came to."""

    sent_count: int
    stopped_because: str
    error: str  # class of the error it ended with; empty when it returned a summary
    text: str


class Pushers(Verifiers):
    """The forking process, for the length of a block."""

    module = "ct_pipeline_tests.end_to_end.pushers"

    def start_push(
        self,
        name: str,
        settings: Settings,
        *,
        kinds: Sequence[ChangeKind] = tuple(ChangeKind),
        undo: int | None = None,
        until_free: bool = True,
    ) -> None:
        """Start pushing, or undoing batch ``undo``; as soon as nobody else does, with ``until_free``."""
        request = {"do": "start", "name": name, "kinds": list(kinds), "undo": undo, "until_free": until_free}
        self._say({**request, "settings": to_json(settings)})

    def push_outcome(self, name: str) -> PushOutcome:
        """Wait for its end."""
        return PushOutcome(**self._say({"do": "wait", "name": name}))


def _work(request: dict[str, Any]) -> dict[str, Any]:
    settings = load_settings(**request["settings"])
    while True:
        try:
            if request["undo"] is None:
                summary = push(settings, kinds=[ChangeKind(kind) for kind in request["kinds"]])
                return _outcome(summary.sent_count, summary.stopped_because)
            undone = undo_batch(settings, request["undo"])
            return _outcome(undone.restored_count, undone.stopped_because)
        except PushHeldError as error:
            if not request["until_free"]:
                return _outcome(error=error)
        except CtPipelineError as error:
            return _outcome(error=error)


def _outcome(sent_count: int = 0, stopped_because: str = "", error: CtPipelineError | None = None) -> dict[str, Any]:
    return {
        "sent_count": sent_count,
        "stopped_because": stopped_because,
        "error": type(error).__name__ if error else "",
        "text": str(error) if error else "",
    }


if __name__ == "__main__":
    serve(_work)
