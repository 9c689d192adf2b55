"""`labvla serve`: a checkpoint over the OpenPI protocol."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labvla_bringup.cli.common import CHECKPOINT, add_json, cell_from
from labvla_bringup.cli.errors import EnvironmentLack, ExitCode, Refusal, UsageError
from labvla_bringup.console import print_json
from labvla_policy.openpi.names import HEALTH_PATH, TOKEN_VARIABLE
from labvla_policy.runtime.refusal import Refused
from labvla_policy.serving.requests import ReaderSettings
from labvla_policy.serving.settings import MEGABYTE, ServerSettings, SettingsError, Tls

if TYPE_CHECKING:
    from labvla_policy.openpi.metadata import Metadata
    from labvla_policy.serving.checkpoint import CheckpointPolicy

_DEFAULTS = ServerSettings()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    _add_policy(parser.add_argument_group("policy"))
    _add_network(parser.add_argument_group("network"))
    _add_requests(parser.add_argument_group("requests"))
    _add_load(parser.add_argument_group("load"))
    add_json(parser)


def _add_policy(group: Any) -> None:
    group.add_argument(
        "--checkpoint",
        metavar="DIR",
        required=True,
        help=CHECKPOINT,
    )
    group.add_argument(
        "--cell",
        metavar="CELL",
        help="the cell that is served: its contract is checked against the checkpoint's, and said "
        "to clients",
    )
    group.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N (default: %(default)s)")
    group.add_argument(
        "--dtype", metavar="TYPE", help="bfloat16, float16 or float32 (default: the checkpoint's)"
    )
    group.add_argument(
        "--dataset", metavar="NAME", help="which data set's statistics, if there are several"
    )
    group.add_argument(
        "--steps", type=int, metavar="N", help="of the sampler (default: the checkpoint's)"
    )
    group.add_argument(
        "--rows", type=int, metavar="N", help="of an answer (default: as many as are predicted)"
    )


def _add_network(group: Any) -> None:
    group.add_argument("--host", default=_DEFAULTS.host, help="(default: %(default)s)")
    group.add_argument(
        "--port", type=int, default=_DEFAULTS.port, help="0: a free one (default: %(default)s)"
    )
    group.add_argument(
        "--token",
        help=f"what clients have to show (better: --token-file, or {TOKEN_VARIABLE} in the "
        "environment, which no process list shows)",
    )
    group.add_argument("--token-file", type=Path, metavar="FILE", help="a file with the token")
    group.add_argument("--tls-cert", type=Path, metavar="PEM", help="certificate, for wss://")
    group.add_argument("--tls-key", type=Path, metavar="PEM", help="the certificate's key")


def _add_requests(group: Any) -> None:
    group.add_argument(
        "--default-prompt", default="", metavar="TEXT", help="for requests without instruction"
    )
    group.add_argument(
        "--mask-missing-cameras",
        action="store_true",
        help="do without cameras that a request does not have, as the original server does",
    )
    group.add_argument(
        "--truncate-prompts",
        action="store_true",
        help="cut instructions that are too long, instead of refusing them",
    )


def _add_load(group: Any) -> None:
    group.add_argument(
        "--max-message",
        type=int,
        default=_DEFAULTS.most_bytes // MEGABYTE,
        metavar="MIB",
        help="size of a request (default: %(default)s)",
    )
    group.add_argument(
        "--max-clients", type=int, default=_DEFAULTS.most_clients, metavar="N",
        help="at once (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--max-waiting", type=int, default=_DEFAULTS.most_waiting, metavar="N",
        help="requests in the queue (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--deadline", type=float, default=_DEFAULTS.deadline, metavar="S",
        help="for every request (default: %(default)g)",
    )  # fmt: skip
    group.add_argument(
        "--drain", type=float, default=_DEFAULTS.drain, metavar="S",
        help="for what is under way when the server ends (default: %(default)g)",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Load, serve until a signal, end in order."""
    settings = _settings(arguments)
    policy = _policy(arguments)
    try:
        from labvla_policy.serving.run import until_signalled
        from labvla_policy.serving.server import PolicyServer
    except ModuleNotFoundError as error:
        raise _lack(error) from error
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("websockets").setLevel(logging.ERROR)  # who knocks and goes is no news
    try:
        server = PolicyServer(policy, settings)
        until_signalled(server, lambda port: _announce(arguments, settings, port, policy))
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
            raise
        reason = os.strerror(error.errno)
        raise Refusal(f"{settings.host}:{settings.port}: {reason}") from None
    return ExitCode.DONE


def _settings(arguments: argparse.Namespace) -> ServerSettings:
    if (arguments.tls_cert is None) != (arguments.tls_key is None):
        raise UsageError("--tls-cert and --tls-key: one needs the other")
    tls = None if arguments.tls_cert is None else Tls(arguments.tls_cert, arguments.tls_key)
    try:
        if tls is not None:
            tls.context()  # before a checkpoint of gigabytes is loaded in vain
        return ServerSettings(
            host=arguments.host,
            port=arguments.port,
            token=_token(arguments),
            tls=tls,
            reader=ReaderSettings(
                arguments.default_prompt,
                arguments.mask_missing_cameras,
                arguments.truncate_prompts,
            ),
            most_bytes=arguments.max_message * MEGABYTE,
            most_clients=arguments.max_clients,
            most_waiting=arguments.max_waiting,
            deadline=arguments.deadline,
            drain=arguments.drain,
        )
    except SettingsError as error:
        raise UsageError(str(error)) from None


def _token(arguments: argparse.Namespace) -> str:
    if arguments.token is not None and arguments.token_file is not None:
        raise UsageError("--token and --token-file: give one of them")
    if arguments.token is not None:
        if not arguments.token:
            raise UsageError("--token: expected a token, got nothing")
        return str(arguments.token)
    if arguments.token_file is None:
        return os.environ.get(TOKEN_VARIABLE, "")
    try:
        token = arguments.token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file: {error}") from None
    if not token:
        raise UsageError(f"--token-file: {arguments.token_file} is empty")
    return str(token)


def _policy(arguments: argparse.Namespace) -> CheckpointPolicy:
    try:
        from labvla_policy.model.errors import ModelError, Unavailable
        from labvla_policy.model.realtime import RealtimeSettings
        from labvla_policy.serving.checkpoint import CheckpointPolicy, CheckpointSettings
    except ModuleNotFoundError as error:
        raise _lack(error) from error
    if arguments.rows is not None and arguments.rows < 1:
        raise UsageError(f"--rows: expected at least 1, got {arguments.rows}")
    cell = None if arguments.cell is None else cell_from(arguments.cell)
    _tell(f"loading {arguments.checkpoint} …")
    try:
        settings = CheckpointSettings(
            arguments.checkpoint,
            arguments.device,
            arguments.dtype,
            arguments.dataset,
            arguments.rows,
            RealtimeSettings(steps=arguments.steps),
        )
        policy = CheckpointPolicy(settings, cell)
    except ModelError as error:
        raise UsageError(str(error)) from error
    except Unavailable as error:
        raise EnvironmentLack(str(error)) from error
    except Refused as refused:
        raise Refusal(str(refused)) from None
    for note in policy.notes:
        _tell(f"note: {note}")
    _tell(f"warm after {policy.warm_up_seconds:.1f} s")
    return policy


def _announce(
    arguments: argparse.Namespace, settings: ServerSettings, port: int, policy: CheckpointPolicy
) -> None:
    scheme = "ws" if settings.tls is None else "wss"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    uri = f"{scheme}://{host}:{port}"
    if arguments.json:
        print_json({"uri": uri, "metadata": policy.metadata.as_map()})
        sys.stdout.flush()
        return
    metadata: Metadata = policy.metadata
    print(
        f"serving {metadata.checkpoint} on {uri}: {metadata.chunk_size} rows of "
        f"{metadata.action_dim} columns, cameras {', '.join(metadata.cameras or ())}",
        flush=True,
    )
    if settings.token and settings.tls is None and not settings.is_near:
        _tell("warning: tokens and pictures are sent unencrypted; --tls-cert and --tls-key help")
    _tell(f"health: {uri.replace('ws', 'http', 1)}{HEALTH_PATH}")


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _lack(error: ModuleNotFoundError) -> EnvironmentLack:
    return EnvironmentLack(
        f"labvla serve needs the Python package '{error.name}', which is not installed "
        "(`make setup` installs it unless TORCH=none was chosen)."
    )
