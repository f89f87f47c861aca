"""Where the command line writes."""

from typing import Any

from rich.console import Console


class TextConsole(Console):
    """Breaks lines at words in a terminal; in a pipe or a file a line stays one line."""

    def print(self, *objects: Any, soft_wrap: bool | None = None, **how: Any) -> None:
        """Print as rich does."""
        super().print(*objects, soft_wrap=bool(soft_wrap) and not self.is_terminal, **how)
