"""Turns the images and documents of a request into upright pixels within the token budget."""
