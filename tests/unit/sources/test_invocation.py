"""What Lambda is answered: of exactly the right shape, whatever it was called with."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest

from importer import log
from importer.core.report import HandedBack
from importer.settings import CredentialKind, Credentials, Settings
from importer.sources.s3 import Process, invocation, queue, secret
from importer.sources.s3.invocation import InvalidCall, LambdaSource
from sandbox.aws.clients import Cloud
from sandbox.aws.poller import failures
from sandbox.clients import Standin

MakeSource = Callable[..., LambdaSource]


@pytest.fixture
def source(standin: Standin, cloud: Cloud) -> Iterator[MakeSource]:
    """Makes sources that import into the stand-in, and wait little."""
    made: list[LambdaSource] = []

    def make(**changes: Any) -> LambdaSource:
        token = Credentials(CredentialKind.PROJECT_TOKEN, "a-token", "", None)
        own = {"rejects": "s3://events-state/rejects", "checkpoints": "s3://events-state/checkpoints"}
        quick = Settings(token, standin.url, backoff=0.02, timeout=2, retry_seconds=0.2)
        made.append(LambdaSource(msgspec.structs.replace(quick, **own | changes)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def event(number: int = 0) -> str:
    return json.dumps({"event": "a", "properties": {"time": 1748736000, "distinct_id": f"u{number}"}})


def announces(key: str, etag: str | None = None, **more: Any) -> str:
    told = {"bucket": {"name": "events"}, "object": {"key": key, "eTag": etag}}
    return json.dumps({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": told}], **more})


def batch(cloud: Cloud, *bodies: str) -> dict[str, Any]:
    """What Lambda is called with for messages of these bodies, which were received from the queue."""
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": "none",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1748736000123"},
                "eventSource": "aws:sqs",
                "eventSourceARN": cloud.queue_arn,
            }
            for number, body in enumerate(bodies)
        ]
    }


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, bool]]:
    """What was done with messages of the queue, beside the answer."""
    done: list[tuple[str, str, bool]] = []

    def come_again(messages: Sequence[queue.Message], *, at_once: bool = False) -> None:
        done.extend(("comes again", message.id, at_once) for message in messages)

    def begin_anew(message: queue.Message, *, at_once: bool = False) -> bool:
        done.append(("begins anew", message.id, at_once))
        return True

    monkeypatch.setattr(invocation, "come_again", come_again)
    monkeypatch.setattr(invocation, "begin_anew", begin_anew)
    return done


def test_a_batch_is_answered_with_the_messages_that_failed_and_nothing_else(
    cloud: Cloud, standin: Standin, source: MakeSource, told: list[Any]
) -> None:
    """The shape is AWS's contract: any other makes it deliver all of the batch again, or delete all of it."""
    cloud.put("good", event(1).encode())
    bad = json.dumps({"Records": [{"eventSource": "aws:s3", "s3": {}}]})
    test = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "events"})
    called = batch(cloud, test, announces("good"), bad, event(2), "nonsense", announces("nothing there"))
    answer = source().handle(called, 60)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m2"}]}
    assert json.loads(json.dumps(answer)) == answer
    assert failures(answer, [f"m{number}" for number in range(6)]) == {"m2"}
    assert standin.summary()["imported"] == 2
    assert [key.split("/")[2] for key in cloud.keys(prefix="rejects/")] == ["messages"]
    assert told == []


def test_where_all_is_well_the_list_is_there_and_empty(cloud: Cloud, source: MakeSource) -> None:
    assert source().handle(batch(cloud, event()), 60) == {"batchItemFailures": []}


@pytest.mark.parametrize(
    "answer",
    [
        {"batchItemFailures": [{"itemIdentifier": "x"}]},
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        [],
        "ok",
        {"batchItemFailures": [{"id": "m0"}]},
        {"batchItemFailures": [None]},
        {"batchItemFailures": "m0"},
    ],
)
def test_the_stand_in_takes_an_answer_of_another_shape_for_a_failure_of_all(answer: Any) -> None:
    assert failures(answer, ["m0", "m1"]) == {"m0", "m1"}


@pytest.mark.parametrize(
    "record", [{"eventSource": "aws:sqs", "body": "x"}, {"eventSource": "aws:sqs", "messageId": "m"}]
)
def test_a_record_that_is_no_message_hands_all_back(cloud: Cloud, source: MakeSource, record: dict[str, Any]) -> None:
    called = batch(cloud, event())
    called["Records"].append(record)
    with pytest.raises(KeyError):
        source().handle(called, 60)


def test_what_mixpanel_does_not_take_comes_again_later(
    cloud: Cloud, standin: Standin, source: MakeSource, told: list[Any]
) -> None:
    cloud.put("a", event(1).encode())
    standin.faults(**{"503": 1.0})
    answer = source().handle(batch(cloud, announces("a"), event(2)), 60)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m0"}]}
    assert told == [("comes again", "m1", False), ("comes again", "m0", False)]


def test_a_big_object_begins_anew_where_it_got_on_and_counts_where_it_did_not(
    cloud: Cloud, standin: Standin, source: MakeSource, told: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.put("big", "\n".join(event(number) for number in range(5_000)).encode())
    standin.faults(latency=0.3)
    slow = source(batch_events=100, concurrency=1)
    assert slow.handle(batch(cloud, announces("big")), 2) == {"batchItemFailures": []}
    assert told == [("begins anew", "m0", True)]
    assert cloud.keys(prefix="checkpoints/")
    told.clear()
    standin.faults(**{"503": 1.0})
    assert slow.handle(batch(cloud, announces("big")), 60) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert told == [("comes again", "m0", False)]


def test_what_has_not_had_its_turn_when_the_time_is_up_begins_anew(
    cloud: Cloud, standin: Standin, source: MakeSource, told: list[Any]
) -> None:
    cloud.put("big", "\n".join(event(number) for number in range(5_000)).encode())
    cloud.put("small", event().encode())
    standin.faults(latency=0.3)
    slow = source(batch_events=100, concurrency=1)
    answer = slow.handle(batch(cloud, announces("big"), announces("small"), announces("small")), 2)
    assert answer == {"batchItemFailures": []}
    assert told == [("begins anew", message, True) for message in ("m0", "m1", "m2")]


def test_a_finished_object_is_skipped_unless_it_is_wanted_again(
    cloud: Cloud, standin: Standin, source: MakeSource
) -> None:
    etag = cloud.put("a", event().encode())
    importer = source()
    for _ in range(2):
        importer.handle(batch(cloud, announces("a", etag)), 60)
    assert (standin.summary()["received"], cloud.read()["a"]) == (1, len(event()))
    importer.handle(batch(cloud, announces("a", etag, again=True)), 60)
    assert standin.summary()["received"] == 2


def test_an_announcement_of_an_earlier_writing_is_settled(cloud: Cloud, standin: Standin, source: MakeSource) -> None:
    etag = cloud.put("a", event().encode())
    cloud.put("a", event(2).encode())
    assert source().handle(batch(cloud, announces("a", etag)), 60) == {"batchItemFailures": []}
    assert standin.summary()["received"] == 0


@pytest.mark.parametrize(
    ("key", "settings"),
    [
        ("own/x", {"rejects": "s3://events/own"}),
        ("in/", {}),
        ("in/x", {"exclude": ("in/*",)}),
        ("y", {"include": ("x",)}),
    ],
)
def test_what_is_not_for_it_is_skipped(
    cloud: Cloud, standin: Standin, source: MakeSource, key: str, settings: dict[str, Any]
) -> None:
    cloud.put(key, event().encode())
    assert source(**settings).handle(batch(cloud, announces(key)), 60) == {"batchItemFailures": []}
    assert standin.summary()["received"] == 0


def test_s3_may_call_by_itself(cloud: Cloud, standin: Standin, source: MakeSource) -> None:
    cloud.put("a", event().encode())
    importer = source()
    assert importer.handle(json.loads(announces("a")), 60) is None
    assert standin.summary()["imported"] == 1
    standin.faults(**{"503": 1.0})
    cloud.put("b", event(2).encode())
    with pytest.raises(HandedBack):
        importer.handle(json.loads(announces("b")), 60)


@pytest.mark.parametrize("called", [None, {}, [], {"key1": "value1"}, {"Records": [{"eventSource": "aws:kafka"}]}, "x"])
def test_a_call_of_something_else_is_an_error(source: MakeSource, called: Any) -> None:
    with pytest.raises(InvalidCall, match="no event of S3, SQS, SNS or EventBridge"):
        source().handle(called, 60)


def test_a_message_may_be_gzipped_and_lines_or_an_array(cloud: Cloud, standin: Standin, source: MakeSource) -> None:
    import base64
    import gzip

    lines = f"{event(1)}\n{event(2)}"
    packed = base64.b64encode(gzip.compress(f"[{event(3)},{event(4)}]".encode())).decode()
    by_sns = json.dumps({"Type": "Notification", "TopicArn": "arn:t", "Message": event(5)})
    assert source().handle(batch(cloud, lines, packed, by_sns, "H4sI not base64"), 60) == {"batchItemFailures": []}
    assert standin.summary()["imported"] == 5


def test_each_call_has_its_summary_before_its_answer(
    cloud: Cloud, standin: Standin, source: MakeSource, capsys: pytest.CaptureFixture[str]
) -> None:
    """The processor may stand still from the answer on."""
    log.configure()
    try:
        importer = source()
        for number in range(15):
            importer.handle(batch(cloud, event(2 * number), event(2 * number + 1)), 60)
            lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
            [line] = [line for line in lines if line["kind"] == "import"]
            assert (line["source"], line["read"], line["imported"]) == (cloud.queue_arn, 2, 2)
    finally:
        log.use(log.StandardLog(logging.getLogger("importer")))


def test_messages_that_are_not_settled_in_time_come_again(
    cloud: Cloud, standin: Standin, source: MakeSource, told: list[Any]
) -> None:
    standin.faults(latency=3)
    began = time.monotonic()
    answer = source(retry_seconds=60).handle(batch(cloud, event()), 1)
    assert time.monotonic() - began < 1.5
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}


def test_waits_double_up_to_two_hours(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Sqs:
        def get_queue_url(self, **_: Any) -> dict[str, str]:
            return {"QueueUrl": "url"}

        def change_message_visibility_batch(self, Entries: list[dict[str, Any]], **_: Any) -> Any:  # noqa: N803
            assert len(Entries) <= 10
            asked.extend(entry["VisibilityTimeout"] for entry in Entries)
            return {}

    monkeypatch.setattr(queue, "_client", lambda _: Sqs())
    monkeypatch.setattr(queue, "_url", lambda *_: "url")
    waits = {0: 60, 1: 60, 2: 120, 3: 240, 8: 7_200, 1_000: 7_200}
    queue.come_again([queue.Message("m", "", "h", "arn:q", receives, 0) for receives in waits] * 3)
    assert asked == [*waits.values()] * 3
    queue.come_again([queue.Message("m", "", "h", "arn:q", 5, 0)], at_once=True)
    assert asked[-1] == 0
    queue.come_again([])


def test_a_queue_that_cannot_be_asked_changes_nothing(cloud: Cloud) -> None:
    """A role may lack the permission: the message then comes when its queue says, and counts its receives on."""
    message = queue.message(batch(cloud, event())["Records"][0])
    queue.come_again([message])
    elsewhere = msgspec.structs.replace(message, queue="arn:aws:sqs:us-east-1:123456789012:nowhere")
    assert not queue.begin_anew(elsewhere)
    assert not queue.begin_anew(msgspec.structs.replace(message, queue=f"{cloud.queue_arn}.fifo"))
    assert queue.begin_anew(message, at_once=True)
    assert cloud.waiting() == 2  # with S3's test of the notification


class Context:
    """What Lambda says of a call that may take a minute."""

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def test_a_failure_has_the_secret_read_anew_and_what_imports_stays_as_long_as_that_is_the_same(
    cloud: Cloud, standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What imports knows how much Mixpanel takes, and has connections. Lambda sets a variable anew for each call."""
    secrets = cloud.client("secretsmanager")
    arn = secrets.create_secret(Name="mixpanel", SecretString="a-token")["ARN"]
    monkeypatch.setenv("MIXPANEL_SECRET_ARN", arn)
    monkeypatch.setenv("MIXPANEL_API_URL", standin.url)
    process = Process()
    try:
        first = process.source()
        for number in range(3):
            monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={number}")
            with pytest.raises(InvalidCall):
                process.handle({}, Context())
        assert process.source() is first
        secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
        assert process.source() is first
        secrets.create_secret(Name="mixpanel", SecretString='{"MIXPANEL_PROJECT_TOKEN": "another"}')
        monkeypatch.setenv("MIXPANEL_SECRET_ARN", "mixpanel")
        assert process.source() is not first
    finally:
        process.source().close()
        log.use(log.StandardLog(logging.getLogger("importer")))


@pytest.mark.parametrize("held", ["{}", "{", '{"PASSWORD": "x"}', '{"MIXPANEL_PROJECT_ID": 7}', ""])
def test_a_secret_that_is_no_credentials_is_told_and_not_shown(
    cloud: Cloud, held: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secret, "_value", lambda _: held)
    monkeypatch.setenv("MIXPANEL_SECRET_ARN", "mixpanel")
    with pytest.raises(SystemExit) as raised:
        Process().source()
    assert str(raised.value) == (
        "The importer cannot start: MIXPANEL_SECRET_ARN names a secret that is neither a project's token nor JSON of "
        "MIXPANEL_… texts."
    )
