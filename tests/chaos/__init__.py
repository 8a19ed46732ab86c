"""Many processes, many requests, keys that die and come back, a log that goes away, clocks that are wrong.

`python -m tests.chaos` runs the whole of it against the simulated cloud over real HTTP and says what it
found; the test suite runs a shorter one. The claims, checked against what the cloud itself knows:

1. no request fails for its caller while a key is good;
2. nothing is sent to an account that the process must know to be blocked;
3. every request that the cloud received is in the log exactly once, and nothing else is;
4. all processes soon agree on which keys are blocked.
"""
