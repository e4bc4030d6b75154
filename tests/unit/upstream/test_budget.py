"""The budget of retries."""

from contextlib import ExitStack

import pytest

from kiro2api.upstream.budget import RetryBudget


@pytest.mark.parametrize(("in_flight", "limit"), [(0, 3), (1, 3), (15, 3), (19, 3), (20, 4), (100, 20)])
def test_a_fifth_of_the_requests_may_be_retried_and_three_always(in_flight: int, limit: int) -> None:
    """Whatever the load is."""
    budget = RetryBudget()
    with ExitStack() as stack:
        for _ in range(in_flight):
            stack.enter_context(budget.open())
        assert budget.limit == limit
    assert budget.in_flight == 0


def test_a_request_has_one_place_until_it_gives_it_back() -> None:
    """Asking again takes no second one, and giving back twice gives nothing twice."""
    budget = RetryBudget(floor=1)
    with budget.open() as first, budget.open() as second:
        assert [first.acquire(), first.acquire(), second.acquire()] == [True, True, False]
        first.release()
        first.release()
        assert budget.retrying == 0
        assert second.acquire()
        assert not first.acquire()


def test_a_request_that_ends_gives_its_place_back() -> None:
    """Also when it ends in an exception."""
    budget = RetryBudget()

    def fail() -> None:
        with budget.open() as spending:
            spending.acquire()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (budget.retrying, budget.in_flight) == (0, 0)
