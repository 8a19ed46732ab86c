"""A simulated Ollama Cloud: a real HTTP server on loopback that knows nothing of the rest of the package.

It keeps accounts with quota windows, credits and request slots, answers with the cloud's own shapes and
texts, and fails on demand. `okr-tui demo` runs it as a subprocess; tests run it in their own loop:

    async with serve(SimulatedCloud(SCENARIOS["calm"], pace=0)) as url: ...
"""

from okr_tui.demo.scenarios import SCENARIOS, Scenario
from okr_tui.demo.server import SimulatedCloud, serve

__all__ = ["SCENARIOS", "Scenario", "SimulatedCloud", "serve"]
