"""What is loaded beside the keyboard before the first answer is drawn."""

import gc
from functools import cache


@cache
def get_ready() -> None:
    """What the first answer needs, once per process and beside the keyboard: it takes some 50 ms to load.

    Until now nearly all objects are code and widgets that stay. Out of the garbage collector's sight they no
    longer cost a pause of 100 ms each time it looks through everything, which a fast answer provokes.
    """
    from okr_tui.domain.markdown_blocks import Blocks
    from okr_tui.ui.markdown import parts_of

    # Drawn lines refer to themselves, so it has to look; at everything 14 times more seldom than by default.
    gc.set_threshold(5_000, 10, 20)
    blocks = Blocks()
    for block in (*blocks.feed("*a* https://example.org\n\n```python\na = 1\n```\n"), *blocks.close()):
        parts_of(block)
    gc.freeze()
