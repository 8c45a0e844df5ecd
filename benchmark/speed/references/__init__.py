"""The same losses in the form a formula suggests, without the savings of the suite's models."""
