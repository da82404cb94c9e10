"""How models of each kind take one token after the other: one file for each kind."""
