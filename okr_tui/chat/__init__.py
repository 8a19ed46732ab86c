"""The chat: conversations, their answers and tools, above the pool, which knows nothing of them."""
