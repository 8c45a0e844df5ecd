"""The paper's own numbers, and what they say."""
