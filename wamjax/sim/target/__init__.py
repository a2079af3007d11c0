"""The stand-in for reality: the same tasks in another simulator, with other physics and pictures.

Workers import this package without wanting to play, so it re-exports nothing; see `play`.
"""
