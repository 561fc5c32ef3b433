"""Ways to run it elsewhere than on one's own machine."""
