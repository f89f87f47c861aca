"""The page that shows a search to people: one self-contained HTML file.

`report` writes it, `data` gathers what it shows, `page` and `sections` lay it out. Each block is a
file in `cards`, each plot a file in `figures`; `report.css` and `report.js` are read by `assets`.
`notebook` is its short form in a cell.
"""

from .figures.learning import learning_figure
from .notebook import figures, in_html
from .report import watch_report, write_report

__all__ = ["figures", "in_html", "learning_figure", "watch_report", "write_report"]
