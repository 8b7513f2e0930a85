"""The email column is told by its name, else by its cells."""

import pytest

from ct_pipeline.from_clevertap.email_column import looks_like_address, name_rank, pick_email_column


@pytest.mark.parametrize(
    "header",
    [
        *("Email", "EMAIL", "e-mail", "E-Mail", " e mail ", "E_MAIL", "Emails", "Email address", "emailaddress"),
        *("emailAddress", "Email ID", "mail", "Mail Address", "correo", "Correo electrónico", "courriel"),
        *("Adresse e-mail", "E-Mail-Adresse", "e-posta", "E-post", "sähköposti", "Электронная почта", "メールアドレス"),
        *("邮箱", "Customer Email", "work_email", "primaryEmail", "contact.email", "Email 1"),
    ],
)
def test_names_that_mean_the_address(header: str):
    assert name_rank(header) is not None


@pytest.mark.parametrize(
    "header",
    [
        *("", "name", "Email opt-in", "email_status", "email verified", "Email sent at", "is_email_valid", "emailed"),
        *("gmail", "mailing list", "E-Mail Datum date", "last_email_opened", "email_md5", "identity", "emaildomain"),
    ],
)
def test_names_that_do_not(header: str):
    assert name_rank(header) is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (["work_email", "Email"], 1),
        (["mail", "E-Mail"], 1),
        (["email_status", "courriel"], 1),
        (["Email", "email"], 0),
    ],
)
def test_the_best_name_wins_then_the_first(headers: list[str], expected: int):
    assert pick_email_column(headers, []) == expected


def test_among_equal_names_the_content_decides():
    rows = [["", "bo@x.org"], ["n/a", "al@x.org"]]
    assert pick_email_column(["home email", "work email"], rows) == 1


def test_a_flag_that_is_named_email_loses_to_addresses():
    assert pick_email_column(["email", "contact"], [["yes", "bo@x.org"], ["no", "al@x.org"]]) == 1


def test_bad_addresses_stay_in_the_column_that_is_named_email():
    assert pick_email_column(["email", "login"], [["bo@", "bo@x.org"], ["al@", "al@x.org"]]) == 0


def test_without_a_name_the_cells_decide():
    rows = [["1", "x", "bo@x.org"], ["2", "al@x.org", "Al <al@x.org>"], ["3", "", "nobody"]]
    assert pick_email_column(["id", "b", "c"], rows) == 2


def test_without_name_and_addresses_there_is_none():
    assert pick_email_column(["id", "handle"], [["1", "@bo"], ["2", "al at x.org"]]) is None


@pytest.mark.parametrize(
    "cell", ["a@b.org", " a@b.org ", "MAILTO:a@b.org", "Bo <a@b.org>", '"Bo, A" <a@b.org>', "é@bücher.de"]
)
def test_what_looks_like_an_address(cell: str):
    assert looks_like_address(cell)


@pytest.mark.parametrize("cell", ["", "email", "a@b", "@handle", "a b@c.org", "a@b.org,c@d.org", "x" * 500 + "@b.org"])
def test_what_does_not(cell: str):
    assert not looks_like_address(cell)
