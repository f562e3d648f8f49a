"""Everything on this machine, to try things out: write a mapping, drop a file, see what arrives and what is refused.

`make sandbox` runs it: the stand-in for Mixpanel with its live view, a bucket, a topic, and both functions as
production runs them, which start again whenever the transform, the settings or their code change.
"""

from __future__ import annotations

import argparse
import re
import socket
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from sandbox import processes
from sandbox.running import Options, Running, SandboxError
from sandbox.screen import Screen

_PORTS = {
    "page_port": (8081, "the live view, which is the stand-in for Mixpanel too"),
    "bucket_port": (9023, "the bucket"),
    "gcs_port": (8080, "gcs_import"),
    "pubsub_port": (8082, "pubsub_import"),
    "pubsub_emulator_port": (8085, "the topic"),
    "s3_port": (9025, "S3 and SQS, with --s3"),
    "tls_port": (8443, "the stand-in over HTTPS, with --tls"),
}
_ONLY_WITH = {"s3_port": "s3", "tls_port": "tls"}
"""Ports that are used only with an option."""


def _free(wanted: Mapping[str, int]) -> dict[str, int]:
    """The ports, any free one for 0, all of them free just now.

    Raises:
        SandboxError: one is taken.
    """
    with ExitStack() as held:
        found = {}
        for name, port in wanted.items():
            flag = f"--{name.replace('_', '-')}"
            try:
                listening = held.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError as error:
                raise SandboxError(
                    f"Port {port}, for {_PORTS[name][1]}, cannot be had: {error.strerror}. "
                    f"Stop what uses it, or choose another with {flag} (0 is any free one)."
                ) from None
            found[name] = int(listening.getsockname()[1])
    return found


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="Runs everything on this machine: a stand-in for Mixpanel with a live view, a bucket, a topic, and "
        "both functions as production runs them. Nothing leaves this machine.",
        epilog="The importer's settings (IMPORT_…, MIXPANEL_…, LOG_LEVEL) are taken from the shell as well; --env-file "
        "comes before those, --mapping and --transform before both. The functions start again when the mapping file, "
        "the Python files in the transform's folder, the settings' file or the importer change.",
    )
    parser.add_argument(
        "--mapping",
        metavar="NAME|FILE",
        help="a ready mapping's name, auto, or a mapping file; another can be picked on the live view (default: "
        "IMPORT_MAPPING, or auto)",
    )
    parser.add_argument(
        "--transform",
        type=_transform,
        metavar="MODULE:FUNCTION",
        help="your own mapping, such as mapping:to_mixpanel for mapping.py beside main.py (default: IMPORT_TRANSFORM)",
    )
    parser.add_argument("--env-file", type=Path, metavar="FILE", help="settings, in lines NAME=value")
    parser.add_argument(
        "--watch", type=Path, metavar="DIR", help="write each file that is new or changed in DIR to the bucket"
    )
    parser.add_argument("--bucket", default="events", metavar="NAME", help="the bucket's name (default: %(default)s)")
    parser.add_argument(
        "--no-emulator",
        dest="emulator",
        action="store_false",
        help="do without Google's Pub/Sub emulator where gcloud has it: starts sooner",
    )
    parser.add_argument(
        "--s3", action="store_true", help="run S3, SQS and the handler of AWS Lambda as well (moto's server)"
    )
    parser.add_argument(
        "--tls", action="store_true", help="let the stand-in speak HTTPS as well, with a certificate made at the start"
    )
    ports = parser.add_argument_group("ports, all on 127.0.0.1", "0 is any free one")
    for name, (default, what) in _PORTS.items():
        flag = f"--{name.replace('_', '-')}"
        ports.add_argument(flag, type=_port, default=default, metavar="PORT", help=f"{what} (default: %(default)s)")
    return parser


def _transform(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not module:function, such as mapping:to_mixpanel")
    return text


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a port is a number from 0 to 65535")
    return int(text)


def _options() -> Options:
    """What the command line says, or an exit with a sentence.

    Raises:
        SandboxError: a port is taken.
    """
    parser = _arguments()
    given = parser.parse_args()
    if given.watch and not given.watch.is_dir():
        parser.error(f"--watch: there is no folder {given.watch}")
    if given.env_file and not given.env_file.is_file():
        parser.error(f"--env-file: there is no file {given.env_file}")
    return Options(
        mapping=given.mapping,
        transform=given.transform,
        env_file=given.env_file.resolve() if given.env_file else None,
        watch=given.watch.resolve() if given.watch else None,
        bucket=given.bucket,
        emulator=given.emulator,
        s3=given.s3,
        tls=given.tls,
        ports=_free(
            {
                name: getattr(given, name)
                for name in _PORTS
                if name not in _ONLY_WITH or getattr(given, _ONLY_WITH[name])
            }
        ),
    )


def main() -> int:
    """Runs the sandbox as the command line says.

    Returns:
        The exit code: 0 after Ctrl-C, 1 if it could not start or go on.
    """
    screen = Screen()
    try:
        with processes.ended_by_signals():
            options = _options()
            screen.line("Starting the stand-ins, and both functions as production runs them …", "dim")
            with Running(options, screen) as running:
                why = running.run_functions()
                running.introduce()
                if why:
                    running.complain(why)
                running.go_on()
    except (SandboxError, processes.ProcessError, OSError) as error:
        print(f"The sandbox cannot run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        screen.line()
        screen.line("Stopped; nothing is left running.", "dim")
    return 0


if __name__ == "__main__":
    sys.exit(main())
