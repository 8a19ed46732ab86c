"""Services that show as many colours as they can, and an answer with every kind of Markdown."""

from dataclasses import replace
from typing import Final

from okr_tui.cloud.dialects import Delta
from okr_tui.domain.health import State, Verdict
from okr_tui.domain.view import KeyView
from okr_tui.services.service import GatewayView, ModelList, ModelRow, SettingLine
from okr_tui.settings.table import ChatSettings
from tests.ui.chat_driver import DONE, ROUTED
from tests.ui.examples import (
    ENTRIES,
    GLOBAL,
    LINES,
    MODELS,
    NOW,
    SETTINGS_FILE,
    SPENT_FAULT,
    TRUST,
    dollars,
    key,
    model,
    pool,
    settings,
    snapshot,
    windows,
)
from tests.ui.scripted_pool import Step
from tests.ui.scripted_service import ScriptedService

TROUBLE: Final = "~/.pi/agent/settings.json:12:5: sort is ignored: there is no setting of that name"
OUTAGE: Final = Verdict(State.OUTAGE, eligible=False, reason="the cloud does not answer", until=NOW + 20)
RETIRING: Final = ModelRow(model("qwen3.5:397b", 397, 262_144, "tools"), (1,), "glm-5.3", favourite=True)
EDITABLE: Final = SettingLine("theme", "okr-dark", f"{GLOBAL}:14", ("the environment",), editable=True)
MARKDOWN: Final = """# Heading
## Smaller *heading*

Text with **bold**, *italics*, ~~struck~~, `code`, [a link](https://example.org) and ![a picture](x.png).

> quoted `code` and [a link](https://example.org)

1. first
   - below

| light | wavelength |
|---|---|
| blue | 450 nm |

---

```python
# a comment
import os

@decorated
class Sky(Base):
    '''What it is.'''

    LIMIT: Final = 0x10

    def __init__(self, colour: str = "blue", *, deep=None) -> None:
        self.colour = f"{colour}\\n"
        assert not deep and isinstance(colour, str) or True is None
        raise ValueError(r"\\d+" ?)
```

```html
<!-- a comment --><a href="x">text &amp; more</a>
```

```diff
@@ -1 +1 @@
- before
+ after
```

```sh
export NAME=$(ls "$HOME" | wc -l) `date` # count
```

```js
const sky = /blue/g; let Deep = new Map([[null, undefined]]);
```

```sql
SELECT name FROM skies WHERE colour = 'blue' LIMIT 3;
```
"""
"""The languages are those whose parts differ most."""
ANSWER: Final[tuple[Step, ...]] = (ROUTED, Delta(thinking="Scattering, then."), Delta(MARKDOWN), DONE)


def every_state() -> tuple[KeyView, ...]:
    """A key in each state, with windows from nearly empty to full."""
    return tuple(
        key(
            index,
            Verdict(state, eligible=index < 3, reason=f"{state} it is", until=NOW + 900, window="session"),
            label="amber",
            preferred=index == 2,
            balance=dollars(0.5) if index == 5 else windows(8 * index, 100 - 7 * index),
            in_flight=index % 3,
            account_keys=(1, 2) if index < 3 else (index,),
            last_fault=SPENT_FAULT,
            last_fault_at=NOW - 9,
        )
        for index, state in enumerate(State, 1)
    )


def colourful() -> ScriptedService:
    """Every state of a key, every kind of line and model, a quota that ends, the gateway elsewhere."""
    rows = tuple(replace(row, favourite=row.model.id == "kimi-k2.6") for row in MODELS)
    shown = snapshot(
        pool=pool(*every_state(), active=1, empty_at=NOW + 117_960),
        models=ModelList((*rows, RETIRING), refreshed_at=NOW - 60),
        entries=(*ENTRIES, replace(ENTRIES[-1], at=NOW - 1, text="a line " * 40)),
        gateway=GatewayView("http://127.0.0.1:11435"),
    )
    service = ScriptedService(shown)
    service.answer = ANSWER
    service.chat_settings = ChatSettings(tools=True, confirm={"web_search": "ask"})
    return service


def troubled() -> ScriptedService:
    """Every banner, every mark in the header, every remark of the settings."""
    shown = colourful().snapshot
    trouble = replace(
        shown,
        pool=replace(shown.pool, outage=OUTAGE),
        models=replace(shown.models, error="GET /api/tags: HTTP 503", refreshed_at=NOW - 7200),
        log=("cannot write the log: database or disk is full",),
        clock_ahead=430.0,
        undoable=("removing #3 4f2a…9c1e",),
        gateway=GatewayView(error="cannot listen on 127.0.0.1:11435", outdated=True),
        settings=settings(
            problems=(TROUBLE,),
            open_to_others=SETTINGS_FILE,
            trust=TRUST,
            lines=(*LINES, EDITABLE),
        ),
    )
    return ScriptedService(trouble)
