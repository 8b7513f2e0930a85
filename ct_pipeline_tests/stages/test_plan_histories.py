"""Plans of any history: they converge, do nothing twice, and send nothing that the last verdict does not ask for."""

import itertools
from datetime import timedelta

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ct_pipeline.settings import Settings
from ct_pipeline.stages.plan import approve, make_plan
from ct_pipeline.storage.ledger import open_ledger
from ct_pipeline.vocabulary import BatchState
from ct_pipeline_tests.stages.planning import DAY, World

numbers = itertools.count(1)
PEOPLE = range(6)
REASONS = ["mailbox_not_found", "mailbox_disabled", "domain_not_found", "accepted", "greylisted", "not_asked_yet", None]

people = st.sampled_from(PEOPLE)
actions = st.one_of(
    st.tuples(st.just("judge"), people, st.sampled_from(REASONS)),
    st.tuples(st.just("respell"), people, st.sampled_from(["{}@s.test", "{}@S.test", "new{}@s.test", None])),
    st.tuples(st.just("share"), people, people),
    st.tuples(st.just("opt"), people, st.booleans()),
    st.tuples(st.just("plan"), st.just(0), st.just(0)),
    st.tuples(st.just("push"), st.just(0), st.just(0)),
    st.tuples(st.just("approve"), st.just(0), st.just(0)),
    st.tuples(st.just("undo"), st.just(0), st.just(0)),
)


class Story:
    """A project to which things happen; ``emails`` are what its people hold."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.settings = world.with_settings(
            unsubscribe_share_limit=0.5, append_columns="status,reason,verified_at,is_free"
        )
        self.emails: dict[int, str | None] = {person: f"{world.project}.{person}@s.test".lower() for person in PEOPLE}
        self.minutes = 0
        for person in PEOPLE:
            world.person(self.emails[person], "mailbox_not_found" if person % 2 else "accepted", identity=str(person))

    def act(self, what: str, person: int, how: object) -> None:
        if what == "judge" and (email := self.emails[person]) and how is not None:
            self.world.judge_again(email.lower(), str(how), verified_at=self.world.now - DAY + self._later())
        elif what == "respell":
            self._hold(person, how.format(f"{self.world.project}.{person}") if isinstance(how, str) else None)
        elif what == "share" and isinstance(how, int):
            self._hold(person, self.emails[how])
        elif what == "opt" and (email := self.emails[person]):
            at = self.world.now - 30 * DAY + self._later()
            self.world.event(email.lower(), happened_at=at, identity=str(person), is_resubscribe=bool(how))
        elif what == "plan":
            make_plan(self.settings)
        elif what == "push":
            make_plan(self.settings)
            self.check_sendable()
            self.world.push()
        elif what == "approve":
            held = [batch_id for batch_id, _, _ in self.world.batches(BatchState.HELD)]
            if held:
                approve(self.settings, held, "Ann", "looked at it")
        elif what == "undo":
            self._undo_last()

    def _hold(self, person: int, email: str | None) -> None:
        self.emails[person] = email
        self.world.person(email, identity=str(person))

    def _later(self) -> timedelta:
        self.minutes += 1
        return timedelta(minutes=self.minutes)

    def _undo_last(self) -> None:
        row = self.world.conn.execute(
            """
            select max(b.batch_id) from ledger.batches b
            where project = %s and undoes_batch_id is null and state = 'done'
                  and not exists (select from ledger.batches u where u.undoes_batch_id = b.batch_id)
                  and exists (select from ledger.changes join ledger.receipts using (change_id)
                              where batch_id = b.batch_id and outcome = 'processed')
            """,
            (self.world.project,),
        ).fetchone()
        if row is not None and row[0] is not None:
            self.world.undo(row[0])

    def check_sendable(self) -> None:
        """Every unsubscribe that a push would send now rests on the last verdict and on a spelling that is held."""
        wrong = self.world.conn.execute(
            """
            select c.raw_email, c.reason, v.reason
            from ledger.changes c join ledger.batches b using (batch_id) left join ledger.receipts r using (change_id)
            left join ledger.verdicts v on v.address_id = c.address_id
            where c.project = %s and c.kind = 'unsubscribe' and r.change_id is null and b.state <> 'held'
                  and not (v.status = 'invalid' and v.bounce_type = 'hard' and v.reason = c.reason and exists (
                      select from ledger.profiles p where p.project = c.project and p.raw_email = c.raw_email
                      and p.address_id = c.address_id))
            """,
            (self.world.project,),
        ).fetchall()
        assert wrong == []

    def check_nothing_twice(self) -> None:
        rows = self.world.conn.execute(
            """
            select raw_email, array_agg(kind order by change_id)
            from ledger.changes join ledger.receipts using (change_id)
            where project = %s and kind in ('unsubscribe', 'resubscribe') and outcome = 'processed' group by raw_email
            """,
            (self.world.project,),
        ).fetchall()
        for email, kinds in rows:
            assert all(one != other for one, other in itertools.pairwise(kinds)), (email, kinds)


@hypothesis_settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(actions, max_size=12))
def test_any_history_converges(settings_for_tests: Settings, happenings: list[tuple[str, int, object]]) -> None:
    with open_ledger(settings_for_tests) as conn:
        story = Story(World(conn, settings_for_tests, f"STORY-{next(numbers)}"))
        for happening in happenings:
            story.act(*happening)
        story.act("plan", 0, 0)
        again = make_plan(story.settings)
        assert (again.batches, again.withdrawn_count) == ([], 0), "a plan after a plan creates nothing"
        story.act("approve", 0, 0)
        story.check_sendable()
        story.world.push()
        applied = make_plan(story.settings)
        assert (applied.unsubscribe_count, applied.property_change_count) == (0, 0), "what was applied is owed no more"
        story.check_nothing_twice()
