"""What stands in the place of answers that are not believed, and how it is read. Pure."""

from ct_pipeline.verdicts.evidence import Reading
from ct_pipeline.verification.probe import Stage
from ct_pipeline.verification.reply_parser import no_reply
from ct_pipeline.vocabulary import About, Reason

# Of acceptances that prove nothing. Read by the rule of that name, as the next one.
IN_DOUBT_REPLY = no_reply(Stage.RCPT, "in doubt: the host accepts names that it has refused before")
IN_DOUBT = Reading(Reason.CANNOT_VERIFY, About.TEMPORARY, "accepts_what_it_refused")

# Of refusals in clear words that a host gives to everybody.
REFUSES_US_REPLY = no_reply(
    Stage.RCPT, "not believed: the host refuses even an address that it has just accepted, so it is us that it refuses"
)
REFUSES_US = Reading(Reason.PROBER_BLOCKED, About.US, "refuses_what_it_accepted")
