"""RFC 2920: what goes out in one group, how replies are paired with it, and what a broken group costs."""

from collections import deque
from datetime import UTC, datetime, timedelta

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.capabilities import Capabilities
from ct_pipeline.verification.dialogue import Dialogue
from ct_pipeline.verification.egress import Envelope
from ct_pipeline.verification.probe import DueAddress, ProbeKind
from ct_pipeline.verification.questions import Question
from ct_pipeline.verification.reply_parser import ReplyParser
from ct_pipeline.verification.session_script import RECIPIENTS_IN_GROUPS, SESSION_REFUSALS
from ct_pipeline.vocabulary import Reason
from ct_pipeline_tests.verification.asking import READER

NOW = datetime(2026, 11, 1, tzinfo=UTC)
MAIL_OK, OK, BYE = "250 2.1.0 Ok", "250 2.1.5 Ok", "221 2.0.0 Bye"


class Source:
    """A list of questions, all of which may be asked at any time."""

    def __init__(self, count: int) -> None:
        names = [f"user{number}@a.test" for number in range(count)]
        self.left = deque(Question(ProbeKind.MAILBOX, "a.test", n, DueAddress(1, n, "a.test", 0)) for n in names)

    def may_ask(self) -> bool:
        return True

    def next_question(self) -> Question | None:
        return self.left.popleft() if self.left else None

    def has_asked_all(self) -> bool:
        return not self.left

    def has_witness_due(self) -> bool:
        return False

    def receive(self, question: Question, reading: Reading) -> None: ...

    def put_back(self, question: Question) -> None:
        self.left.appendleft(question)

    def withdraw(self, question: Question, reading: Reading, *, ask_again: bool) -> None:
        if ask_again:
            self.put_back(question)

    def waiting(self) -> list[int]:
        return [int(question.address.removeprefix("user").partition("@")[0]) for question in self.left]


def pipelined(count: int, **options) -> tuple[Dialogue, Source]:
    source = Source(count)
    capabilities = Capabilities(("PIPELINING", "ENHANCEDSTATUSCODES"))
    options = {"session_addresses": 50, "window_limit": 20, **options}
    return Dialogue(source, READER.read, Envelope("prober.test", ""), capabilities, **options), source


def group(session: Dialogue, now: datetime = NOW) -> list[str]:
    """The verbs of the next group."""
    return [line.split(" ", 1)[0] for line in session.next_commands(now).decode().splitlines()]


def hear(session: Dialogue, *replies: str, now: datetime = NOW) -> None:
    for reply in replies:
        (raw,) = ReplyParser().feed(f"{reply}\r\n".encode())
        session.receive(raw, now)


def test_one_question_goes_with_the_first_mail_and_then_the_window_doubles():
    session, _ = pipelined(40)
    sizes = []
    while not session.is_over:
        verbs = group(session)
        sizes.append(verbs.count("RCPT"))
        hear(session, *(BYE if verb == "QUIT" else MAIL_OK if verb == "MAIL" else OK for verb in verbs))
    assert sizes == [1, 2, 4, 8, 16, 9], "one that left room tells nothing of a wider one"
    assert len(session.take_proven()) == 40


def test_quit_goes_out_with_the_last_questions():
    session, _ = pipelined(3)
    assert group(session) == ["MAIL", "RCPT"]
    hear(session, MAIL_OK, OK)
    assert group(session) == ["RCPT", "RCPT", "QUIT"]


def test_a_checkpoint_is_the_last_of_its_group():
    session, _ = pipelined(9, window=4)
    group(session)
    hear(session, MAIL_OK, OK)
    later = NOW + timedelta(seconds=0.5)
    assert group(session, later) == ["RCPT"] * 4 + ["NOOP"]
    hear(session, OK, OK, OK, OK, "250 2.0.0 Ok", now=later)
    assert len(session.take_proven()) == 5


def test_a_session_to_a_host_that_does_not_offer_it_sends_one_command_at_a_time():
    source = Source(3)
    session = Dialogue(source, READER.read, Envelope("prober.test", ""), Capabilities(()), 50, window_limit=20)
    assert group(session) == ["MAIL"]
    hear(session, "250 Ok")
    assert group(session) == ["RCPT"]


def test_what_was_said_with_a_refused_mail_is_asked_again_and_was_no_answer():
    session, source = pipelined(5)
    group(session)
    hear(session, "450 4.7.1 Error: too much mail from 192.0.2.1", "503 5.5.1 Error: need MAIL command")
    assert group(session) == ["QUIT"]
    assert session.refusal is not None
    assert session.refusal.reading.reason is Reason.RATE_LIMITED
    assert source.waiting() == [0, 1, 2, 3, 4]


def test_recipients_too_many_in_the_middle_of_a_group_go_into_the_next_transaction():
    session, source = pipelined(9, window=4)
    group(session)
    hear(session, MAIL_OK, OK)
    group(session)
    hear(session, OK, OK, "452 4.5.3 Too many recipients", "452 4.5.3 Too many recipients")
    assert session.recipients_per_transaction == 3
    assert source.waiting() == [3, 4, 5, 6, 7, 8], "in their order"
    assert group(session) == ["RSET", "MAIL", "RCPT"]
    hear(session, OK, MAIL_OK, OK)
    assert group(session) == ["RCPT", "RCPT", "RSET", "MAIL", "RCPT"]


def test_a_mail_refused_in_the_middle_of_a_session_costs_one_question():
    session, source = pipelined(9, window=4, recipients_per_transaction=3)
    group(session)
    hear(session, MAIL_OK, OK)
    assert group(session) == ["RCPT", "RCPT", "RSET", "MAIL", "RCPT"], "a full transaction, and one of the next"
    hear(session, OK, OK, OK, "450 4.7.1 Error: too much mail from 192.0.2.1", "503 5.5.1 Error: need MAIL command")
    assert group(session) == ["QUIT"]
    hear(session, BYE)
    assert len(session.take_proven()) == 3
    assert source.waiting() == [3, 4, 5, 6, 7, 8]


def test_a_block_in_the_middle_of_a_group_is_held_against_one_address_alone():
    session, source = pipelined(9, window=4)
    group(session)
    hear(session, MAIL_OK, OK)
    group(session)
    blocked = "554 5.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org"
    hear(session, OK, blocked, blocked, OK)
    assert group(session) == ["QUIT"]
    assert session.refusal is not None
    assert session.refusal.question.address == "user2@a.test"
    assert source.waiting() == [3, 5, 6, 7, 8]
    hear(session, BYE)
    assert len(session.take_proven()) == 4


def test_a_connection_lost_in_the_middle_of_a_group_leaves_the_unanswered_due_and_proves_nothing():
    session, source = pipelined(9)
    group(session)
    hear(session, MAIL_OK, OK)
    group(session)
    hear(session, OK, OK)
    session.lose("connection lost", NOW)
    assert session.take_proven() == []
    assert source.waiting() == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert not session.is_pipelining_broken


def test_silence_after_the_first_reply_of_a_group_is_a_word_against_pipelining_and_against_nobody():
    session, source = pipelined(5)
    group(session)
    hear(session, MAIL_OK)
    session.lose("no reply in time", NOW, is_timeout=True)
    assert session.is_pipelining_broken
    assert session.refusal is None
    assert source.waiting() == [0, 1, 2, 3, 4]


def test_a_reply_that_quotes_its_address_proves_all_before_it_and_one_that_quotes_another_disproves():
    session, source = pipelined(9)
    group(session)
    hear(session, MAIL_OK, OK)
    group(session)
    hear(session, OK, "550 5.1.1 <user2@a.test>: Recipient address rejected: User unknown")
    assert [answer.question.address for answer in session.take_proven()] == [f"user{n}@a.test" for n in (0, 1, 2)]
    hear(session, "550 5.1.1 <user2@a.test>: Recipient address rejected: User unknown")
    assert session.is_out_of_step
    assert session.take_proven() == []
    assert source.waiting() == [3, 4, 5, 6, 7, 8]


def test_a_session_ends_after_ten_refusals_and_never_risks_more_than_twenty():
    session, _ = pipelined(50)
    refused = 0
    while "QUIT" not in (verbs := group(session)):
        assert refused + verbs.count("RCPT") <= 20
        for verb in verbs:
            hear(session, MAIL_OK if verb == "MAIL" else "550 5.1.1 User unknown")
            refused += verb == "RCPT"
    assert SESSION_REFUSALS <= refused <= 20


def test_only_a_transaction_that_names_such_an_address_says_smtputf8():
    source = Source(1)
    for name in ("jürgen@a.test", "anna@a.test"):
        source.left.append(Question(ProbeKind.MAILBOX, "a.test", name, DueAddress(2, name, "a.test", 0)))
    capabilities = Capabilities(("SMTPUTF8",))
    session = Dialogue(source, READER.read, Envelope("prober.test", ""), capabilities, session_addresses=50)
    said = []
    while "QUIT" not in said:
        said.append(session.next_commands(NOW).decode().strip())
        hear(session, BYE if said[-1] == "QUIT" else OK)
    assert said == [
        "MAIL FROM:<>", "RCPT TO:<user0@a.test>", "RSET", "MAIL FROM:<> SMTPUTF8", "RCPT TO:<jürgen@a.test>",
        "RCPT TO:<anna@a.test>", "QUIT",
    ]  # fmt: skip


def test_a_transaction_in_groups_has_fewer_recipients_than_hosts_have_to_take():
    session, _ = pipelined(100, session_addresses=100)
    said: list[str] = []
    while session.rcpt_count <= RECIPIENTS_IN_GROUPS:
        verbs = group(session)
        for verb in verbs:
            hear(session, OK if verb == "RCPT" else MAIL_OK)
        said += verbs
    assert said[: said.index("RSET")].count("RCPT") == RECIPIENTS_IN_GROUPS
