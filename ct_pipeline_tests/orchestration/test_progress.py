"""How a long step tells that it is alive."""

import dagster as dg

from ct_pipeline.orchestration.progress import Progress


def test_lines_are_rare_and_made_up_only_when_due() -> None:
    made_up: list[str] = []

    def words() -> str:
        made_up.append("far")
        return "far"

    @dg.asset
    def long_step(context: dg.AssetExecutionContext) -> None:
        often, rare = Progress(context, every_seconds=0), Progress(context)
        for _ in range(3):
            often.say(words)
            rare.say(words)

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([long_step], instance=instance)
        lines = [event for event in instance.all_logs(result.run_id) if event.user_message == "far"]
    assert len(lines) == len(made_up) == 3
