"""What happens to pictures, words and numbers before and after the network: pure functions."""
