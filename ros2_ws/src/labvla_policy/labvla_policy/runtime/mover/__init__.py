"""Moves to joint postures: straight in joint space, smooth in time, checked on the whole way."""
