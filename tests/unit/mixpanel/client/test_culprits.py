"""An answer that names no event: the culprit is found with few requests, and a good event is never taken for one."""

from __future__ import annotations

import pytest

from importer import log
from importer.errors import FatalDeliveryError, Unavailable
from importer.mixpanel.batch import pack
from importer.mixpanel.outcome import Outcome, RejectedEvent
from tests.unit.mixpanel.scripted import (
    Answer,
    Events,
    batch,
    client_of,
    event,
    events_of,
    ok,
    partly,
    scripted,
    takes_all,
)

LATER = 1e12
UNNAMED: Answer = (400, {}, {"code": 400, "error": "invalid request body"})
SIMPLIFIED = "identity events are not allowed when project is using simplified identity management"


@pytest.fixture(autouse=True)
def _log() -> None:
    log.configure()


# What lasts, and is no event's fault


@pytest.mark.parametrize("count", [1, 2, 200])
def test_when_an_event_that_was_taken_before_is_rejected_too_the_batch_is_handed_back(count: int) -> None:
    with scripted(ok(1), UNNAMED) as server, client_of(server) as client:
        client.send(batch(7), LATER)
        with pytest.raises(Unavailable) as raised:
            client.send(batch(*range(count)), LATER)
        assert server.counts() == [1, count, 1]
        assert server.ids(2) == ["id-7"]
    assert str(raised.value) == (
        "Mixpanel takes no events at present, not even one that it took before (400: invalid request body): "
        "no event is rejected for that."
    )


def test_each_batch_costs_two_requests_while_that_lasts_and_none_more_when_it_is_over() -> None:
    with scripted(ok(5), *[UNNAMED] * 6, takes_all) as server, client_of(server) as client:
        client.send(batch(*range(5)), LATER)
        for _ in range(3):
            with pytest.raises(Unavailable):
                client.send(batch(*range(50)), LATER)
        assert client.send(batch(*range(50)), LATER).imported == 50
        assert server.counts() == [5, 50, 1, 50, 1, 50, 1, 50]


def test_what_is_sent_again_as_proof_is_an_event_that_was_taken() -> None:
    first = partly({"index": 0, "message": "no"}, {"index": 2, "message": "no"}, imported=1)
    with scripted(first, UNNAMED) as server, client_of(server) as client:
        client.send(batch(0, 1, 2), LATER)
        with pytest.raises(Unavailable):
            client.send(batch(3, 4), LATER)
        assert server.ids(2) == ["id-1"]


def test_the_proof_is_of_the_last_request_that_was_taken() -> None:
    with scripted(ok(1), ok(1), UNNAMED) as server, client_of(server) as client:
        client.send(batch(1), LATER)
        client.send(batch(2), LATER)
        with pytest.raises(Unavailable):
            client.send(batch(3), LATER)
        assert server.ids(3) == ["id-2"]


def test_when_the_proof_is_taken_the_events_are_at_fault() -> None:
    def takes_even(events: Events) -> Answer:
        return ok(len(events)) if all(int(e["properties"]["$insert_id"][3:]) % 2 == 0 for e in events) else UNNAMED

    with scripted(takes_even) as server, client_of(server) as client:
        client.send(batch(100), LATER)
        outcome = client.send(batch(1, 3), LATER)
        assert server.counts() == [1, 2, 1, 1, 1]
    reason = "400: invalid request body"
    assert outcome.rejected == [RejectedEvent(0, None, reason), RejectedEvent(1, None, reason)]
    assert (outcome.imported, outcome.requests) == (0, 4)


def test_a_part_that_is_taken_is_proof_enough() -> None:
    def spoilt(events: Events) -> Answer:
        return UNNAMED if any(e["properties"]["$insert_id"] == "id-3" for e in events) else ok(len(events))

    with scripted(spoilt) as server, client_of(server) as client:
        assert client.send(batch(0, 1, 2, 3), LATER).rejected == [RejectedEvent(3, None, "400: invalid request body")]
        assert server.counts() == [4, 2, 2, 1, 1]


def test_the_proof_is_asked_for_again_when_ten_events_in_a_row_were_rejected_alone() -> None:
    """The trouble may begin when the proof was given."""
    with scripted(ok(1), UNNAMED, ok(1), UNNAMED) as server, client_of(server) as client:
        client.send(batch(7), LATER)
        with pytest.raises(Unavailable):
            client.send(batch(*range(64)), LATER)
        assert server.ids(2) == ["id-7"] == server.ids(-1)
        assert server.counts().count(1) == 1 + 1 + 10 + 1


def test_a_process_to_which_nothing_was_ever_taken_rejects_nothing_alone() -> None:
    with scripted(UNNAMED) as server, client_of(server) as client:
        with pytest.raises(FatalDeliveryError) as raised:
            client.send(batch(0, 1, 2), LATER)
        assert server.counts() == [3, 1, 2, 1, 1]
    assert str(raised.value) == (
        "Mixpanel rejected all 3 events, each sent alone, without naming a field, and took none so far: "
        "400: invalid request body. Check MIXPANEL_PROJECT_ID, MIXPANEL_REGION and MIXPANEL_API_URL."
    )


def test_of_a_large_batch_it_gives_up_after_ten() -> None:
    with scripted(UNNAMED) as server, client_of(server) as client:
        with pytest.raises(FatalDeliveryError, match="rejected the first 10 events, each sent alone"):
            client.send(batch(*range(2_000)), LATER)
        assert server.counts().count(1) == 10
        assert len(server.requests) == 28


def test_a_413_that_lasts_is_no_events_fault_and_batches_stay_as_large_as_they_were() -> None:
    too_large: Answer = (413, {}, b"")
    with scripted(ok(1), too_large, too_large, too_large, takes_all) as server, client_of(server) as client:
        client.send(batch(7), LATER)
        with pytest.raises(Unavailable, match="413: too large for Mixpanel even alone"):
            client.send(batch(0, 1), LATER)
        assert client.send(batch(*range(50)), LATER).imported == 50
        assert server.counts() == [1, 2, 1, 1, 50]


def test_a_limit_on_the_size_that_was_found_outlasts_other_trouble() -> None:
    too_large: Answer = (413, {}, b"")
    with scripted(too_large, ok(1), ok(1), UNNAMED) as server, client_of(server) as client:
        client.send(batch(0, 1), LATER)
        limit = client.max_bytes
        with pytest.raises(Unavailable):
            client.send(batch(2), LATER)
        assert client.max_bytes == limit == batch(0, 1).size // 2


# Identity calls, in a project that takes none


def simplified(events: Events) -> Answer:
    """As a project with the simplified identity merge answers."""
    has_call = any(e["event"] in {"$identify", "$create_alias", "$merge"} for e in events)
    return partly(SIMPLIFIED, imported=0) if has_call else ok(len(events))


def test_identity_calls_are_rejected_and_the_others_sent_without_them() -> None:
    calls = {3: "$identify", 500: "$create_alias", 999: "$merge"}
    events = pack([event(n, calls.get(n, "Signup")) for n in range(1_000)])
    with scripted(simplified) as server, client_of(server) as client:
        outcome = client.send(events, LATER)
        assert server.counts() == [1_000, 997]
        assert server.ids(1) == [f"id-{n}" for n in range(1_000) if n not in calls]
    assert outcome.rejected == [RejectedEvent(n, None, SIMPLIFIED) for n in calls]
    assert (outcome.imported, outcome.retried) == (997, 0)


def test_a_batch_of_nothing_but_identity_calls_is_rejected_in_one_request() -> None:
    events = pack([event(n, "$identify") for n in range(100)])
    with scripted(simplified) as server, client_of(server) as client:
        outcome = client.send(events, LATER)
        assert server.counts() == [100]
    assert outcome == Outcome(0, [RejectedEvent(n, None, SIMPLIFIED) for n in range(100)], 1, 0, len(events.body))


def test_with_other_words_the_identity_calls_are_suspected_first() -> None:
    words = "'properties.$insert_id' is invalid: no"

    def odd(events: Events) -> Answer:
        bad = any(e["event"] == "$identify" for e in events)
        return partly(words, imported=0) if bad else ok(len(events))

    events = pack([event(n, "$identify" if n == 700 else "Signup") for n in range(1_000)])
    with scripted(odd) as server, client_of(server) as client:
        outcome = client.send(events, LATER)
        assert server.counts() == [1_000, 999, 1]
    assert outcome.rejected == [RejectedEvent(700, "properties.$insert_id", words)]
    assert outcome.imported == 999


def test_texts_that_name_nothing_are_about_one_event_of_the_batch() -> None:
    def odd(events: Events) -> Answer:
        bad = any(e["properties"]["$insert_id"] == "id-5" for e in events)
        return partly("'event' is invalid: no", imported=0) if bad else ok(len(events))

    with scripted(odd) as server, client_of(server) as client:
        outcome = client.send(batch(*range(8)), LATER)
        assert server.counts() == [8, 4, 4, 2, 1, 1, 2]
    assert outcome.rejected == [RejectedEvent(5, "event", "'event' is invalid: no")]
    assert outcome.imported == 7


# What is named, though nothing else was taken


def test_what_was_not_taken_through_no_fault_of_its_own_is_sent_again_without_the_bad_ones() -> None:
    bad = partly({"index": 1.0, "message": "no"}, {"index": "3", "message": "no"}, imported=0)
    with scripted(bad, takes_all) as server, client_of(server) as client:
        outcome = client.send(batch(0, 1, 2, 3, 4), LATER)
        assert server.ids(1) == ["id-0", "id-2", "id-4"]
    assert outcome.rejected == [RejectedEvent(1, None, "no"), RejectedEvent(3, None, "no")]
    assert (outcome.imported, outcome.requests, outcome.retried) == (3, 2, 0)


def test_an_index_is_that_of_the_batch_also_where_only_a_part_was_sent() -> None:
    second = partly({"index": 2, "message": "no"}, imported=2)
    with scripted(partly({"index": 0, "message": "no"}, imported=0), second) as server, client_of(server) as client:
        outcome = client.send(batch(0, 1, 2, 3), LATER)
        assert [e["properties"]["$insert_id"] for e in events_of(server.requests[1][2])] == ["id-1", "id-2", "id-3"]
    assert [one.index for one in outcome.rejected] == [0, 3]
    assert outcome.imported == 2
