"""Recorded episodes to actions and states in one convention, by what a card says."""
