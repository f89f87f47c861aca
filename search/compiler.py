"""What `torch.compile` needs besides torch."""

from __future__ import annotations

import os
import platform
import shutil

from mollitune._errors import MollituneError


def is_own(model: str) -> bool:
    """Return whether a model is Mollitune's own, so that its loss does the same at every step.

    A class of a user's own may count its steps, say, and a trace would keep the first count.

    Args:
        model: Its name, or ``module:Class``.
    """
    return ":" not in model


def check_compiler(asked_by: str) -> None:
    """Refuse to go on without the C++ compiler that `torch.compile` calls.

    Args:
        asked_by: The key or option that asked for it.

    Raises:
        MollituneError: If it is not installed on this machine.
    """
    program = os.environ.get("CXX", "clang++" if platform.system() == "Darwin" else "g++")
    if shutil.which(program) is None:
        raise MollituneError(
            f"{asked_by} needs a C++ compiler, and {program} is not installed here; install it, "
            "name another one in CXX, or leave it out"
        )
