"""Ollama Cloud's HTTP API: one method per endpoint, httpx in, domain values out."""
