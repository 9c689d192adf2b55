"""From bags to a dataset."""
