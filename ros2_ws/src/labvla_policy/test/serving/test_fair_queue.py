"""The queue: turns by client, bounded, and the greedy give way."""

from hypothesis import given
from hypothesis import strategies as st

from labvla_policy.serving.fair_queue import REMEMBERED, FairQueue


def filled(*pairs, most=100):
    queue = FairQueue(most)
    displaced = [queue.put(client, item) for client, item in pairs]
    return queue, [item for item in displaced if item is not None]


def emptied(queue):
    return list(iter(queue.take, None))


def test_clients_take_turns_whatever_they_ask():
    queue, _ = filled(("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1"), ("b", "b2"))
    assert emptied(queue) == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert len(queue) == 0


def test_whose_last_turn_is_the_longest_ago_is_next():
    queue, _ = filled(("a", "a1"), ("a", "a2"), ("b", "b1"))
    assert queue.take() == "a1"
    queue.put("c", "c1")
    assert emptied(queue) == ["b1", "c1", "a2"]


def test_who_asks_again_only_after_its_answer_gets_every_other_turn():
    queue, _ = filled(*(("crowd", "crowd") for _ in range(20)), ("lone", "lone"))
    served = []
    for _ in range(10):
        served.append(queue.take())
        if served[-2:-1] == ["lone"]:  # its next question comes while somebody else is served
            queue.put("lone", "lone")
    assert served == ["crowd", "lone"] * 5


def test_clients_that_have_gone_are_forgotten():
    queue = FairQueue(10)
    for number in range(3 * REMEMBERED):
        queue.put(f"client {number}", number)
        assert queue.take() == number
    assert len(queue._turns) <= REMEMBERED


def test_without_room_the_longest_line_gives_way_to_a_newcomer():
    queue, displaced = filled(("a", "a1"), ("a", "a2"), ("b", "b1"), most=2)
    assert displaced == ["a2"]
    assert emptied(queue) == ["a1", "b1"]


def test_without_room_the_greedy_client_refuses_itself():
    queue, displaced = filled(("a", "a1"), ("b", "b1"), ("a", "a2"), most=2)
    assert displaced == ["a2"]
    assert emptied(queue) == ["a1", "b1"]


def test_what_nobody_waits_for_leaves():
    queue, _ = filled(("a", "a1"), ("b", "b1"), ("b", "b2"))
    assert queue.discard("b", "b1")
    assert not queue.discard("b", "b1")
    assert not queue.discard("c", "c1")
    assert emptied(queue) == ["a1", "b2"]


@given(
    st.lists(st.sampled_from("abcd"), max_size=40),
    st.integers(min_value=1, max_value=10),
)
def test_nothing_is_lost_and_shares_differ_by_one_at_most(clients, most):
    pairs = [(client, (client, number)) for number, client in enumerate(clients)]
    queue, displaced = filled(*pairs, most=most)
    served = emptied(queue)
    assert sorted(served + displaced) == sorted(item for _, item in pairs)
    assert len(served) == min(most, len(pairs))
    asked = {client: clients.count(client) for client in clients}
    got = {client: sum(owner == client for owner, _ in served) for client in asked}
    # Who was cut short has at most one less than anybody else.
    for client in asked:
        if got[client] < asked[client]:
            assert got[client] >= max(got.values()) - 1
    for client in asked:
        own = [number for owner, number in served if owner == client]
        assert own == sorted(own)
