"""The services on the simulated cloud over real loopback HTTP, with time held by the tests."""
