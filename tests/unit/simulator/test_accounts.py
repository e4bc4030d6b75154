"""Refresh tokens and access tokens under a clock of the test's own."""

import pytest

from kiro2api.simulator.account import Account, AccountKind
from kiro2api.simulator.accounts import Accounts, Grant

IDC = Account(refresh_token="i", kind=AccountKind.IDC, client_id="client", client_secret="secret")
KEY = Account(kind=AccountKind.API_KEY, api_key="ksk_1")


def trade(accounts: Accounts, refresh_token: str, now: float = 0.0) -> Grant:
    """A refresh that must succeed."""
    grant = accounts.refresh(refresh_token, now=now)
    assert grant is not None
    return grant


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


def test_a_traded_refresh_token_ends_its_family() -> None:
    """With detection, showing it again kills what took its place and all access tokens, of this account alone."""
    accounts = Accounts(["a", "b"], rotate=True, detect_reuse=True)
    first, other = trade(accounts, "a"), trade(accounts, "b")
    second = trade(accounts, first.refresh_token, 1.0)
    assert (accounts.reuses, accounts.list_live("a")) == ({}, [second.refresh_token])
    assert accounts.refresh("a", now=2.0) is None
    assert (accounts.reuses, accounts.list_live("a")) == ({"a": 1}, [])
    assert accounts.refresh(second.refresh_token, now=3.0) is None
    assert accounts.is_dead(second.refresh_token)
    bearers = (first.access_token, second.access_token, other.access_token)
    assert [accounts.authorize(bearer, now=3.0) for bearer in bearers] == [None, None, "b"]
    assert accounts.refresh(other.refresh_token, now=3.0) is not None
    assert accounts.reuses == {"a": 1}


def test_reuse_is_not_counted_without_detection() -> None:
    """Rotation alone refuses the old refresh token, and leaves everything else."""
    accounts = Accounts(["a"], rotate=True)
    grant = trade(accounts, "a")
    assert accounts.refresh("a", now=1.0) is None
    assert (accounts.reuses, accounts.list_live("a")) == ({}, [grant.refresh_token])


@pytest.mark.parametrize(("now", "is_graced"), [(9.9, True), (10.0, False)])
def test_reuse_has_a_grace(now: float, is_graced: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Within it the old refresh token brings the one that is live, and another access token; then it is reuse."""
    accounts = Accounts(["a"], rotate=True, detect_reuse=True, reuse_grace=10.0)
    first = trade(accounts, "a")
    again = accounts.refresh("a", now=now)
    assert (again is not None) == is_graced
    assert accounts.reuses == ({} if is_graced else {"a": 1})
    if again is not None:
        assert (again.refresh_token, again.shown) == (first.refresh_token, "a")
        assert again.access_token != first.access_token


def test_grace_does_not_bring_back_a_revoked_family() -> None:
    """When nothing is live, there is nothing to give."""
    accounts = Accounts(["a"], rotate=True, reuse_grace=10.0)
    accounts.revoke(trade(accounts, "a").refresh_token)
    assert accounts.refresh("a", now=1.0) is None


def test_the_history_keeps_every_grant() -> None:
    """What was shown, what was given and when, in order; refused refreshes are not in it."""
    accounts = Accounts(["a"], rotate=True, expires_in=7)
    first = trade(accounts, "a", 1.0)
    second = trade(accounts, first.refresh_token, 2.0)
    accounts.refresh("a", now=3.0)
    assert accounts.grants == [first, second]
    assert [(grant.time, grant.credential, grant.shown) for grant in accounts.grants] == [
        (1.0, "a", "a"),
        (2.0, "a", first.refresh_token),
    ]
    assert (first.expires_in, first.written) == (7, False)


def test_typed_accounts_are_known_by_name() -> None:
    """One that is added has a live refresh token, and may be added once; others are social, made when asked for."""
    accounts = Accounts([])
    assert accounts.add(IDC) is IDC
    assert (accounts["i"], accounts.find_owner("i"), list(accounts)) == (IDC, IDC, [IDC])
    assert (accounts.find_credential("i"), accounts.find_credential("x")) == ("i", None)
    assert (accounts["x"].kind, accounts.find_owner("x")) == (AccountKind.SOCIAL, None)
    with pytest.raises(ValueError, match="of that name"):
        accounts.add(IDC)


def test_the_owner_of_a_traded_refresh_token_is_known() -> None:
    """Rotation does not make one a stranger's; revocation does."""
    accounts = Accounts(["a"], rotate=True)
    grant = trade(accounts, "a")
    assert accounts.find_owner("a") is accounts["a"] is accounts.find_owner(grant.refresh_token)
    accounts.revoke(grant.refresh_token)
    assert accounts.find_owner(grant.refresh_token) is None


def test_an_api_key_is_a_bearer_of_its_own() -> None:
    """It never expires, buys nothing, and is dead once revoked."""
    accounts = Accounts([])
    accounts.add(KEY)
    accounts.expire_access_tokens()
    assert accounts.authorize("ksk_1", now=1e9) == "ksk_1"
    assert accounts.refresh("ksk_1", now=0.0) is None
    accounts.revoke("ksk_1")
    assert accounts.authorize("ksk_1", now=0.0) is None


def test_a_name_that_is_no_api_key_is_no_bearer() -> None:
    """A refresh token does not do as an access token."""
    accounts = Accounts(["a"])
    assert accounts.authorize("a", now=0.0) is None


def test_access_tokens_of_one_account_expire_alone() -> None:
    """Other accounts keep theirs."""
    accounts = Accounts(["a", "b"])
    ours, theirs = accounts.issue("a", now=0.0), accounts.issue("b", now=0.0)
    accounts.expire_access_tokens("a")
    assert (accounts.authorize(ours, now=1.0), accounts.authorize(theirs, now=1.0)) == (None, "b")
