"""The judge's rules in plain words, for someone who asks why a verdict is what it is. Pure.

A verdict's ``rule`` is the judge's rule, and behind a stroke the rule by which the reply was read:
``mailbox_refused/user_unknown``.
"""

_UNNAMED = "a rule of another version decided; judged anew, it is explained here"

_FORBIDDEN = "the provider forbids asking about addresses; CT_PROBE_FORBIDDEN=true asks all the same"
_LENT = "/lent/"
_SHARED = "; it was given to a whole session, so it is no word on one mailbox, whatever it says"

_WORDS = {
    "syntax": "the text is no email address, so nobody had to be asked",
    "allow_list_address": "the operator's allow list names the address: that goes before everything else",
    "allow_list_domain": "the operator's allow list covers its domain: that goes before everything else",
    "block_list_address": "the operator's block list names the address: that goes before everything else",
    "block_list_domain": "the operator's block list covers its domain: that goes before everything else",
    "domain_takes_no_mail": "DNS says that the domain takes no mail, so no mail host had to be asked",
    "domain_not_looked_up": "DNS did not say how the domain takes mail, so no mail host could be asked",
    "not_asked_yet": "no reply about this address is on record, and its domain does not answer for it",
    "not_to_be_asked": "nothing that this provider's hosts would answer says anything of a mailbox",
    "mailbox_accepted": "its host accepts the address, and is known not to accept just any name of the domain",
    "acceptance_without_2xx": "the reply was read as acceptance, but its code does not bear that out",
    "catch_all_not_known": "its host accepts the address, but may accept any name: no made-up one was refused yet",
    "domain_accepts_every_name": "its domain has accepted a made-up name, so an acceptance proves nothing",
    "mailbox_refused": "its host refuses the address for good (5xx), in words that speak of the mailbox",
    "refusal_in_doubt": "its host refuses the address for good (5xx), but this provider refuses live ones too",
    "mailbox_full": "its host refuses the address for good (5xx) because the mailbox is full: a soft bounce",
    "domain_refused": "its host refuses the address for good (5xx), because it does not take mail for the domain",
    "refused_where_others_are_accepted": (
        "its host refuses the address for good (5xx) in vague words, and has accepted another one after it"
    ),
    "refused_by_a_catch_all": (
        "its host refuses the address in vague words, which a domain that accepts made-up names may do for any cause"
    ),
    "left_open_address": "the reply speaks of the mailbox, but does not say for good that it is dead",
    "left_open_domain": "the reply speaks of the domain, but does not say for good that it takes no mail",
    "left_open_us": "the reply speaks of us, the ones who asked, and says nothing of the mailbox",
    "left_open_temporary": "the reply holds for now only, and says nothing of the mailbox",
    "left_open_unclear": "the reply may mean the mailbox or anything else",
}


def rule_in_words(rule: str) -> str:
    """The judge's half of ``rule`` as a clause.

    >>> rule_in_words("mailbox_refused/user_unknown")
    'its host refuses the address for good (5xx), in words that speak of the mailbox'
    """
    if rule.startswith("not_to_be_asked/") and rule.endswith(":probing"):
        return _FORBIDDEN
    words = _WORDS.get(rule.partition("/")[0], _UNNAMED)
    return words + _SHARED if _LENT in rule else words


def reply_rule_of(rule: str) -> str | None:
    """The name of the rule by which the reply was read, None where no reply decided.

    >>> reply_rule_of("left_open_temporary/lent/user_unknown")
    'user_unknown'
    """
    return rule.rpartition("/")[2] if "/" in rule else None
