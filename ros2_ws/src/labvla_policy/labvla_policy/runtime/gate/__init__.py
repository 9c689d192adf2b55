"""The safety gate: no plan passes that breaks a rule, and each refusal has a name."""
