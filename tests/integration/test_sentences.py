"""What goes wrong with any command is one sentence, and never a traceback."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from importer.__main__ import main
from tests.integration.running import Ended, Run, event

COMMANDS: dict[str, list[str]] = {
    "import": [],
    "backfill": ["--yes"],
    "reconcile": ["--import", "--min-age", "0"],
    "preview": [],
    "profile": [],
    "replay": [],
}
"""Each command that takes sources, with what it needs to do its work without asking."""
SENDS = ("import", "backfill", "reconcile", "replay")


@pytest.fixture
def run(
    environment: Mapping[str, str], here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs a command in this process, which is faster: nothing here comes as far as threads."""

    def ended(*words: str, input: bytes = b"", **settings: str | None) -> Ended:  # noqa: A002
        for name in [*os.environ]:
            monkeypatch.delenv(name)
        for name, value in {**environment, **settings}.items():
            if value is not None:
                monkeypatch.setenv(name, value)
        monkeypatch.chdir(here)
        code = main(words)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Ended(code, said.out, said.err)

    return ended


@pytest.fixture
def quiet(here: Path) -> dict[str, Any]:
    """Nobody is logged in at Google, and nobody is asked whether this is one of its machines."""
    (here / "a.jsonl").write_bytes(event("a"))
    (here / "broken.toml").write_text('event = "e"\nevnt = 1\n')
    return {"NO_GCE_CHECK": "true", "HOME": str(here)}


def stopped(command: str, sentence: str) -> str:
    return f"The {command} stopped: {sentence}"


@pytest.mark.parametrize("command", SENDS)
def test_no_credentials(command: str, run: Run, quiet: dict[str, Any]) -> None:
    ended = run(command, "a.jsonl", *COMMANDS[command], MIXPANEL_PROJECT_TOKEN=None, **quiet)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert ended.err.startswith(stopped(command, "No Mixpanel credentials are set: set "))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_path(command: str, run: Run, quiet: dict[str, Any]) -> None:
    ended = run(command, "none.jsonl", *COMMANDS[command], **quiet)
    assert ended.err in {
        stopped(command, "there is no file or folder none.jsonl\n"),
        "There is nothing at none.jsonl.\n",
    }
    assert ended.code == (1 if command == "replay" else 2)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_such_object_and_an_empty_prefix(command: str, run: Run, quiet: dict[str, Any]) -> None:
    for place in ("gs://events/none.jsonl", "gs://events/none/"):
        ended = run(command, place, *COMMANDS[command], **quiet)
        assert re.fullmatch(rf"(?:The {command} stopped: t|T)here is nothing at {place}[^\n]*\n", ended.err)
        assert ended.code == (1 if command == "replay" else 2)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_such_bucket(command: str, run: Run, quiet: dict[str, Any]) -> None:
    ended = run(command, "gs://none/a", *COMMANDS[command], **quiet)
    assert (ended.code, ended.err) == (2, stopped(command, "gs://none/a cannot be listed: there is no bucket none\n"))


DENIED = "x@y.iam.gserviceaccount.com does not have storage.objects.list access to the Google Cloud Storage bucket."


class _Denying(BaseHTTPRequestHandler):
    """Answers as Cloud Storage does where one may not do what one asks for."""

    def do_GET(self) -> None:
        body = json.dumps({"error": {"code": 403, "message": DENIED, "errors": [{"reason": "forbidden"}]}}).encode()
        self.send_response(403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def denying() -> Iterator[str]:
    """The address of a Cloud Storage that denies everything."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Denying) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("command", COMMANDS)
def test_no_permission_in_a_bucket(command: str, run: Run, denying: str, quiet: dict[str, Any]) -> None:
    ended = run(command, "gs://events/in/", *COMMANDS[command], STORAGE_EMULATOR_HOST=denying, **quiet)
    said = stopped(command, f"gs://events/in/ cannot be listed: access is denied (403): {DENIED.rstrip('.')}\n")
    assert (ended.code, ended.err) == (2, said)


@pytest.mark.parametrize("command", COMMANDS)
def test_nobody_is_logged_in(command: str, run: Run, quiet: dict[str, Any]) -> None:
    ended = run(command, "gs://events/a", *COMMANDS[command], STORAGE_EMULATOR_HOST=None, **quiet)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert ended.err.startswith(stopped(command, "Nobody is logged in at Google Cloud here: run "))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_cloud_that_is_not_known(command: str, run: Run, quiet: dict[str, Any]) -> None:
    ended = run(command, "ftp://x/a", *COMMANDS[command], **quiet)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "ftp://x/a is nothing that is known here" in ended.err


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("file", ["broken.toml", "none.toml"])
def test_a_broken_mapping_file(command: str, file: str, run: Run, quiet: dict[str, Any]) -> None:
    ended = run(command, "a.jsonl", *COMMANDS[command], "--mapping", file, **quiet)
    said = [line for line in ended.err.splitlines() if line.startswith(f"The {command} stopped: ")]
    assert (ended.code, len(said)) == (2, 1), ended.err
    assert {"broken.toml": "broken.toml, line 2: evnt ", "none.toml": "No such file or directory."}[file] in said[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_setting_and_a_wrong_env_file(command: str, run: Run, quiet: dict[str, Any]) -> None:
    ended = run(command, "a.jsonl", *COMMANDS[command], "--timeout", "soon", **quiet)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert ended.err.startswith(stopped(command, "IMPORT_TIMEOUT is 'soon'"))
    ended = run(command, "a.jsonl", *COMMANDS[command], "--env-file", "no.env", **quiet)
    assert (ended.code, ended.err) == (2, stopped(command, "no.env cannot be read: No such file or directory.\n"))


WITHOUT_ROOTS_RIGHTS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
"""What runs a command so that files' permissions hold for it, also where the tests are root's."""


@pytest.mark.skipif(bool(WITHOUT_ROOTS_RIGHTS) and not shutil.which("setpriv"), reason="there is no setpriv")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_one_may_not_read(command: str, environment: Mapping[str, str], here: Path) -> None:
    (here / "a.jsonl").write_bytes(event("a"))
    (here / "a.jsonl").chmod(0)
    ended = bounded(command, environment, here)
    assert "a.jsonl cannot be read: Permission denied" in ended.stderr
    assert ended.returncode in {1, 2}


@pytest.mark.skipif(bool(WITHOUT_ROOTS_RIGHTS) and not shutil.which("setpriv"), reason="there is no setpriv")
@pytest.mark.parametrize("command", SENDS)
def test_a_folder_for_state_that_one_may_not_write(
    command: str, environment: Mapping[str, str], here: Path, tmp_path: Path
) -> None:
    (here / "a.jsonl").write_bytes(event("a"))
    (tmp_path / "state").mkdir(mode=0o555)
    ended = bounded(command, environment, here)
    assert ended.returncode in {0, 1, 2}
    if command != "replay":  # which keeps none
        assert "Permission denied" in ended.stderr


def bounded(command: str, environment: Mapping[str, str], here: Path) -> subprocess.CompletedProcess[str]:
    words = [*WITHOUT_ROOTS_RIGHTS, sys.executable, "-m", "importer", command, "a.jsonl", *COMMANDS[command]]
    ended = subprocess.run(words, cwd=here, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr
    return ended


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("words", [[], ["--json"]], ids=["plain", "json"])
def test_whoever_reads_the_output_may_stop_to(
    command: str, words: list[str], environment: Mapping[str, str], here: Path
) -> None:
    """As `| head -0` does. The work is done all the same, and there is no traceback."""
    (here / "a.jsonl").write_bytes(b"\n".join(event(str(nth)) for nth in range(50)))
    reading, writing = os.pipe()
    os.close(reading)
    program = [sys.executable, "-m", "importer", command, "a.jsonl", *COMMANDS[command], *words]
    ended = subprocess.run(
        program, cwd=here, env=environment, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert "Traceback" not in ended.stderr
    assert "BrokenPipe" not in ended.stderr
    assert ended.returncode in {0, 1, 2, 141}


@pytest.mark.parametrize("command", COMMANDS)
def test_there_need_be_no_home(command: str, environment: Mapping[str, str], here: Path) -> None:
    (here / "a.jsonl").write_bytes(event("a"))
    bare = {name: value for name, value in environment.items() if name not in {"HOME", "XDG_STATE_HOME"}}
    ended = subprocess.run(
        [sys.executable, "-m", "importer", command, "a.jsonl", *COMMANDS[command]],
        cwd=here,
        env={**bare, "TERM": "dumb", "COLUMNS": "20"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    assert ended.returncode in {0, 1}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_may_be_called_what_it_likes(command: str, environment: Mapping[str, str], here: Path) -> None:
    """A name of bytes that are no text, an escape sequence, a line break, and what would be a glob."""
    folder = here / "a [x]*?"
    folder.mkdir()
    for name in (b"bad\xff.jsonl", b"\x1b[2J.jsonl", b"line\nbreak.jsonl", b"-"):
        (folder / os.fsdecode(name)).write_bytes(event(name.hex()))
    for words in ([], ["--json"]):
        ended = subprocess.run(
            [sys.executable, "-m", "importer", command, "a [x]*?", *COMMANDS[command], *words],
            cwd=here,
            env={**environment, "LC_ALL": "C.UTF-8", "PYTHONUTF8": "0"},
            capture_output=True,
            check=False,
        )
        assert b"Traceback" not in ended.stderr
        assert not {b"\xff", b"\x1b"} & {bytes([one]) for one in ended.stdout + ended.stderr}
        assert ended.returncode in {0, 1}
        if words:
            json.loads(ended.stdout)


@pytest.mark.parametrize("command", ["import", "preview", "profile", "check"])
def test_a_pipe_is_read_as_standard_input_is(command: str, environment: Mapping[str, str], here: Path) -> None:
    """What a shell makes of `<(zcat events.gz)`."""
    reading, writing = os.pipe()
    os.write(writing, event("a"))
    os.close(writing)
    ended = subprocess.run(
        [sys.executable, "-m", "importer", command, f"/dev/fd/{reading}"],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        pass_fds=(reading,),
    )
    os.close(reading)
    assert ended.returncode == 0, ended.stderr
    assert f"/dev/fd/{reading}" in ended.stdout + ended.stderr or "1 event of 1 name" in ended.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_closed_input_or_a_closed_error_output_is_no_trouble(
    command: str, environment: Mapping[str, str], here: Path
) -> None:
    (here / "a.jsonl").write_bytes(event("a"))
    words = " ".join([sys.executable, "-m", "importer", command, "a.jsonl", *COMMANDS[command]])
    for closed in ("2>&-", "<&-"):
        ended = subprocess.run(
            ["/bin/sh", "-c", f"{words} {closed}"], cwd=here, env=environment, capture_output=True, check=False
        )
        assert b"Traceback" not in ended.stderr
        assert ended.returncode == (1 if command == "replay" else 0)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk that is always full")
@pytest.mark.parametrize("command", [*COMMANDS, "check"])
def test_a_full_disk_for_the_output(command: str, environment: Mapping[str, str], here: Path) -> None:
    (here / "a.jsonl").write_bytes(event("a"))
    for words in ([], ["--json"]):
        with open("/dev/full", "wb") as full:
            ended = subprocess.run(
                [sys.executable, "-m", "importer", command, "a.jsonl", *COMMANDS.get(command, []), *words],
                cwd=here,
                env=environment,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert ended.returncode == 2
        assert ended.stderr.endswith("The output cannot be written: No space left on device.\n")
        assert "Traceback" not in ended.stderr
        assert "Exception" not in ended.stderr
