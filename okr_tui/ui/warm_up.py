"""What is loaded beside the keyboard before the first answer is drawn."""

from functools import cache

from okr_tui.services.background import tune_gc


@cache
def warm_up() -> None:
    """What the first answer needs, once per process and beside the keyboard: it takes some 50 ms to load.

    Until now nearly all objects are code and widgets that stay; drawn lines refer to themselves.
    """
    from okr_tui.ui.chat.markdown import parts_of
    from okr_tui.ui.chat.markdown_blocks import Blocks

    blocks = Blocks()
    for block in (*blocks.feed("*a* https://example.org\n\n```python\na = 1\n```\n"), *blocks.close()):
        parts_of(block)
    tune_gc()
