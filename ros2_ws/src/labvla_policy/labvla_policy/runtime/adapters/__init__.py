"""Plans for controllers that do not eat chunks: pure functions, one module per controller.

The labvla controller splices, keeps limits and stops by itself; these controllers do not, so what
they are given must already begin where they are, move smoothly and end at rest.
"""
