"""Where people read: a terminal, a pipe, a file, or a cell of a notebook."""

from typing import Any

from rich.console import Console


class TextConsole(Console):
    """Breaks lines at words in a terminal; in a pipe or a file a line stays one line.

    In a notebook it prints plain text, which its cell keeps in order.

    Attributes:
        in_notebook: Whether it prints to a cell.
    """

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.in_notebook = self.is_jupyter
        if self.in_notebook:
            self.is_jupyter, self._force_terminal = False, False

    def print(self, *objects: Any, soft_wrap: bool | None = None, **how: Any) -> None:
        """Print as rich does."""
        super().print(*objects, soft_wrap=bool(soft_wrap) and not self.is_terminal, **how)
