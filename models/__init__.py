"""The library: what every recommender is made of, and HUIGN."""
