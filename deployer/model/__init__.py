"""The values of a plan: steps, changes, what moved since, what is told on the way. Pure."""
