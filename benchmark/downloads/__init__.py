"""Public data sets: where they are, how they come here, and how they become readable."""
