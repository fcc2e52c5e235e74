"""Real servers for tests: each is private to one test session, on free loopback ports, and stopped with it."""
