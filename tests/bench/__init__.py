"""What the program costs, each row against a floor of the same run: `python -m tests.bench [NAME ...]`."""
