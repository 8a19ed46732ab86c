"""The model catalogue of the simulated cloud, with the metadata the real one publishes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

THINKING = ("completion", "tools", "thinking")
SEEING = ("completion", "tools", "vision")
EVERYTHING = ("completion", "thinking", "tools", "vision")

RETIRED = frozenset({"qwen3.5:397b", "glm-5.1", "qwen3-vl:235b"})


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """One model; `parameters` is 0 when undisclosed, a `paid` one needs a paid plan or purchased credit."""

    name: str
    architecture: str
    parameters: int
    quantization: str
    context: int
    output_limit: int
    capabilities: tuple[str, ...]
    released: str
    paid: bool = False
    size: int = 0

    def tag(self) -> dict[str, object]:
        """Return the model's entry in GET /api/tags, where most details are an empty stub."""
        known = self.architecture == "gptoss"
        return {
            "name": self.name,
            "model": self.name,
            "modified_at": f"{self.released}T00:00:00Z",
            "size": self.size,
            "digest": hashlib.sha256(self.name.encode()).hexdigest()[:12],
            "details": self._details("") if known else _details("", "", "", ""),
        }

    def show(self) -> dict[str, object]:
        """Return the answer of POST /api/show."""
        return {
            "thinking": self._thinking(),
            "capabilities": list(self.capabilities),
            "details": self._details(self.name),
            "model_info": {
                "general.architecture": self.architecture,
                "general.parameter_count": self.parameters,
                f"{self.architecture}.context_length": self.context,
                f"{self.architecture}.embedding_length": 0,
            },
            "modified_at": f"{self.released}T00:00:00Z",
        }

    def _thinking(self) -> dict[str, object]:
        if "thinking" not in self.capabilities:
            return {"values": [False], "default": False}
        if self.architecture == "gptoss":
            return {"values": ["low", "medium", "high"], "default": "medium"}
        return {"values": [False, True], "default": True}

    def entry(self) -> dict[str, object]:
        """Return the model's entry in GET /v1/models."""
        created = int(datetime.fromisoformat(f"{self.released}T00:00:00Z").timestamp())
        return {"id": self.name, "object": "model", "created": created, "owned_by": "ollama"}

    def _details(self, parent: str) -> dict[str, object]:
        return _details(parent, self.architecture, str(self.parameters), self.quantization)


def _details(parent: str, family: str, parameters: str, quantization: str) -> dict[str, object]:
    return {
        "parent_model": parent,
        "format": "",
        "family": family,
        "families": None,
        "parameter_size": parameters,
        "quantization_level": quantization,
    }


_CATALOGUE = (
    SimulatedModel(
        "deepseek-v4-pro:0813",
        "deepseek4",
        1_600_000_000_000,
        "FP8",
        1_048_576,
        65_536,
        THINKING,
        "2026-08-13",
    ),
    SimulatedModel(
        "gemma4:31b", "gemma4", 32_700_000_000, "BF16", 262_144, 262_144, EVERYTHING, "2026-04-02"
    ),
    SimulatedModel("glm-5.2", "glm_dsa_moe", 756_200_000_000, "", 1_000_000, 131_072, THINKING, "2026-06-16"),
    SimulatedModel("glm-5.3", "glm_dsa_moe", 0, "", 1_048_576, 131_072, THINKING, "2026-08-26"),
    SimulatedModel("glm-5.3-flash", "glm5_next", 0, "", 1_048_576, 131_072, EVERYTHING, "2026-08-26"),
    SimulatedModel(
        "gpt-oss:20b", "gptoss", 20_900_000_000, "MXFP4", 131_072, 131_072, THINKING, "2025-08-05"
    ),
    SimulatedModel(
        "gpt-oss:120b",
        "gptoss",
        116_829_156_672,
        "MXFP4",
        131_072,
        131_072,
        THINKING,
        "2025-08-05",
        size=65_290_180_781,
    ),
    SimulatedModel(
        "kimi-k2.6", "kimi_k2", 1_000_000_000_000, "INT4", 262_144, 262_144, EVERYTHING, "2026-04-20"
    ),
    SimulatedModel(
        "kimi-k2.7-code", "kimi_k2", 1_000_000_000_000, "INT4", 262_144, 262_144, EVERYTHING, "2026-06-12"
    ),
    SimulatedModel(
        "kimi-k3",
        "kimi_k3",
        2_800_000_000_000,
        "MXFP4",
        1_048_576,
        262_144,
        EVERYTHING,
        "2026-07-27",
        paid=True,
    ),
    SimulatedModel(
        "minimax-m2.7", "minimax-m2", 229_000_000_000, "", 196_608, 131_072, THINKING, "2026-03-18"
    ),
    SimulatedModel("minimax-m3", "minimax-m3", 0, "", 512_000, 131_072, EVERYTHING, "2026-06-01"),
    SimulatedModel(
        "mistral-large-3:675b", "mistral3", 675_000_000_000, "FP8", 262_144, 262_144, SEEING, "2025-12-02"
    ),
    SimulatedModel(
        "nemotron-3-nano:30b",
        "nemotron_h_moe",
        32_000_000_000,
        "FP8",
        262_144,
        131_072,
        THINKING,
        "2025-12-15",
    ),
    SimulatedModel(
        "nemotron-3-super",
        "nemotron_h_moe",
        120_000_000_000,
        "NVFP4",
        262_144,
        65_536,
        THINKING,
        "2026-03-11",
    ),
    SimulatedModel(
        "nemotron-3-ultra", "nemotron_h_moe", 550_000_000_000, "", 262_144, 65_536, THINKING, "2026-06-04"
    ),
)

MODELS: Mapping[str, SimulatedModel] = {model.name: model for model in _CATALOGUE}
