"""When to ask for a prediction, and which rows of an answer are still worth executing."""
