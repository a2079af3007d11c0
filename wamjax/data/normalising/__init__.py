"""Statistics of actions and states, in one pass over any size, and the maps made of them."""
