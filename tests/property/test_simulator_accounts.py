"""Whatever is refreshed, shown again, revoked or expired, in whatever order: the accounts keep their promises."""

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kiro2api.simulator.accounts import Accounts, Grant

NAMES = ("a", "b", "c")
GRACE = 5.0
LIFE = 60


@dataclass
class Family:
    """What a test knows of one account: its refresh tokens in order, the last one live unless the family has ended."""

    chain: list[str]
    traded_at: dict[str, float] = field(default_factory=dict)
    bearers: dict[str, float] = field(default_factory=dict)
    reuses: int = 0
    ended: bool = False


class AccountsMachine(RuleBasedStateMachine):
    """Rotating accounts under detection of reuse, beside a model that knows only the order of what happened."""

    grace = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.accounts = Accounts(NAMES, rotate=True, detect_reuse=True, reuse_grace=self.grace, expires_in=LIFE)
        self.families = {name: Family(chain=[name]) for name in NAMES}
        self.granted = 0

    @rule(name=st.sampled_from(NAMES))
    def refresh(self, name: str) -> None:
        """The newest refresh token is traded, and the one that it brings is new."""
        family = self.families[name]
        shown = family.chain[-1]
        grant = self.accounts.refresh(shown, now=self.now)
        assert (grant is None) == family.ended
        if grant is not None:
            self._receive(family, grant)
            assert grant.refresh_token not in family.chain
            family.traded_at[shown] = self.now
            family.chain.append(grant.refresh_token)

    @rule(name=st.sampled_from(NAMES), index=st.integers(min_value=0, max_value=50))
    def show_again(self, name: str, index: int) -> None:
        """A traded refresh token is reuse, unless it is within its grace and its family lives."""
        family = self.families[name]
        if not family.traded_at:
            return
        shown = family.chain[index % len(family.traded_at)]
        grant = self.accounts.refresh(shown, now=self.now)
        is_graced = not family.ended and self.now < family.traded_at[shown] + self.grace
        assert (grant is not None) == is_graced
        if grant is not None:
            self._receive(family, grant)
            assert grant.refresh_token == family.chain[-1]
        else:
            family.reuses += 1
            family.ended = True
            family.bearers.clear()

    @rule(name=st.sampled_from(NAMES))
    def revoke(self, name: str) -> None:
        """The live refresh token dies; what it bought does not."""
        family = self.families[name]
        self.accounts.revoke(family.chain[-1])
        family.ended = True

    @rule(name=st.sampled_from((None, *NAMES)))
    def expire(self, name: str | None) -> None:
        """Access tokens die, of one account or of all; refresh tokens do not."""
        self.accounts.expire_access_tokens(name)
        for each, family in self.families.items():
            if name in {None, each}:
                family.bearers.clear()

    @rule(seconds=st.floats(min_value=0.1, max_value=LIFE))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    @precondition(lambda self: self.granted)
    @rule(text=st.text(max_size=5))
    def guess(self, text: str) -> None:
        """What never was a refresh token buys nothing and hurts nobody."""
        assert text in NAMES or self.accounts.refresh(text, now=self.now) is None

    def _receive(self, family: Family, grant: Grant) -> None:
        assert grant is self.accounts.grants[-1]
        assert grant.access_token not in family.bearers
        family.bearers[grant.access_token] = self.now + LIFE
        self.granted += 1

    @invariant()
    def one_live_refresh_token_at_most(self) -> None:
        """The newest of the chain while the family lives, else none."""
        for name, family in self.families.items():
            assert self.accounts.list_live(name) == ([] if family.ended else family.chain[-1:])

    @invariant()
    def reuse_is_counted_when_it_happens(self) -> None:
        """And never otherwise."""
        assert self.accounts.reuses == {name: x.reuses for name, x in self.families.items() if x.reuses}

    @invariant()
    def bearers_are_good_for_their_account_only(self) -> None:
        """Until they expire or their family ends."""
        for name, family in self.families.items():
            for bearer, expires_at in family.bearers.items():
                expected = name if self.now < expires_at else None
                assert self.accounts.authorize(bearer, now=self.now) == expected

    @invariant()
    def ended_bearers_stay_ended(self) -> None:
        """What the history has and the model does not is no good any more."""
        known = {bearer for family in self.families.values() for bearer in family.bearers}
        for grant in self.accounts.grants:
            if grant.access_token not in known:
                assert self.accounts.authorize(grant.access_token, now=self.now) is None

    @invariant()
    def the_history_is_complete(self) -> None:
        """One entry for each refresh that succeeded."""
        assert len(self.accounts.grants) == self.granted


class GracefulAccountsMachine(AccountsMachine):
    """The same with a grace."""

    grace = GRACE


TestAccounts = AccountsMachine.TestCase
TestGracefulAccounts = GracefulAccountsMachine.TestCase
