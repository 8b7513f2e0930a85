"""What can be found out of an address, by itself and on a list."""

from collections.abc import Sequence

import pytest

from ct_pipeline.sandbox.behaviours import Decidable, MailboxBehaviour
from ct_pipeline.sandbox.grading import Grade, grade, is_dead
from ct_pipeline.sandbox.internet import sandbox_mailboxes
from ct_pipeline.sandbox.people import people
from ct_pipeline.sandbox.population import Mailbox, MailDomain, MailHost
from ct_pipeline.sandbox.reply_styles import reply_styles
from ct_pipeline.sandbox.truth import tell_truth, truth_on_list
from ct_pipeline.vocabulary import Reason, Status

NOW = 1_790_000_000
INVALID = (Status.INVALID, Reason.MAILBOX_NOT_FOUND, Decidable.YES)
OPEN = (Status.UNKNOWN, Reason.UNCLEAR_REPLY, Decidable.NO)


def told(
    address: str, behaviour: MailboxBehaviour = MailboxBehaviour.EXISTS, style: str = "terse", host: str = "normal"
) -> Mailbox:
    domain = address.partition("@")[2]
    return tell_truth(address, behaviour, MailDomain(domain), [MailHost(f"mx.{domain}", host, style, "127.77.1.1")])


GONE = told("gone@terse.test", MailboxBehaviour.MISSING)
ANNA = told("anna@terse.test")
FULL = told("full@terse.test", MailboxBehaviour.FULL)
BERT = told("bert@other-terse.test")
WORDY = told("gone@wordy.test", MailboxBehaviour.MISSING, "postfix")


def on_list(*mailboxes: Mailbox, listed: Sequence[Mailbox] | None = None) -> dict[str, Mailbox]:
    addresses = {mailbox.address for mailbox in (mailboxes if listed is None else listed)}
    return {mailbox.address: mailbox for mailbox in truth_on_list(mailboxes, addresses)}


def test_only_a_dead_name_refused_in_the_words_of_who_refuses_everybody_needs_a_neighbour() -> None:
    for style in reply_styles():
        for behaviour in MailboxBehaviour:
            needs = told("x@x.test", behaviour, style).decidable is Decidable.BESIDE_NEIGHBOUR
            assert needs == (style == "terse" and behaviour is MailboxBehaviour.MISSING), (style, behaviour)
    assert told("x@x.test", MailboxBehaviour.MISSING, host="greylists").decidable is Decidable.BESIDE_NEIGHBOUR
    assert told("x@x.test", MailboxBehaviour.MISSING, host="refuses_everyone").decidable is Decidable.NO
    assert told("x@x.test", MailboxBehaviour.MISSING, host="blocks_at_connect").decidable is Decidable.NO


def test_the_host_that_answers_is_the_one_whose_words_count() -> None:
    down = MailHost("mx1.x.test", "dead", "terse", "127.77.1.1")
    up = MailHost("mx2.x.test", "normal", "postfix", "127.77.1.2")
    truth = tell_truth("x@x.test", MailboxBehaviour.MISSING, MailDomain("x.test"), [down, up])
    assert truth.decidable is Decidable.YES


@pytest.mark.parametrize(
    ("everyone", "listed", "expected"),
    [
        ([GONE, ANNA], [GONE, ANNA], INVALID),
        ([GONE], [GONE], OPEN),
        ([GONE, ANNA], [GONE], OPEN),  # she lives there, and nobody asks about her
        ([GONE, BERT], [GONE, BERT], OPEN),  # another company: its host may refuse us no less
        ([GONE, FULL], [GONE, FULL], OPEN),  # nobody was accepted
        ([GONE, told("late@terse.test", MailboxBehaviour.MISSING)], [GONE], OPEN),
    ],
)
def test_a_bare_refusal_is_believed_only_beside_a_living_neighbour_on_the_list(everyone, listed, expected) -> None:
    gone = on_list(*everyone, listed=listed)[GONE.address]
    assert (gone.truth_status, gone.truth_reason, gone.decidable) == expected


def test_a_list_changes_nobody_else() -> None:
    others = [ANNA, FULL, BERT, WORDY, told("x@none.test", host="refuses_everyone")]
    assert list(on_list(GONE, *others, listed=[]).values())[1:] == others


def test_who_claims_what_the_list_leaves_open_is_wrong() -> None:
    alone, beside = on_list(GONE)[GONE.address], on_list(GONE, ANNA)[GONE.address]
    assert grade(alone, "unknown", "unclear_reply") is Grade.UNDECIDABLE
    assert grade(alone, "invalid", "mailbox_not_found") is Grade.WRONG
    assert not is_dead(alone), "nobody may be unsubscribed for it"
    assert grade(beside, "unknown", "unclear_reply") is Grade.WRONG
    assert grade(beside, "invalid", "mailbox_not_found") is Grade.RIGHT
    assert is_dead(beside)


@pytest.mark.parametrize("profile_count", [3000, 5000])
def test_the_lists_of_the_demo_hold_both_kinds(profile_count) -> None:
    mailboxes = sandbox_mailboxes(profile_count)
    listed = {profile.mailbox for profile in people(mailboxes, profile_count, NOW) if profile.mailbox}
    bare = {mailbox.address for mailbox in mailboxes if mailbox.decidable is Decidable.BESIDE_NEIGHBOUR} & listed
    truths = {mailbox.address: mailbox.decidable for mailbox in truth_on_list(mailboxes, listed)}
    assert Decidable.BESIDE_NEIGHBOUR not in truths.values()
    assert sum(truths[address] is Decidable.NO for address in bare) >= 2
    assert sum(truths[address] is Decidable.YES for address in bare) >= 2
