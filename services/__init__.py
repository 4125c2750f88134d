"""The actors, the shell around them, their composition, and the command line."""
