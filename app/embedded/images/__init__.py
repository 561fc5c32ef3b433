"""From the bytes of an image file to upright pixels, at a bounded cost."""
