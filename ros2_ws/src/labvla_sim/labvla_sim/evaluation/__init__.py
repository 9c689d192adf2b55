"""Judging a policy in closed loop: suites, episodes, failures, figures, report."""
