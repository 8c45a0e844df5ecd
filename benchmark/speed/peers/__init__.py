"""Other libraries at the same work, one file each, imported when they are asked for."""
