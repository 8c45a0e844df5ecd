"""How fast the suite is: against its peers, against the hardware, and as the data grow."""
