"""How often this process looks for garbage that refers to itself."""

import gc
from typing import Final

SELDOM: Final = (5_000, 10, 20)


def look_seldom() -> None:
    """Look at all of it 14 times more seldom than by default, and no more at what is there now.

    By default everything is looked through after every few requests, which costs a tenth of the processor's
    time under load, and halts streams and key presses for 50 ms. To be called once the program stands.
    """
    gc.set_threshold(*SELDOM)
    gc.freeze()
