"""Style sheet, script and templates of the page: files beside this one, read as package data."""

from importlib.resources import files

from markupsafe import Markup


def asset(name: str) -> Markup:
    """Content of one of these files, which goes into the page as it is.

    Args:
        name: Its name, such as ``report.css``.
    """
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - ours, and nothing of a search is in it
