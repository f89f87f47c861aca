"""What `torch.compile` needs besides torch."""

from __future__ import annotations

import os
import platform
import shutil

from mollitune._errors import MollituneError


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
