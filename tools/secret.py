"""Secrets are named in the configuration, never in it: env:NAME, file:PATH, cmd:COMMAND."""

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

COMMAND_TIMEOUT_S: Final = 10
REDACTED: Final = "(secret)"


def resolve(reference: str, environment: Mapping[str, str] | None = None) -> str:
    """The secret that ``reference`` names, without a final line end.

    Raises ValueError that names the reference and what was expected, never the secret.
    """
    scheme, colon, place = reference.partition(":")
    if not colon or not place or scheme not in ("env", "file", "cmd"):
        raise ValueError("a secret is given as env:NAME, file:PATH or cmd:COMMAND, never as itself")
    if scheme == "env":
        found = (os.environ if environment is None else environment).get(place)
        if found is None:
            raise ValueError(f"{reference}: the variable {place} is not set")
    elif scheme == "file":
        try:
            found = Path(place).read_text(encoding="utf-8")
        except OSError as fault:
            raise ValueError(f"{reference}: {fault.strerror}") from None
    else:
        found = _output(reference, place)
    found = found.rstrip("\r\n")
    if not found:
        raise ValueError(f"{reference}: the secret is empty")
    return found


def _output(reference: str, command: str) -> str:
    try:
        done = subprocess.run(
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as fault:
        raise ValueError(f"{reference}: {type(fault).__name__}") from None
    if done.returncode:
        raise ValueError(f"{reference}: ended with {done.returncode}")
    return done.stdout
