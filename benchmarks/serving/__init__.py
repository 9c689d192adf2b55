"""The policy server under load: what it adds to an inference, and who gets how much of it."""
