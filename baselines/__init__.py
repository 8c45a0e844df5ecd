"""The recommenders HUIGN is compared with, one per file."""
