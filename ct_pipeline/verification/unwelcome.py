"""Why a site has turned us away, and what we can do about it, in plain words. Pure."""

from ct_pipeline.vocabulary import Reason

_WHY = {
    Reason.PROBER_BLOCKED: "it blocks our address",
    Reason.SENDER_REFUSED: "it refuses our sender address",
    Reason.POLICY_REFUSED: "a rule of its own turns us away",
    Reason.RATE_LIMITED: "it found that we ask too much at once",
    Reason.TLS_OR_LOGIN_REQUIRED: "it wants encryption or a login first",
    Reason.TOO_MANY_RECIPIENTS: "it takes fewer questions at once",
    Reason.CONNECTION_REFUSED: "its hosts do not accept our connections",
    Reason.CONNECTION_TIMEOUT: "its hosts cannot be reached",
    Reason.CONNECTION_LOST: "its hosts hang up on us",
    Reason.COMMAND_TIMEOUT: "its hosts do not answer in time",
    Reason.SERVER_TROUBLE: "its hosts have trouble of their own",
    Reason.CANNOT_VERIFY: "it accepts names that it refused before",
    Reason.GREYLISTED: "it asks everyone new to come back later",
}
_WHAT_TO_DO = {
    Reason.PROBER_BLOCKED: (
        "`ct-pipeline doctor` tells whether our address is on a block list and its names fit; the host's words often "
        "hold a link to ask for removal. Another egress may be welcome."
    ),
    Reason.SENDER_REFUSED: (
        "Set CT_MAIL_FROM to an address that exists, on a domain whose SPF record allows this machine; "
        "`ct-pipeline doctor` checks it."
    ),
    Reason.POLICY_REFUSED: "The host's words may name the rule; `ct-pipeline doctor` checks the usual ones.",
    Reason.RATE_LIMITED: "Nothing: it is asked more slowly after the wait. Lower CT_SITE_CONNECTIONS if it recurs.",
    Reason.CANNOT_VERIFY: (
        "Nothing: its answers are not believed. Some hosts accept everything from those that ask too much; lower "
        "CT_SITE_CONNECTIONS, or use another egress, if it recurs."
    ),
    Reason.TLS_OR_LOGIN_REQUIRED: "Nothing: such hosts answer only their own users.",
}
_NOTHING = "Nothing: one session tries again after the wait."
_IN_SHORT = {
    Reason.PROBER_BLOCKED: "ask for removal",
    Reason.SENDER_REFUSED: "set CT_MAIL_FROM",
    Reason.POLICY_REFUSED: "run `ct-pipeline doctor`",
}


def why(reason: Reason) -> str:
    """A clause that follows the site's name.

    >>> why(Reason.PROBER_BLOCKED)
    'it blocks our address'
    """
    return _WHY.get(reason, f"its answers meant {reason.value.replace('_', ' ')}")


def what_to_do(reason: Reason) -> str:
    """One or two sentences."""
    return _WHAT_TO_DO.get(reason, _NOTHING)


def what_to_do_in_short(reason: Reason) -> str:
    """Two or three words for a narrow column; :func:`what_to_do` says how.

    >>> what_to_do_in_short(Reason.RATE_LIMITED)
    'wait'
    """
    return _IN_SHORT.get(reason, "wait")
