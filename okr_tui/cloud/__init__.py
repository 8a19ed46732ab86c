"""Everything that is particular to Ollama Cloud; the layers above know values of the domain only.

- `endpoints`: one table of paths, and what holds for each.
- `errors`: what a response means for a key, as a fault of the domain.
- `documents`: balance, identity and model documents, as values of the domain.
- `dialects` and `streams`: the records of an answer, in each interface's form.
- `network`: proxies and certificates, as the environment sets them.
- `http_policy`: the rules for every byte that leaves; `aiohttp_transport` and `compression` keep them too.
- `failures`: why a request got no answer, in words.
- `client`: who is sent what, with which key.

This is also where another provider would go: a package with the same modules, of which the rest of the
program uses `client.Cloud` and `client.Call`, `endpoints.ENDPOINTS` and `find`, `errors.response_fault`,
`classify_record` and `no_response`, `streams.RecordReader`, and the values in `dialects` and `documents`.
"""

import sys
from types import ModuleType
from typing import cast

# httpx tries to load a command line of its own, and with it click, rich and pygments: 88 modules, 5 MiB and a
# tenth of a second of each start. This package is loaded before httpx is, and tells it that there is none.
sys.modules.setdefault("httpx._main", cast(ModuleType, None))
