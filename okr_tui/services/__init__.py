"""The async service under every front: it holds the pool, spends its keys and tells what happens."""
