"""The screens: the dashboard itself and what is laid over it."""
