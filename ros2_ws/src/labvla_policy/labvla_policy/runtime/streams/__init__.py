"""Streams of messages: kept raw in bounded rings, decoded when something uses them."""
