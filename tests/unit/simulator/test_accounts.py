"""Refresh tokens and access tokens under a clock of the test's own."""

from kiro2api.simulator.accounts import Accounts


def test_any_refresh_token_is_good_without_a_list() -> None:
    """Without a list everyone may come in who has a refresh token at all."""
    accounts = Accounts(expires_in=60)
    grant = accounts.refresh("mine", now=0.0)
    assert grant is not None
    assert (grant.refresh_token, grant.expires_in) == ("mine", 60)
    assert accounts.refresh("", now=0.0) is None


def test_only_listed_refresh_tokens_are_good() -> None:
    """With a list, a refresh token outside it buys nothing, and was never good."""
    accounts = Accounts(["a"])
    assert accounts.refresh("a", now=0.0) is not None
    assert accounts.refresh("b", now=0.0) is None
    assert not accounts.is_dead("b")


def test_an_access_token_is_good_until_it_expires() -> None:
    """The last instant does not count any more; unknown access tokens never do."""
    accounts = Accounts(expires_in=60)
    access_token = accounts.issue("mine", now=100.0)
    assert accounts.authorize(access_token, now=159.9) == "mine"
    assert accounts.authorize(access_token, now=160.0) is None
    assert accounts.authorize("other", now=100.0) is None


def test_expiring_ends_all_access_tokens() -> None:
    """What was issued is no good any more; what is issued afterwards is."""
    accounts = Accounts()
    access_token = accounts.issue("mine", now=0.0)
    accounts.expire_access_tokens()
    assert accounts.authorize(access_token, now=1.0) is None
    assert accounts.authorize(accounts.issue("mine", now=1.0), now=2.0) == "mine"


def test_rotation_kills_the_old_refresh_token() -> None:
    """The new refresh token belongs to the same credential; the old one is dead, its access token is not."""
    for accounts in (Accounts(["a"], rotate=True), Accounts(rotate=True)):
        grant = accounts.refresh("a", now=0.0)
        assert grant is not None
        assert grant.refresh_token != "a"
        assert accounts.find_credential(grant.refresh_token) == "a"
        assert accounts.authorize(grant.access_token, now=1.0) == "a"
        assert accounts.refresh("a", now=1.0) is None
        assert accounts.is_dead("a")
