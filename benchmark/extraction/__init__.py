"""Features of items from what they are: their text, images and sounds."""
