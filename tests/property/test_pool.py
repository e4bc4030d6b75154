"""No script of operations makes the pool choose a credential that it must pass over."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from kiro2api.auth.credentials import Outcome, build_credential_id
from kiro2api.auth.pool import Chosen, CredentialPool, Standing, Unusable
from kiro2api.auth.sources import parse_refresh_tokens

IDS = tuple(build_credential_id(refresh_token) for refresh_token in "abc")
START = 1_760_000_000.0

# The least that a cooldown lasts, however the jitter falls.
SHORTEST = {
    Outcome.RATE_LIMITED: 4.0,
    Outcome.TOKEN_REFUSED: 48.0,
    Outcome.FORBIDDEN: 600.0,
    Outcome.SUSPENDED: 21_600.0,
    Outcome.QUOTA_EXHAUSTED: 86_400.0,
}


@dataclass
class Model:
    """What must hold, kept apart from the pool: until when each credential is out at the least, and who was leased."""

    pool: CredentialPool
    now: float = START
    out: dict[str, float] = field(default_factory=lambda: dict.fromkeys(IDS, 0.0))
    refresh_out: dict[str, float] = field(default_factory=lambda: dict.fromkeys(IDS, 0.0))
    leased: list[str] = field(default_factory=list)

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def lease(self, exclude: set[str]) -> None:
        selection = self.pool.select(self.now, exclude=exclude)
        if isinstance(selection, Chosen):
            self.pool.lease(selection.credential_id)
            self.leased.append(selection.credential_id)

    def record(self, credential_id: str, outcome: Outcome, retry_after: float | None) -> None:
        self.pool.record(credential_id, outcome, self.now, retry_after=retry_after)
        wished = retry_after if outcome is Outcome.RATE_LIMITED else None
        doubling = outcome in {Outcome.RATE_LIMITED, Outcome.TOKEN_REFUSED} and wished is None
        if doubling and self.now < self.out[credential_id]:
            return  # perhaps of an older lease, which counts for nothing
        shortest = SHORTEST.get(outcome, 0.0) if wished is None else wished
        self.out[credential_id] = max(self.out[credential_id], self.now + shortest)

    def fail_refresh(self, credential_id: str, kind: str) -> None:
        self.pool.record_refresh_failure(credential_id, self.now, permanent=kind == "permanent", live=kind == "live")
        if kind == "permanent":
            self.out[credential_id] = math.inf
        elif kind == "transient":
            self.refresh_out[credential_id] = max(self.refresh_out[credential_id], self.now + 4)

    def refresh(self, credential_id: str) -> None:
        self.pool.record_refreshed(credential_id)
        self.refresh_out[credential_id] = 0.0

    def check(self, exclude: set[str]) -> None:
        selection = self.pool.select(self.now, exclude=exclude)
        assert selection == self.pool.select(self.now, exclude=exclude), "selecting changed something"
        candidates = self.pool.list_candidates(self.now, exclude=exclude)
        states = dict(zip(IDS, self.pool.statistics(self.now), strict=True))
        for credential_id in candidates:
            assert credential_id not in exclude
            assert self.now >= max(self.out[credential_id], self.refresh_out[credential_id])
        assert list(candidates) == sorted(candidates, key=self._find_last_lease)
        good = {x for x in IDS if states[x].standing is Standing.USABLE} - exclude
        assert good <= set(candidates)
        if isinstance(selection, Chosen):
            assert selection.credential_id == candidates[0]
        else:
            assert not candidates
            assert isinstance(selection, Unusable) or selection.until > self.now

    def _find_last_lease(self, credential_id: str) -> int:
        return max((n for n, leased in enumerate(self.leased) if leased == credential_id), default=-1)


type Step = Callable[[Model], None]

ids = st.sampled_from(IDS)
exclusions = st.sets(ids)
steps: st.SearchStrategy[Step] = st.one_of(
    st.floats(0, 700).map(lambda seconds: lambda model: model.advance(seconds)),
    st.floats(0, 3_000_000).map(lambda seconds: lambda model: model.advance(seconds)),
    exclusions.map(lambda exclude: lambda model: model.lease(exclude)),
    st.tuples(ids, st.sampled_from(Outcome), st.none() | st.floats(1, 86_400)).map(
        lambda drawn: lambda model: model.record(*drawn)
    ),
    st.tuples(ids, st.sampled_from(["transient", "live", "live", "permanent"])).map(
        lambda drawn: lambda model: model.fail_refresh(*drawn)
    ),
    ids.map(lambda credential_id: lambda model: model.refresh(credential_id)),
)


@given(script=st.lists(st.tuples(steps, exclusions), max_size=40), draw=st.floats(0, 1))
def test_no_script_leases_what_is_cooling_excluded_or_revoked(script: list[tuple[Step, set[str]]], draw: float) -> None:
    """Whatever happened before, the choice is the least recently leased of those that may be used."""
    model = Model(CredentialPool(parse_refresh_tokens("a,b,c"), jitter=lambda: draw))
    for step, exclude in script:
        step(model)
        model.check(exclude)


@given(
    failures=st.lists(st.sampled_from(IDS), max_size=60),
    gone=st.sets(ids, max_size=2),
    seconds=st.lists(st.floats(0, 40), min_size=60, max_size=60),
)
def test_failures_of_the_upstream_never_empty_the_pool(
    failures: list[str], gone: set[str], seconds: list[float]
) -> None:
    """However often and wherever the upstream fails, one credential that is not out otherwise can be used."""
    pool, now = CredentialPool(parse_refresh_tokens("a,b,c"), jitter=lambda: 0.5), START
    for credential_id in gone:
        pool.record_refresh_failure(credential_id, now, permanent=True)
    for credential_id, wait in zip(failures, seconds, strict=False):
        pool.record(credential_id, Outcome.UPSTREAM_FAILED, now)
        assert isinstance(pool.select(now), Chosen)
        now += wait
