"""Clients from npm that nobody here wrote, against the stand-in: the official SDK for Node, and mixpanel-import."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox import processes
from sandbox.clients import Standin
from tests.sandbox.npm import package

SDK = """
const Mixpanel = require(process.env.PACKAGE);
const credentials = new Mixpanel.ServiceAccountCredentials("an-account", "a-secret", "17");
const client = Mixpanel.init("a-token", { host: process.env.HOST, credentials, verbose: true });
const done = (what) => new Promise((resolve) => what((error) => resolve(error ? String(error) : "taken")));
(async () => {
  const time = Number(process.env.TIME);
  const said = [];
  said.push(await done((d) => client.track("Tracked", { distinct_id: "s\u00f8ren", $insert_id: "t-1" }, d)));
  said.push(await done((d) => client.track("Old", { distinct_id: "u", time: time - 6 * 86400 }, d)));
  said.push(await done((d) => client.import("Imported", time - 6 * 86400, { distinct_id: "u", $insert_id: "i-1" }, d)));
  said.push(await done((d) => client.import_batch([{ event: "Batch", properties: { distinct_id: "u", time, $insert_id: "b-1" } }], d)));
  said.push(await done((d) => client.people.set("u", { plan: "pro" }, d)));
  said.push(await done((d) => client.groups.set("company", "acme", { size: 7 }, d)));
  console.log(JSON.stringify(said));
})();
"""  # noqa: E501

# Points the connections of mixpanel-import to where the environment says; all else is as it was installed.
POINTED = """
const { createRequire } = require("node:module");
const undici = createRequire(process.env.PACKAGE + "/index.js")("undici");
const Pool = undici.Pool;
undici.Pool = function (_, options) { return new Pool(process.env.URL_OF_IT, options); };
"""


@pytest.fixture(scope="module")
def secure() -> Iterator[processes.Service]:
    with processes.service("sandbox.mixpanel", "--port", "0", "--tls", "--tls-port", "0") as service:
        yield service


@pytest.fixture
def standin(secure: processes.Service) -> Standin:
    standin = Standin(secure.url)
    standin.reset()
    return standin


def events(standin: Standin) -> dict[str, Any]:
    found = requests.get(f"{standin.url}/sandbox/events?limit=1000", timeout=10).json()
    return {each["event"]["event"]: each["event"]["properties"] for each in found}


def asked(standin: Standin) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = requests.get(f"{standin.url}/sandbox/requests", timeout=10).json()
    return rows[::-1]


def node(*arguments: str, folder: Path, **environment: str) -> str:
    ended = subprocess.run(
        ["node", *arguments], cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_https_is_spoken_with_the_certificate_that_it_names(secure: processes.Service) -> None:
    answer = requests.get(
        f"{secure.ready['tls_url']}/sandbox/summary", verify=str(secure.ready["certificate"]), timeout=10
    )
    assert answer.json() == requests.get(f"{secure.url}/sandbox/summary", timeout=10).json()
    assert oct(Path(str(secure.ready["certificate"])).parent.stat().st_mode)[-3:] == "700"


def test_the_official_sdk_for_node_is_answered(secure: processes.Service, standin: Standin, tmp_path: Path) -> None:
    said = node(
        "--eval",
        SDK,
        folder=tmp_path,
        PACKAGE=str(package("mixpanel")),
        HOST=str(secure.ready["tls_url"]).removeprefix("https://"),
        NODE_EXTRA_CA_CERTS=str(secure.ready["certificate"]),
        TIME=str(int(time.time())),
    )
    assert json.loads(said) == [
        "taken",
        "Error: Mixpanel Server Error: /track takes events of the last five days: send this one to /import",
        *["taken"] * 4,
    ]
    found = events(standin)
    assert set(found) == {"Tracked", "Imported", "Batch"}
    assert found["Tracked"]["distinct_id"] == "søren"
    assert "token" not in found["Tracked"]
    rows = asked(standin)
    assert [row["path"] for row in rows] == ["/track", "/track", "/import", "/import", "/engage", "/groups"]
    assert rows[2]["auth"] == "service account"
    assert rows[4]["reason"] == "1 change of profiles: checked, and not kept"


@pytest.mark.parametrize(
    ("given", "auth"),
    [
        (("--acct", "an-account", "--pass", "a-secret", "--project", "17", "--token", "a-token"), "service account"),
        (("--acct", "an-account", "--pass", "a-secret", "--token", "a-token"), "token or API secret"),
        (("--acct", "an-account", "--token", "a-token"), "token or API secret"),
    ],
)
def test_mixpanel_import_imports_with_each_of_its_kinds_of_credentials(
    standin: Standin, tmp_path: Path, given: tuple[str, ...], auth: str
) -> None:
    place = package("mixpanel-import")
    (tmp_path / "pointed.cjs").write_text(POINTED)
    (tmp_path / "events.jsonl").write_text(
        "\n".join(
            json.dumps(
                {"event": "A", "properties": {"time": 1_700_000_000, "distinct_id": "u", "$insert_id": f"i-{n}"}}
            )
            for n in range(100)
        )
    )
    node(
        *("--require", str(tmp_path / "pointed.cjs"), str(place / "index.js"), str(tmp_path / "events.jsonl"), *given),
        *("--type", "event", "--no-logs", "--strict"),
        folder=tmp_path,
        PACKAGE=str(place),
        URL_OF_IT=standin.url,
    )
    assert len(standin.ids()) == 100
    assert {row["auth"] for row in asked(standin)} == {auth}


# What SDKs ask beside /import, request by request


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        ("track?verbose=1", [{"event": "A", "properties": {"token": "t"}}], {"status": 1, "error": None}),
        (
            "track?verbose=1",
            {"event": "A", "properties": {}},
            {"status": 0, "error": "an event must have properties with the project's token"},
        ),
        ("engage", [{"$token": "t", "$distinct_id": "u", "$set": {"plan": "pro"}}], {"status": 1, "error": None}),
        (
            "engage",
            [{"$token": "t", "$set": {}}],
            {"status": 0, "error": "a change of a profile must have $distinct_id"},
        ),
        (
            "groups",
            [{"$token": "t", "$group_key": "company", "$group_id": "acme"}],
            {
                "status": 0,
                "error": "a change of a profile must have one of $set, $set_once, $add, $append, $union, $remove, "
                "$unset, $delete",
            },
        ),
    ],
)
def test_calls_are_answered_as_far_as_they_are_published(
    standin: Standin, path: str, body: object, answer: dict[str, Any]
) -> None:
    given = requests.post(f"{standin.url}/{path}", json=body, timeout=10)
    assert (given.status_code, given.json()) == (200 if answer["status"] else 400, answer)
    assert asked(standin)[-1]["path"] == f"/{path.partition('?')[0]}"


def test_a_call_in_the_old_form_is_answered_with_a_digit(standin: Standin) -> None:
    data = json.dumps({"event": "A", "properties": {"token": "t", "distinct_id": "u"}})
    assert requests.post(f"{standin.url}/track", data={"data": data}, timeout=10).text == "1"
    assert requests.get(f"{standin.url}/track", params={"data": "%"}, timeout=10).text == "0"


def test_what_nothing_answers_gets_a_sentence_and_a_row(standin: Standin) -> None:
    answer = requests.post(f"{standin.url}/flags/definitions", json={}, timeout=10)
    assert answer.status_code == 404
    assert answer.json()["error"].startswith(
        "The sandbox's stand-in has no POST /flags/definitions: it answers /import"
    )
    assert [(row["path"], row["status"]) for row in asked(standin)] == [("/flags/definitions", 404)]
