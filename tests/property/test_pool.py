"""No script of events makes the pool choose badly: a machine drives it, with a simpler account of what must hold."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kiro2api.auth.credentials import Outcome, Want
from kiro2api.auth.pool import ChoiceRule, Chosen, CredentialPool, RefreshVerdict, Standing, Unusable
from kiro2api.auth.sources import parse_refresh_tokens

CREDENTIALS = {credential.credential_id: credential for credential in parse_refresh_tokens("a,b,c,d")}
IDS = tuple(CREDENTIALS)
SESSIONS = ("talk", "other")
START = datetime(2025, 12, 10, tzinfo=UTC).timestamp()
DAY = 86_400.0

# The least and the most that a cooldown lasts, however the jitter falls and however long the streak is.
BOUNDS = {
    Outcome.RATE_LIMITED: (4.0, 360.0),
    Outcome.TOKEN_REFUSED: (48.0, 4320.0),
    Outcome.FORBIDDEN: (600.0, 600.0),
    Outcome.SUSPENDED: (21_600.0, 21_600.0),
    Outcome.UPSTREAM_FAILED: (0.0, 300.0),
}
LONGEST_IMPORTS = {"rate_limited": DAY, "token_refused": 4320.0, "forbidden": 600.0, "suspended": 21_600.0}


@dataclass
class Span:
    """Until when a credential is out for one reason: at the least, and at the most."""

    least: float = 0.0
    most: float = 0.0

    def extend(self, least: float, most: float) -> None:
        self.least = max(self.least, least)
        self.most = max(self.most, most)


@dataclass
class Known:
    """What must be known of one credential."""

    origin: str
    spans: dict[str, Span] = field(default_factory=dict)
    is_revoked: bool = False
    doubted_at: float | None = None
    models: frozenset[str] | None = None
    refused: dict[str, float] = field(default_factory=dict)
    spent_until: float = 0.0
    uses: int = 0

    def extend(self, reason: str, least: float, most: float) -> None:
        self.spans.setdefault(reason, Span()).extend(least, most)

    def is_out(self, now: float) -> bool:
        """Whether it certainly is."""
        return self.is_revoked or any(now < span.least for span in self.spans.values())

    def is_in(self, now: float) -> bool:
        """Whether it certainly is; of the rest nothing is known, for want of the jitter."""
        return not self.is_revoked and all(now >= span.most for span in self.spans.values())

    def is_in_but_for_failures(self, now: float) -> bool:
        """Whether nothing but failures of the upstream can speak against it."""
        spans = (span for reason, span in self.spans.items() if reason != Outcome.UPSTREAM_FAILED.value)
        return not self.is_revoked and all(now >= span.most for span in spans)

    def may_have(self, model: str | None, now: float) -> bool:
        if model is None:
            return True
        listed = self.models is None or model.lower() in self.models
        return listed and now >= self.refused.get(model.lower(), 0.0)

    def forgive(self) -> None:
        """A refresh has succeeded."""
        self.is_revoked, self.doubted_at = False, None
        self.spans.pop("refresh_failed", None)


ids = st.sampled_from(IDS)
exclusions = st.sets(ids, max_size=2)
sessions = st.sampled_from([None, *SESSIONS])
models = st.sampled_from([None, "opus", "OPUS", "haiku"])
wants = st.builds(Want, session=sessions, model=models)


class PoolMachine(RuleBasedStateMachine):
    """Random outcomes, refreshes, hints, imports and reloads, on a clock that runs forward."""

    @initialize(choice_rule=st.sampled_from(ChoiceRule), draw=st.floats(0, 1))
    def begin(self, choice_rule: ChoiceRule, draw: float) -> None:
        self.rule = choice_rule
        self.pool = CredentialPool(CREDENTIALS.values(), jitter=lambda: draw, rule=choice_rule)
        self.now = START
        self.known = {x: Known(origin=CREDENTIALS[x].origin) for x in IDS}
        self.in_flight: Counter[str] = Counter()
        self.owners: dict[str, str] = {}
        self.leases = 0

    @rule(seconds=st.floats(0, 100) | st.floats(0, 700) | st.floats(0, 200_000))
    def advance(self, seconds: float) -> None:
        self.now += seconds

    @rule(want=wants, exclude=exclusions, place=st.sampled_from([0, 0, 0, 1, 2]))
    def lease(self, want: Want, exclude: set[str], place: int) -> None:
        """Mostly the first; another if that has no access token at hand."""
        ranking = self.pool.rank(self.now, exclude=exclude, want=want)
        if place >= len(ranking.candidates):
            return
        credential_id = ranking.candidates[place]
        reason = self.pool.explain(credential_id, self.now, exclude=exclude, want=want)
        assert reason.startswith("own conversation") == (ranking.own == credential_id)
        self._lease(credential_id, want)

    @precondition(lambda self: self.in_flight.total())
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        self._give_back(data.draw(st.sampled_from(sorted(+self.in_flight))))

    @rule(
        credential_id=ids,
        outcome=st.sampled_from([*Outcome, Outcome.UPSTREAM_FAILED, Outcome.UPSTREAM_FAILED]),
        retry_after=st.none() | st.floats(1, DAY),
        model=models,
    )
    def record(self, credential_id: str, outcome: Outcome, retry_after: float | None, model: str | None) -> None:
        self.pool.record(credential_id, outcome, self.now, retry_after=retry_after, model=model)
        known = self.known.get(credential_id)
        if known is None:
            return
        if outcome is Outcome.MODEL_REFUSED and model is not None:
            known.refused[model.lower()] = self.now + 3600
        elif outcome is Outcome.QUOTA_EXHAUSTED:
            known.extend("quota_exhausted", self.now + 0.001, self.now + 62 * DAY)
        elif outcome is Outcome.RATE_LIMITED and retry_after is not None:
            known.extend("rate_limited", self.now + retry_after, self.now + retry_after)
        elif outcome in BOUNDS:
            least, most = (self.now + seconds for seconds in BOUNDS[outcome])
            # While one may be running, a further one of these counts for nothing: it may be of an older lease.
            is_doubling = outcome in {Outcome.RATE_LIMITED, Outcome.TOKEN_REFUSED}
            may_be_old = is_doubling and self.now < known.spans.get(outcome.value, Span()).most
            known.extend(outcome.value, 0.0 if may_be_old else least, most)

    @rule(credential_id=ids, verdict=st.sampled_from(RefreshVerdict), live=st.booleans())
    def fail_refresh(self, credential_id: str, verdict: RefreshVerdict, live: bool) -> None:  # noqa: FBT001 - drawn
        again_at = self.pool.record_refresh_failure(credential_id, self.now, verdict=verdict, live=live)
        assert again_at > self.now
        known = self.known.get(credential_id)
        if known is None:
            return
        if verdict is RefreshVerdict.DOUBTFUL:
            known.is_revoked |= known.doubted_at is not None and self.now >= known.doubted_at + 60
            known.doubted_at = self.now if known.doubted_at is None else known.doubted_at
        known.is_revoked |= verdict is RefreshVerdict.DEAD
        if not live:
            shortest = 60.0 if verdict is RefreshVerdict.DOUBTFUL else 4.0
            known.extend("refresh_failed", self.now + shortest, self.now + 360)

    @rule(credential_id=ids)
    def refresh(self, credential_id: str) -> None:
        self.pool.record_refreshed(credential_id)
        if credential_id in self.known:
            self.known[credential_id].forgive()

    @rule(
        credential_id=ids,
        name=st.sampled_from([*LONGEST_IMPORTS, "revoked", "refresh_failed", "nonsense"]),
        seconds=st.floats(-100, 700) | st.floats(0, 100 * DAY) | st.sampled_from([float("inf"), float("nan")]),
    )
    def import_cooldown(self, credential_id: str, name: str, seconds: float) -> None:
        until = self.now + seconds
        self.pool.import_cooldowns(credential_id, {name: until}, self.now)
        if credential_id in self.known and name in LONGEST_IMPORTS:
            longest = self.now + LONGEST_IMPORTS[name]
            if self.now < until <= longest + 60:
                self.known[credential_id].extend(name, min(until, longest - 1), longest)

    @rule(credential_id=ids, listed=st.none() | st.sets(st.sampled_from(["Opus", "haiku"])))
    def note_models(self, credential_id: str, listed: set[str] | None) -> None:
        self.pool.note_models(credential_id, None if listed is None else frozenset(listed))
        if credential_id in self.known:
            models = None if listed is None else frozenset(model.lower() for model in listed)
            self.known[credential_id].models = models

    @rule(credential_id=ids, left=st.sampled_from([None, 0.0, 7.5]), days=st.sampled_from([-1, 5, 20, 90]))
    def note_limits(self, credential_id: str, left: float | None, days: int) -> None:
        resets_at = self.now + days * DAY
        self.pool.note_limits(credential_id, left=left, resets_at=resets_at)
        if credential_id in self.known:
            self.known[credential_id].spent_until = resets_at if left == 0 else 0.0

    @rule(staying=st.lists(ids, unique=True, min_size=1), anew=st.sets(ids, max_size=2), word=st.sampled_from("xyz"))
    def reload(self, staying: list[str], anew: set[str], word: str) -> None:
        credentials = [
            replace(CREDENTIALS[x], origin=word if x in anew or x not in self.known else self.known[x].origin)
            for x in staying
        ]
        self.pool.replace(credentials)
        former, self.known = self.known, {}
        for credential in credentials:
            known = former.get(credential.credential_id) or Known(origin=credential.origin)
            if known.origin != credential.origin:
                known.origin = credential.origin
                known.forgive()
            self.known[credential.credential_id] = known
        self.owners = {session: owner for session, owner in self.owners.items() if owner in self.known}

    @precondition(lambda self: self.rule is not ChoiceRule.SEQUENTIAL)
    @rule()
    def take_turns(self) -> None:
        """Each of those that are equally well is leased within a bounded number of leases that are all given back."""
        for credential_id in list(self.in_flight.elements()):
            self._give_back(credential_id)
        states = {state.credential_id: state.standing for state in self.pool.statistics(self.now)}
        waiting = {
            x for x, known in self.known.items() if states[x] is Standing.USABLE and known.spent_until <= self.now
        }
        # In a round once each; by use those that were used least come first, as often as they are behind.
        rounds = 1 if self.rule is ChoiceRule.ROUND_ROBIN else self.leases + 1
        for _ in range(len(waiting) * rounds):
            if not waiting:
                break
            (credential_id, *_) = self.pool.rank(self.now).candidates
            self._lease(credential_id, Want())
            self._give_back(credential_id)
            waiting.discard(credential_id)
        assert not waiting

    @rule(exclude=exclusions, want=wants)
    def ask(self, exclude: set[str], want: Want) -> None:
        self._check(exclude, want)

    @invariant()
    def choices_are_good(self) -> None:
        for session in (None, *SESSIONS):
            self._check((), Want(session=session))

    @invariant()
    def counts_are_right(self) -> None:
        states = self.pool.statistics(self.now)
        assert [state.credential_id for state in states] == list(self.known)
        assert [(state.in_flight, state.uses) for state in states] == [
            (self.in_flight[x], known.uses) for x, known in self.known.items()
        ]

    def _check(self, exclude: Collection[str], want: Want) -> None:
        ranking = self.pool.rank(self.now, exclude=exclude, want=want)
        assert ranking == self.pool.rank(self.now, exclude=exclude, want=want), "ranking changed something"
        candidates = ranking.candidates
        assert len(set(candidates)) == len(candidates)
        assert not [x for x in candidates if x in exclude or self.known[x].is_out(self.now)]
        fit = {x for x in candidates if self.known[x].may_have(want.model, self.now)}
        assert fit in (set(), set(candidates))
        if want.model is None:
            assert {x for x, known in self.known.items() if known.is_in(self.now)} - set(exclude) <= set(candidates)
            assert self.pool.has_standing(self.now) or not candidates
            if not exclude and any(known.is_in_but_for_failures(self.now) for known in self.known.values()):
                assert candidates, "failures have emptied the pool"
        self._check_order(exclude, want)
        selection = self.pool.select(self.now, exclude=exclude, want=want)
        if candidates:
            assert selection == Chosen(credential_id=candidates[0])
        else:
            assert isinstance(selection, Unusable) or (not isinstance(selection, Chosen) and selection.until > self.now)

    def _check_order(self, exclude: Collection[str], want: Want) -> None:
        ranking = self.pool.rank(self.now, exclude=exclude, want=want)
        owner = self.owners.get(want.session or "")
        states = {state.credential_id: state.standing for state in self.pool.statistics(self.now)}
        is_healthy = (
            owner is not None
            and states[owner] is Standing.USABLE
            and owner not in exclude
            and self.known[owner].may_have(want.model, self.now)
        )
        assert ranking.own == owner if is_healthy else ranking.own in {None, owner}, "a conversation was moved"
        assert ranking.own is None or ranking.candidates[0] == ranking.own
        spent = [self.known[x].spent_until > self.now for x in ranking.candidates if x != ranking.own]
        assert spent == sorted(spent), "one without quota comes before one that has some"

    def _lease(self, credential_id: str, want: Want) -> None:
        self.pool.lease(credential_id, self.now, want=want)
        self.leases += 1
        self.in_flight[credential_id] += 1
        self.known[credential_id].uses += 1
        if want.session is not None:
            self.owners[want.session] = credential_id

    def _give_back(self, credential_id: str) -> None:
        self.pool.give_back(credential_id)
        self.in_flight[credential_id] -= 1


TestPool = PoolMachine.TestCase


@given(
    failures=st.lists(ids, min_size=30, max_size=60),
    gone=st.sets(ids, max_size=3),
    seconds=st.lists(st.floats(0, 5) | st.floats(0, 40), min_size=60, max_size=60),
)
def test_failures_of_the_upstream_never_empty_the_pool(
    failures: list[str], gone: set[str], seconds: list[float]
) -> None:
    """However often and wherever the upstream fails, one credential that is not out otherwise can be used."""
    pool, now = CredentialPool(CREDENTIALS.values(), jitter=lambda: 0.5), START
    for credential_id in gone:
        pool.record_refresh_failure(credential_id, now, verdict=RefreshVerdict.DEAD)
    for credential_id, wait in zip(failures, seconds, strict=False):
        pool.record(credential_id, Outcome.UPSTREAM_FAILED, now)
        assert isinstance(pool.select(now), Chosen)
        now += wait
