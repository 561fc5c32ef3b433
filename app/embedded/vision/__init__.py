"""What is known of an image besides its text: statistics, type, objects, classes, barcodes."""
