"""How the next token is chosen: one file for each sampler."""
