"""The panel that shows the samples of one trial large, and the data behind it."""

import json
from collections.abc import Mapping, Sequence

from ._captions import Caption
from ._html import Safe, data_url, join, script_json
from ._pictures import Picture, file_of

_PANEL = """
<dialog id="panel" aria-labelledby="panel-title">
<div class="bar"><h2 id="panel-title" tabindex="-1"></h2>
<button type="button" class="step" data-step="-1" aria-label="Previous trial" title="previous">
&#8592;</button>
<button type="button" class="step" data-step="1" aria-label="Next trial" title="next">
&#8594;</button>
<button type="button" class="close" aria-label="Close">&#215;</button></div>
<p class="schedule"><span class="chip"></span><span data-panel="schedule"></span></p>
<dl class="facts"><div><dt>FID</dt><dd data-panel="fid"></dd></div>
<div><dt>seed</dt><dd data-panel="seed"></dd></div>
<div><dt>configuration</dt><dd data-panel="configuration"></dd></div>
<div><dt>state</dt><dd class="words" data-panel="state"></dd></div></dl>
<div class="grids"><figure class="own"><figcaption><b>Samples</b></figcaption></figure>
<figure class="real"><figcaption><b>Real images</b></figcaption></figure></div>
<p class="note" data-panel="note"></p>
</dialog>
"""


def panel(
    captions: Mapping[int, Caption],
    orders: Sequence[Sequence[int]],
    pictures: Mapping[int, Picture],
    missing: Mapping[int, str],
) -> Safe:
    """The panel, closed, with what it may show.

    Args:
        captions: Every trial in words, by number.
        orders: Numbers of the trials of each model, in the order of browsing.
        pictures: The pictures by trial.
        missing: Why other pictures are not in the page, by trial.
    """
    words = {
        "trials": {number: caption._asdict() for number, caption in captions.items()},
        "orders": [list(order) for order in orders],
        "missing": {number: f"{why} {_place(number)}" for number, why in missing.items()},
    }
    shown = {
        number: {
            "url": data_url(picture.data, picture.kind),
            "note": picture.note and f"{picture.note} {_place(number)}",
        }
        for number, picture in pictures.items()
    }
    # apart from the words: they are read when the first picture is asked for
    documents = (
        script_json("trials", json.dumps(words)),
        script_json("pictures", json.dumps(shown)),
    )
    return join([Safe(_PANEL), *documents])


def _place(number: int) -> str:
    return f"The file is {file_of(number)}."
